"""Studies on real text, simulated: their verdict, gates and page, and compare over their arms."""

import dataclasses
import json
import re

import numpy as np
import pytest

from jaxalign import main, sealing
from jaxalign.study.judge import compare
from jaxalign.study.plan.directories import home_of
from jaxalign.study.run import conclusion
from jaxalign.study.store.rows import Row, line
from jaxalign.study.store.table import Means
from jaxalign.study.texts import texts_rules
from tests.study.tiny import ROOT

TESTS = 'T0', 'D0', 'safe', 'unsafe', 'harmful', 'jailbreak', 'truthful'


def rows(arm, seed, effect, learned):
  random = np.random.default_rng([*f'{arm}{seed}'.encode()])
  for test in TESTS:
    bonus = effect if arm == 'explain-align' and test in ('safe', 'unsafe') else 0
    loss = dict(T0=3.0, D0=3.0).get(test)
    if loss and arm != 'base':
      loss -= learned
    for item in range(6):
      margin = float(bonus + 0.1 * random.normal())
      yield Row(
        seed=seed, after='sft', arm=arm, test=test, item=item, cluster=str(item % 2),
        prompt=f'{test}{item}', margin=margin, raw=9 * margin, right=margin > 0, loss=loss,
        mass=None, yes=False, tokens=(9, 9), unit='nats a token',
      )  # fmt: skip


def concluded(workdir, seeds=range(8), effect=0.5, learned=0.4):
  """A finished study whose models were never trained: (results, the page)."""
  cfg = main.load(f'{ROOT}/configs/study_explanations.py')
  rules = texts_rules.rules(draws=1000)
  world = dataclasses.replace(cfg.world, suites=(), judges=())  # no arm has written anything
  cfg = sealing.seal(dataclasses.replace(cfg, world=world, seeds=tuple(seeds), rules=rules))
  for seed in seeds:
    home = home_of(workdir, seed)
    (home / 'outcomes').mkdir(parents=True)
    for arm in ('base', *(arm.name for arm in cfg.arms)):
      lines = map(line, rows(arm, seed, effect, learned))
      (home / 'outcomes' / f'{arm}.jsonl').write_text(''.join(lines))
      (home / 'outcomes' / f'{arm}.json').write_text(json.dumps(dict(key='b' * 64)))
    (home / 'corpora').mkdir()
    (home / 'corpora' / 'sums.json').write_text(json.dumps(dict(demonstrations=f'd{seed}' * 32)))
  conclusion.conclude(cfg, workdir, 7265.0)
  page = workdir / 'report.html'
  return json.loads((workdir / 'results.json').read_text()), page.exists() and page.read_text()


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('real')
  return workdir, *concluded(workdir)


def test_an_effect_is_supported_by_its_own_rules(whole):
  _, found, _ = whole
  assert found['verdict'] == 'SUPPORTED', found['sentence']
  assert 'rho' not in found['sentence'] and found['control'] is None
  assert [one['name'] for one in found['contrasts']] == ['R1', 'R2', 'R3', 'R4', 'R5']
  assert all(one['mean'] == pytest.approx(1.0, abs=0.2) for one in found['contrasts'])
  assert [gate['name'] for gate in found['gates']] == ['T0 fall', 'T0 loss', 'D0 fall']
  assert all(gate['ok'] for gate in found['gates'])


def test_the_page_speaks_of_real_text(whole):
  pytest.importorskip('matplotlib')
  page = whole[2]
  said = re.sub(r'<[^>]+>', ' ', page)
  for word in ('ValueWorld', 'Experiment S', 'closed vocabulary', 'rho = 0).', 'study_valueworld'):
    assert word not in said.replace('(rho = 0) for real text', ''), word
  for word in ('Real text', 'XSTest, unsafe', 'TruthfulQA', 'explain → align',
               'd3d3d3d3', 'b' * 64, '121 min', 'T0 fall'):  # fmt: skip
    assert word in said, word
  assert page.count('<figure') >= len(TESTS) + 1 and '://' not in page


@pytest.mark.parametrize(
  'changes, says',
  [
    (dict(effect=0.0), 'NOT SUPPORTED: not shown: that explanations before'),
    (dict(learned=0.01), r'UNINFORMATIVE: .* gate T0 fall \(loss on demonstrations below the base'),
    (dict(seeds=range(4)), 'UNINFORMATIVE: .*R1 has 4 of the 6 seeds that a verdict needs'),
  ],
)
def test_other_verdicts(tmp_path, changes, says):
  found, _ = concluded(tmp_path, **changes)
  assert re.match(says, found['sentence']), found['sentence']


def test_gates_read_the_arms_that_they_are_about():
  """T0 of arms whose last lesson are the demonstrations; D0 of those told with the explanations."""
  cfg = main.load(f'{ROOT}/configs/study_explanations.py')
  loss = {arm.name: dict(T0=2.0, D0=2.5) for arm in cfg.arms} | dict(base=dict(T0=3.0, D0=3.0))
  loss['explain']['T0'] = loss['align-explain']['T0'] = 9.0
  loss['align']['D0'] = loss['neutral-align']['D0'] = loss['align+']['D0'] = 9.0
  loss['shuffled-align'] |= dict(T0=2.1, D0=9.0)
  mean = {
    (arm, test): Means(margin=0, rate=0, yes=0, mass=None, loss=x)
    for arm, of in loss.items()
    for test, x in of.items()
  }
  got = texts_rules.gate_values(cfg, {4: mean})
  assert got['T0 fall'][4] == pytest.approx(0.9)
  assert got['T0 loss'][4] == pytest.approx(0.1)
  assert got['D0 fall'][4] == pytest.approx(0.5)


def test_compare_takes_its_arms(whole, tmp_path):
  workdir = whole[0]
  text = compare.compare([f'{workdir}:neutral-align', f'{workdir}:explain-align'], tmp_path)
  assert 'unsafe after sft (6 items' in text and 'tokens' in text
  found = json.loads((tmp_path / 'compare.json').read_text())
  (of_test,) = (t for t in found['tests'] if t['test'] == 'unsafe')
  mean = of_test['differences'][0]['margin']['mean']
  assert mean == pytest.approx(0.5, abs=0.1)
