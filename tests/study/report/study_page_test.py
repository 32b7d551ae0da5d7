"""The report: its numbers are results.json's, every seed is drawn, it needs nothing else."""

import dataclasses
import html
import itertools
import re
import sys

import pytest

from jaxalign import main
from jaxalign.page import figures as colours
from jaxalign.page import kit
from jaxalign.study.judge import unjudged
from jaxalign.study.judge.results import LeastMass
from jaxalign.study.plan import rules
from jaxalign.study.plan.arms import Arm, Step
from jaxalign.study.report import compare_page, contrasts, page_words, study_files, study_page
from jaxalign.study.world.page import CONTENTS
from tests.study.report.finished import STUDY, data, dots, figures_of, study, words

matplotlib = pytest.importorskip('matplotlib')


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('study')
  return workdir, *study(workdir, range(8), control=range(8))


@pytest.fixture
def found(whole):
  return whole[1]


@pytest.fixture
def page(whole):
  return whole[2]


def has_the_numbers_of(row, numbers, seeds):
  fields = ('mean', 'low', 'high', 'p', 'floor', 'd_z', 'sd')
  shown = {name: '' if (x := getattr(numbers, name)) is None else repr(x) for name in fields}
  each = [float(row[f'seed {seed}']) for seed in seeds]
  return shown.items() <= row.items() and each == list(numbers.differences)


def test_the_numbers_of_the_page_are_those_of_the_results(found, page):
  assert found.verdict == 'SUPPORTED', found.sentence
  sentence = page_words.plain_sentence(found.sentence).split(': ', 1)[1]
  assert f'<b>SUPPORTED</b><p>{html.escape(sentence)}</p>' in page
  for name, every in (('contrasts', found.contrasts), ('control', found.control)):
    read = {(row['contrast'], row['scale']): row for row in data(page, name)}
    assert len(read) == sum(len(one.scales) for one in every) > 0
    for one in every:
      for scale, numbers in one.scales.items():
        assert has_the_numbers_of(read[one.name, scale], numbers, one.seeds)
        for field in ('mean', 'low', 'high', 'p', 'floor', 'd_z'):
          assert f'>{kit.shown(getattr(numbers, field))}</td>' in page, field
      assert float(read[one.name, 'margin']['p Holm']) == one.p_holm
  seen = {(r['arm'], r['test'], int(r['seed'])): r for r in data(page, 'tests')}
  for arm, tests in found.arms.items():
    for test, by_seed in tests.items():
      for seed, means in by_seed.items():
        row = seen.pop((arm, test, seed))
        said = {field: float(row[field]) if row[field] else None for field in vars(means)}
        assert said == vars(means)
  assert not seen
  for gate, row in zip(found.gates, data(page, 'gates')):
    assert [float(row[f'seed {s}']) for s in gate.seeds] == [*gate.seeds.values()]
  steer = {row['documents']: row for row in data(page, 'steering')}
  a, b = (found.arms[f'explain_{x}-align']['T2'][3].margin for x in 'AB')
  assert float(steer['explain → align']['seed 3']) == pytest.approx(a - b)


def test_every_section_is_there_in_order_and_says_what_it_must(page):
  heads = re.findall(r'<h2 id="s\d+">([^<]*)</h2>', page)
  elsewhere = ('Probes', 'After PPO', 'Goodhart')  # of which nothing is kept here
  assert heads == [title for title, _ in CONTENTS.sections if not title.startswith(elsewhere)]
  said = words(page)
  known = 'd3d3d3d3', 'r7r7r7r7', 'base of 5', '179,200', '1 min 23 s', 'detection floor'
  told = 'A closed vocabulary', 'No claim about large', 'in 8 worlds where documents'
  for part in (*known, *told, '--config.control_seeds=0,1,2'):
    assert part in said, part
  assert 'These are development seeds' not in said
  assert data(page, 'curves')[-1]['arm so far'] == 'explain_A-demonstrations'
  assert said.index('explain_A → align') < said.index('align → explain_A')


def test_the_file_needs_nothing_from_outside(page):
  assert '://' not in page and '<script' not in page and '@import' not in page
  links = re.findall(r'(?:href|src|url\()\s*=?\s*["\']?([^"\')\s>]+)', page)
  assert links and all(link.startswith(('#', 'data:text/csv')) for link in links)
  names = re.findall(r' id="([^"]+)"', page)
  assert len(names) == len(set(names))
  assert {link[1:] for link in links if link[0] == '#'} <= set(names)
  assert colours.INK not in page, 'the ink is the colour of the page, dark or light'


def test_every_seed_is_drawn(whole, monkeypatch):
  workdir, found, _ = whole
  files = study_files.read(workdir, found.seeds, CONTENTS, main.load(str(STUDY)).arms)
  figures, _ = figures_of(monkeypatch, lambda: study_page.page(found, files))
  beside_them = {name for name in figures if name.startswith('secondary')}
  others = {'contrasts', 'arms', 'harm', 'sensitivity', 'curves', 'control'}
  assert figures.keys() - beside_them == others
  of_all = {name: [x for x in dots(figure) if len(x) == 8] for name, figure in figures.items()}
  for one in found.contrasts:
    assert sorted(one.seeds.values()) in of_all['contrasts']
  for n, (_, of) in enumerate(itertools.groupby(found.secondary, lambda one: one.group)):
    for one in of:
      assert sorted(one.seeds.values()) in of_all[f'secondary-{n}']
  for name, tests in (('arms', ['T2']), ('harm', ['harm', 'benign'])):
    for arm, asked in found.arms.items():
      for test in set(tests) & asked.keys():
        margins = sorted(means.margin for means in asked[test].values())
        assert margins in of_all[name], (arm, test)
  counts = {name: len(of_all[name]) for name in ('arms', 'harm', 'sensitivity')}
  assert counts == dict(arms=12, harm=14, sensitivity=7)
  lines = figures['curves'].axes[0].lines
  assert sum(len(one.get_xdata()) == study_files.POINTS for one in lines) == 8 + 1
  floors = [one for one in figures['contrasts'].axes[0].lines if one.get_marker() == '|']
  assert len(floors) == sum(not one.holds for one in found.contrasts) > 0


def test_an_uninformative_study_of_one_seed_without_control(tmp_path):
  found, page = study(tmp_path, [101])
  assert found.verdict == 'UNINFORMATIVE' and '<b>UNINFORMATIVE</b>' in page
  assert 'It was not run' in words(page) and 'nan' not in words(page)
  assert {row['low'] for row in data(page, 'contrasts')} == {''}
  assert '--config.seeds=101, ' in words(page)


def test_what_is_not_there_is_left_out(found, tmp_path):
  """Neither plan nor curves nor sums beside it, and arms of H alone; a gate without a value."""
  arms = {arm: tests for arm, tests in found.arms.items() if 'T2' not in tests}
  gates = (dataclasses.replace(found.gates[0], seeds={}), *found.gates[1:])
  less = dataclasses.replace(found, arms=arms, contrasts=(), control=None, gates=gates)
  study_page.write(less, tmp_path, CONTENTS)
  said = words((tmp_path / 'report.html').read_text())
  assert 'Experiment S: what' not in said and 'Training' not in said and 'Experiment H' in said
  assert said.count('✗ not measured') == 8 and 'None of the planned contrasts' in said


def test_a_failed_gate_is_marked(found):
  def marked(gate, **changed):
    gates = (dataclasses.replace(gate, **changed),)
    return contrasts.gates(dataclasses.replace(found, gates=gates), None)

  low = marked(found.gates[1], seeds=found.gates[1].seeds | {4: 0.6}, passed=7)
  assert low.count('class="bad"') == 1 and '<td class="bad">✗ 0.6</td>' in low
  over = marked(found.gates[4], seeds=dict.fromkeys(range(8), 0.06), passed=0, ok=False)
  assert over.count('✗ ') == 8 + 1


def test_contrasts_beside_the_five_are_there_whole_and_without_a_verdict(found, page):
  read = {(row['group'], row['contrast'], row['scale']): row for row in data(page, 'secondary')}
  assert len(read) == sum(len(one.scales) for one in found.secondary) > 40
  for one in found.secondary:
    for scale, numbers in one.scales.items():
      assert has_the_numbers_of(read[one.group, one.name, scale], numbers, one.seeds)
  assert not {'holds', 'p Holm'} & {*next(iter(read.values()))}
  assert 'none with a verdict' in words(page)


def test_where_the_answer_is_neither_word_the_page_says_so(found):
  assert 'No other arm and test has a mass' in words(contrasts.gates(found, None))
  tests = found.arms['explain_A']
  lean = {**tests['T1'], 3: dataclasses.replace(tests['T1'][3], mass=0.25)}
  arms = {**found.arms, 'explain_A': {**tests, 'T1': lean}}
  said = words(contrasts.gates(dataclasses.replace(found, arms=arms), None))
  assert 'falls below 0.95 in 1 of' in said and '0.25' in said
  one = dataclasses.replace(found.secondary[0], mass=LeastMass(0.25, 'explain_A', 'T1', '3'))
  assert 'yes + no only 0.25 (explain_A, T1, seed 3)' in contrasts.told_unjudged(one, 0.95)


def test_the_page_claims_no_more_than_its_arms_can_show(page):
  said = ' '.join(words(page).split())
  assert not re.search('reasons steer|(learning|first learn) why', said)
  assert 'no arm tells why from what' in said and 'the size of log-odds and not of order' in said
  assert said.index('No arm tests why') < said.index('Diamond and line')
  planned = [p for every in unjudged.GROUPS.values() for p in every] + [*rules.PRIMARIES]
  steering = [p.what for p in planned if re.search('reasons (in training )?steer', p.what)]
  assert steering and {*steering} <= page_words.PAGE_WORDS.keys() <= {p.what for p in planned}


def test_results_keep_the_words_that_were_fixed(found):
  assert found.contrasts[0].what == rules.PRIMARIES[0].what
  assert rules.PRIMARIES[0].what in found.sentence
  again = page_words.in_page_words(found)
  assert [dataclasses.replace(one, what='') for one in again.secondary] == [
    dataclasses.replace(one, what='') for one in found.secondary
  ]


def test_text_is_escaped(whole):
  workdir, found, _ = whole
  evil = '<script>alert("$x_1$")</script>&amp;'
  arms = {arm.replace('explain_A', f'{evil}_A'): tests for arm, tests in found.arms.items()}
  renamed = {
    name: (dataclasses.replace(getattr(found, name)[0], name=evil, what=evil),)
    for name in ('contrasts', 'gates')
  }
  changed = dataclasses.replace(found, arms=arms, sentence=f'SUPPORTED: {evil}', **renamed)
  page = study_page.page(changed, study_files.read(workdir, found.seeds, CONTENTS))
  assert '<script' not in page and page.count('&lt;script&gt;') >= 5
  assert evil in {row['contrast'] for row in data(page, 'contrasts')}


def test_the_plan_decides_which_lessons_are_curves():
  taught = ('align', 'd'), ('explain', 'e'), ('tail', '')
  steps = tuple(Step(recipe=recipe, what=what) for recipe, what in taught)
  assert study_files.lesson_runs([Arm(name='x', steps=steps, tests='harm')]) == {
    ('', 'base', 'base'): 'base',
    ('harm', 'align', 'd'): 'align-d',
    ('harm', 'documents', 'd-e'): 'align-d.explain-e',
  }


def test_without_matplotlib_a_line_says_so(found, tmp_path, monkeypatch, caplog):
  monkeypatch.setitem(sys.modules, 'matplotlib', None)
  study_page.write(found, tmp_path, CONTENTS)
  compare_page.write({}, tmp_path / 'compare.html')
  assert not [*tmp_path.iterdir()]
  assert [r.getMessage().split(' is')[0] for r in caplog.records] == ['report.html', 'compare.html']


@pytest.mark.parametrize(
  'p_holm, holds, agree, says',
  [
    (0.039, True, True, 'holds'),
    (0.062, False, True, 'not shown; floor ±2'),
    (0.062, False, False, 'not shown; floor ±2'),
    (0.039, False, False, 'not shown, not one sign on all scales; floor ±2'),
  ],
)
def test_a_row_says_why_a_small_p_is_not_enough(found, p_holm, holds, agree, says):
  one = found.contrasts[0]
  changed = dict(mean=2.5, low=1.0, high=4.0, p=0.0078, floor=2.0)
  numbers = dataclasses.replace(one.primary, **changed)
  judgement = dict(p_holm=p_holm, holds=holds, agree=agree, scales={one.scale: numbers})
  said = contrasts.told(dataclasses.replace(one, **judgement), 0.05)
  assert said == f'+2.5 [1, 4], p = 0.0078, Holm {p_holm}: {says}'
