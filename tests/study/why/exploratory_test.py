"""What is only explored: which arms, their numbers from the means, and that nothing is judged."""

import dataclasses

import numpy as np
import pytest

from configs.why.arms import compared
from jaxalign import main, sealing, statistics
from jaxalign.config import UserError
from jaxalign.study.plan.arms import Arm, Step
from jaxalign.study.plan.rules import Planned, Rules
from jaxalign.study.report.contents import StudyFiles
from jaxalign.study.store.table import Means
from jaxalign.study.why import exploratory, followed, page
from tests.study.report.finished import data, dots, figures_of, results, words
from tests.study.tiny import ROOT, with_recipe

pytest.importorskip('matplotlib')
SEEDS = (200, 201, 202)
PLAN = f'{ROOT}/configs/study_why.py:full'
GOODS = ('T0', 'T2', 'T3A', 'T3B', 'T6A', 'T6B')


@pytest.fixture(scope='module')
def cfg():
  """The plan with its primary contrasts alone: the secondary ones name cot and align+."""
  plan = main.load(PLAN)
  primary = tuple(one for one in plan.rules.contrasts if one.name in plan.rules.family)
  rules = dataclasses.replace(plan.rules, contrasts=primary, secondary=())
  return dataclasses.replace(plan, rules=rules)


def test_what_the_secondary_family_names_is_judged_and_not_explored():
  plan = main.load(PLAN)
  names = {arm.name for arm in exploratory.explored_arms(plan.arms, plan.rules)}
  assert not names & {'align+', 'cot_A-align', 'cot_B-align'} and 'debate_A-align' in names


def means(margin):
  return Means(margin=float(margin), rate=float(margin > 0), yes=0.5, mass=0.9, loss=None)


@pytest.fixture(scope='module')
def found(cfg):
  random = np.random.default_rng(0)
  arms, humans = {}, {}
  for arm in cfg.arms:
    tests = GOODS if arm.tests == 'goods' else ('T0', 'humans_AB', 'humans_BA', 'humans_none')
    arms[arm.name] = {test: {s: means(random.normal()) for s in SEEDS} for test in tests}
    if arm.tests == 'humans':
      shares = dict(A=0.5, B=0.25, abstained=0.25, first=0.75, second=0.0)
      humans[arm.name] = {
        test: {who: {s: share + 0.01 * (s - 201) for s in SEEDS} for who, share in shares.items()}
        for test in ('humans_AB', 'humans_BA', followed.BOTH)
      }
      humans[arm.name]['humans_none'] = {
        who: dict.fromkeys(SEEDS, share) for who, share in dict(A=0.1, B=0.2, abstained=0.7).items()
      }
  probes = followed.Explored(abstains=1.0, humans=humans)
  return results(arms=arms, seeds=SEEDS, rules=cfg.rules, probes=probes)


def files(arms):
  return StudyFiles(contents=page.CONTENTS, arms=arms, split='dev', about=None, sums={}, curves={})


@pytest.fixture(scope='module')
def shown(cfg, found):
  with pytest.MonkeyPatch.context() as patch:
    return figures_of(patch, lambda: exploratory.section(found, files(cfg.arms)))


def test_explored_is_what_reads_such_a_corpus_and_no_contrast_names(cfg):
  names = [arm.name for arm in exploratory.explored_arms(cfg.arms, cfg.rules)]
  every = ['align+', 'conflict', 'align@humans']
  for letter in 'AB':
    every += [f'{kind}_{letter}-align' for kind in ('cot', 'debate')]
    for kind in ('why', 'what'):
      every += [f'{kind}_{letter}-conflict', f'{kind}_{letter}-align@humans']
  assert sorted(names) == sorted(every)
  cot = Planned(
    name='S', what='x', arms=(('cot_A-align', 1), ('cot_B-align', -1)), tests=(('T2', 1),)
  )
  rules = Rules(contrasts=(cot,), deciding=('S',))
  judged = {arm.name for arm in exploratory.explored_arms(cfg.arms, rules)}
  assert {*names} - judged == {'cot_A-align', 'cot_B-align'}
  planned = {arm for one in cfg.rules.contrasts for arm, _ in one.arms}
  assert not planned & {*names} and not exploratory.explored_arms([*compared()], cfg.rules)


def test_every_number_is_that_of_the_means_with_its_interval(found, shown):
  figures, html = shown
  read = {(row['arms'], row['measure']): row for row in data(html, 'explored')}

  def v(arm, seed):
    a, b = (found.arms[arm][test][seed].margin for test in ('T3A', 'T3B'))
    return (a - b) / (abs(a) + abs(b) + 1)  # the plan's floor, as of what is judged

  for kind in ('cot-align', 'debate-align', 'why-conflict', 'why-align', 'what-align'):
    one, other = (kind.replace('-', f'_{letter}-') for letter in 'AB')
    x_S = [v(one, seed) - v(other, seed) for seed in SEEDS]
    interval = statistics.t_interval(x_S, found.rules.level)
    row = read[kind, 'V']
    assert [float(row[f'seed {seed}']) for seed in SEEDS] == pytest.approx(x_S)
    assert [float(row[name]) for name in ('mean', 'low', 'high')] == pytest.approx([*interval])
    assert f'{interval.mean:+.2f} [{interval.low:.2f}, {interval.high:.2f}]' in words(html)
    assert any(x == pytest.approx(sorted(x_S)) for x in dots(figures['explored']) if len(x) == 3)
  margins = [found.arms['align+']['T2'][seed].margin for seed in SEEDS]
  row = read['align+', 'T2, nats']
  assert [float(row[f'seed {seed}']) for seed in SEEDS] == margins
  assert ('conflict', 'T6, nats') in read and not any('humans' in arm for arm, _ in read)
  assert not any('bare' in arm or 'mention' in arm for arm, _ in read)


def test_it_says_that_nothing_is_judged_and_gives_no_p(shown):
  said = ' '.join(words(shown[1]).split())
  assert 'None of them is judged' in said and 'the judged why → align and what → align' in said
  assert 'p =' not in said and 'Holm' not in said and 'holds' not in said
  assert 'nat above those of the other' in said and 'No question of the base named two' in said


def test_who_is_followed_is_a_row_an_arm_and_a_way_of_asking(shown):
  html = shown[1]
  rows = data(html, 'humans')
  assert {(row['arm'], row['test']) for row in rows} >= {('why_A-align@humans', followed.BOTH)}
  one = next(r for r in rows if (r['arm'], r['test'], r['followed']) == (
    'align@humans', 'humans_AB', 'first'
  ))  # fmt: skip
  assert float(one['mean']) == pytest.approx(0.75) and float(one['seed 200']) == 0.74
  said = words(html)
  for title in ('named, both orders', 'A’s human first', 'B’s human first', 'neither named'):
    assert html.count(f'>{title}</td>') == 5  # of align, why and what
  assert '0.75 [0.73, 0.77]' in said and '0.70 [0.70, 0.70]' in said and '0.9' in said


def test_a_side_without_the_other_is_shown_by_itself(cfg, found):
  arms = {name: of for name, of in found.arms.items() if name in ('cot_A-align', 'why_A-align')}
  less = dataclasses.replace(found, arms=arms, probes=None)
  html = exploratory.section(less, files(cfg.arms))
  read = {row['arms'] for row in data(html, 'explored')}
  assert read == {'cot_A-align', 'why_A-align'} and 'Two humans' not in html


def test_a_study_that_explores_nothing_has_no_section(cfg, found):
  less = [arm for arm in cfg.arms if arm not in exploratory.explored_arms(cfg.arms, cfg.rules)]
  assert exploratory.section(found, files(less)) == ''


def test_one_seed_has_no_interval(cfg, found):
  arms = {
    name: {test: {200: by_seed[200]} for test, by_seed in of.items()}
    for name, of in found.arms.items()
  }
  one = dataclasses.replace(found, arms=arms, seeds=(200,), probes=None)
  html = exploratory.section(one, files(cfg.arms))
  assert {row['low'] for row in data(html, 'explored')} == {''} and 'nan' not in words(html)


def test_names_are_text(cfg, found):
  evil = '<script>_A-align'
  step = Step(recipe='practise', what='cot_A')
  arms = (Arm(name=evil, steps=(step,), tests='goods'),)
  html = exploratory.section(
    dataclasses.replace(found, arms={evil: found.arms['cot_A-align']}), files(arms)
  )
  assert '<script' not in html and '&lt;script&gt;' in html


@pytest.mark.parametrize('recipe', ['practise', 'repeat'])
def test_an_explored_arm_that_spends_something_else_is_refused(cfg, recipe):
  plan = dataclasses.replace(cfg, recipes=with_recipe(cfg, recipe, steps=100))
  with pytest.raises(
    UserError, match='spends what no arm does that is not explored: steps'
  ) as error:
    sealing.seal(plan)
  assert '\n' not in str(error.value)
  sealing.seal(main.load(PLAN))
