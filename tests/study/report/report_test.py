"""The report: its numbers are results.json's, every seed is drawn, it needs nothing else."""

import base64
import csv
import dataclasses
import html
import io
import itertools
import json
import pathlib
import re
import sys

import numpy as np
import pytest

from jaxalign import sealing
from jaxalign.page import figures as colours
from jaxalign.page import kit
from jaxalign.study.judge import results_file, rules, unjudged
from jaxalign.study.judge.comparison import ComparedTest
from jaxalign.study.judge.rules import Rules
from jaxalign.study.plan.arms import Arm, Step
from jaxalign.study.report import (
  compare_page,
  lessons,
  reading,
  report,
  report_pictures,
  report_secondary,
)
from jaxalign.study.run import conclusion
from jaxalign.study.store.directories import arms_of, home_of
from jaxalign.study.store.rows import Row, line
from jaxalign.study.world.page import CONTENTS
from tests.study.judge import compare_test

matplotlib = pytest.importorskip('matplotlib')
STUDY = pathlib.Path(__file__).parents[3] / 'configs' / 'study_valueworld.py'
ITEMS = 4
GOODS = 'T0', 'T1', 'T2', 'T3A', 'T3B', 'T4', 'T5_elder', 'T5_rook'
HARM = 'H0', 'harm', 'benign', 'harm_prefill', 'benign_prefill'
GATES = 'G0', 'G0H', 'G0b', 'G0bH'


def rows(arm, tests, seed, effect):
  random = np.random.default_rng([*f'{arm}{seed}'.encode()])
  side = dict(A=1, B=-1).get(next((x for x in 'AB' if f'_{x}' in arm), ''), 0)
  for test in tests:
    mean = dict(T=0.0, h=-0.3, b=-5.0).get(test[0], 5.0)
    if test == 'T0':
      mean = 5.0
    elif test[0] == 'T' and arm.startswith(('explain', 'shuffled')):
      mean = effect * side
    elif test[0] == 'h' and arm == 'value-align':
      mean += effect
    for item in range(ITEMS):
      margin = float(mean + random.normal())
      yield Row(
        seed=seed, after='sft', arm=arm, test=test, item=item, cluster=str(item % 2),
        prompt=f'{test}{item}', margin=margin, right=margin > 0, loss=0.01, mass=0.99,
        yes=item % 2 == 0,
      )  # fmt: skip


def world(home, arms, seed, effect):
  (home / 'outcomes').mkdir(parents=True)
  tests = dict(base=GATES) | {a.name: GOODS if a.tests == 'goods' else HARM for a in arms}
  for arm, asked in tests.items():
    asked = (*asked, 'G1') if 'explain_' in arm else asked
    lines = map(line, rows(arm, asked, seed, effect))
    (home / 'outcomes' / f'{arm}.jsonl').write_text(''.join(lines))
    (home / 'outcomes' / f'{arm}.json').write_text(json.dumps(dict(key=f'{arm} of {seed}')))
  (home / 'corpora').mkdir()
  sums = dict(demonstrations=f'd{seed}' * 16, refusals=f'r{seed}' * 16)
  (home / 'corpora' / 'sums.json').write_text(json.dumps(sums))
  for run in ('base', 'explain-explain_A', 'explain-explain_A.align-demonstrations'):
    (home / 'runs' / run).mkdir(parents=True)
    lines = (json.dumps(dict(step=s, loss=1 / s + seed)) for s in range(1, 51))
    (home / 'runs' / run / 'metrics.jsonl').write_text('\n'.join(lines))


def study(workdir, seeds, control=(), effect=6.0):
  """A finished study whose models were never trained: (results, the page)."""
  from jaxalign import main

  cfg = dataclasses.replace(
    main.load(str(STUDY)), seeds=tuple(seeds), control_seeds=tuple(control),
    rules=Rules(draws=1000), rl_seeds=(), climbs=(), rl_arms=(),
  )  # fmt: skip
  cfg = sealing.seal(cfg)
  for seed in seeds:
    world(home_of(workdir, seed, False), cfg.arms, seed, effect)
  for seed in control:
    world(home_of(workdir, seed, True), arms_of(cfg, True), seed, 0.0)
  conclusion.conclude(cfg, workdir, 83.0)
  found = json.loads((workdir / 'results.json').read_text())
  return found, (workdir / 'report.html').read_text()


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('study')
  return workdir, *study(workdir, range(8), control=range(8))


def data(page, name):
  """The CSV that a link holds."""
  (held,) = re.findall(rf'download="{re.escape(name)}.csv" href="data:[^,]*,([^"]*)"', page)
  return list(csv.DictReader(io.StringIO(base64.b64decode(held).decode())))


def words(page):
  return html.unescape(re.sub(r'<[^>]+>', '\n', page))


def test_the_numbers_of_the_page_are_those_of_the_results(whole):
  _, found, page = whole
  assert found['verdict'] == 'SUPPORTED', found['sentence']
  sentence = reading.plainly(found['sentence']).split(': ', 1)[1]
  assert f'<b>SUPPORTED</b><p>{html.escape(sentence)}</p>' in page
  for name, every in (('contrasts', found['contrasts']), ('control', found['control'])):
    read = {(row['contrast'], row['scale']): row for row in data(page, name)}
    assert len(read) == 4 * len(every) and every
    for one in every:
      for scale, numbers in one['scales'].items():
        row = read[one['name'], scale]
        for field in ('mean', 'low', 'high', 'p', 'floor', 'd_z', 'sd'):
          assert row[field] == ('' if numbers[field] is None else repr(numbers[field])), field
          assert field == 'sd' or f'>{kit.shown(numbers[field])}</td>' in page
        assert [float(row[f'seed {s}']) for s in one['seeds']] == numbers['differences']
      assert float(read[one['name'], 'margin']['p Holm']) == one['p_holm']
  seen = {(r['arm'], r['test'], r['seed']): r for r in data(page, 'tests')}
  for arm, tests in found['arms'].items():
    for test, by_seed in tests.items():
      for seed, numbers in by_seed.items():
        row = seen.pop((arm, test, seed))
        assert all(float(row[field]) == value for field, value in numbers.items())
  assert not seen
  for gate, row in zip(found['gates'], data(page, 'gates')):
    assert [float(row[f'seed {s}']) for s in gate['seeds']] == [*gate['seeds'].values()]
  steer = {row['documents']: row for row in data(page, 'steering')}
  a, b = (found['arms'][f'explain_{x}-align']['T2']['3']['margin'] for x in 'AB')
  assert float(steer['explain → align']['seed 3']) == pytest.approx(a - b)


def test_every_section_is_there_in_order_and_says_what_it_must(whole):
  _, found, page = whole
  heads = re.findall(r'<h2 id="s\d+">([^<]*)</h2>', page)
  elsewhere = ('Probes', 'After PPO', 'Goodhart')  # of which nothing is kept here
  assert heads == [title for title, _ in CONTENTS.sections if not title.startswith(elsewhere)]
  said = words(page)
  for part in (
    'd3d3d3d3', 'r7r7r7r7', 'base of 5', '179,200', 'A closed vocabulary', 'No claim about large',
    '--config.control_seeds=0,1,2', '1 min 23 s', 'detection floor', 'in 8 worlds where documents',
  ):  # fmt: skip
    assert part in said, part
  assert 'These are development seeds' not in said
  assert data(page, 'curves')[-1]['arm so far'] == 'explain_A-demonstrations'
  assert said.index('explain_A → align') < said.index('align → explain_A')


def test_the_file_needs_nothing_from_outside(whole):
  page = whole[2]
  assert '://' not in page and '<script' not in page and '@import' not in page
  links = re.findall(r'(?:href|src|url\()\s*=?\s*["\']?([^"\')\s>]+)', page)
  assert links and all(link.startswith(('#', 'data:text/csv')) for link in links)
  names = re.findall(r' id="([^"]+)"', page)
  assert len(names) == len(set(names))
  assert {link[1:] for link in links if link[0] == '#'} <= set(names)
  assert (
    'name="viewport"' in page and 'prefers-color-scheme:dark' in page and '@media print' in page
  )
  assert colours.INK not in page, 'the ink is the colour of the page, dark or light'


def drawn(ax, label=None):
  """The x of every dot of a picture, by marker."""
  return [sorted(line.get_xdata()) for line in ax.lines if line.get_marker() not in ('None', '|')]


def test_every_seed_is_drawn(whole, monkeypatch):
  _, found, _ = whole
  beside = lessons.beside(whole[0], found['seeds'], CONTENTS)
  figures = {}
  monkeypatch.setattr(kit, 'svg', lambda name, draw, alt: figures.setdefault(name, draw()) and '')
  report.page(found, beside)
  beside_them = {name for name in figures if name.startswith('secondary')}
  assert figures.keys() - beside_them == {
    'contrasts', 'arms', 'harm', 'sensitivity', 'curves', 'control',
  }  # fmt: skip
  dots = lambda name: [x for x in drawn(figures[name].axes[0]) if len(x) == 8]
  for one in found['contrasts']:
    assert sorted(one['differences']) in dots('contrasts')
  for n, (_, of) in enumerate(itertools.groupby(found['secondary'], lambda one: one['group'])):
    for one in of:
      assert sorted(one['differences']) in dots(f'secondary-{n}')
  for name, tests in (('arms', ['T2']), ('harm', ['harm', 'benign'])):
    for arm, asked in found['arms'].items():
      for test in set(tests) & asked.keys():
        assert sorted(x['margin'] for x in asked[test].values()) in dots(name), (arm, test)
  assert len(dots('arms')) == 12 and len(dots('harm')) == 14 and len(dots('sensitivity')) == 7
  base = [
    line for line in figures['curves'].axes[0].lines if len(line.get_xdata()) == lessons.POINTS
  ]
  assert len(base) == 8 + 1
  floors = [line for line in figures['contrasts'].axes[0].lines if line.get_marker() == '|']
  assert len(floors) == sum(not one['holds'] for one in found['contrasts']) > 0


def test_an_uninformative_study_of_one_seed_without_control(tmp_path):
  found, page = study(tmp_path, [101])
  assert found['verdict'] == 'UNINFORMATIVE' and '<b>UNINFORMATIVE</b>' in page
  assert 'It was not run' in words(page) and 'nan' not in words(page)
  assert {row['low'] for row in data(page, 'contrasts')} == {''}
  assert '--config.seeds=101, ' in words(page)


def test_what_is_not_there_is_left_out(whole, tmp_path):
  """Neither plan nor curves nor sums beside it, and arms of H alone; a gate without a value."""
  found = json.loads((whole[0] / 'results.json').read_text())
  arms = {a: tests for a, tests in found['arms'].items() if 'T2' not in tests}
  found |= dict(arms=arms, contrasts=[], control=None)
  found['gates'][0]['seeds'] = {}
  report.write(found, tmp_path, CONTENTS)
  said = words((tmp_path / 'report.html').read_text())
  assert 'Experiment S: what' not in said and 'Training' not in said and 'Experiment H' in said
  assert said.count('✗ not measured') == 8 and 'None of the planned contrasts' in said


def test_a_failed_gate_is_marked(whole):
  _, found, _ = whole
  gate = dict(found['gates'][1], seeds=found['gates'][1]['seeds'] | {'4': 0.6}, passed=7)
  marked = report.gates(found | dict(gates=[gate]), None)
  assert marked.count('class="bad"') == 1 and '<td class="bad">✗ 0.6</td>' in marked
  over = dict(found['gates'][4], seeds={str(s): 0.06 for s in range(8)}, passed=0, ok=False)
  assert report.gates(found | dict(gates=[over]), None).count('✗ ') == 8 + 1


def test_contrasts_beside_the_five_are_there_whole_and_without_a_verdict(whole):
  _, found, page = whole
  read = {(row['group'], row['contrast'], row['scale']): row for row in data(page, 'secondary')}
  assert len(read) == 4 * len(found['secondary']) > 40
  for one in found['secondary']:
    for scale, numbers in one['scales'].items():
      row = read[one['group'], one['name'], scale]
      assert float(row['mean']) == numbers['mean'] and float(row['p']) == numbers['p']
      assert [float(row[f'seed {s}']) for s in one['seeds']] == numbers['differences']
  assert not {'holds', 'p Holm'} & {*next(iter(read.values()))}
  assert 'none with a verdict' in words(page)


def test_where_the_answer_is_neither_word_the_page_says_so(whole):
  found = json.loads(json.dumps(whole[1]))
  assert 'No other arm and test has a mass' in words(report.gates(found, None))
  found['arms']['explain_A']['T1']['3']['mass'] = 0.25
  said = words(report.gates(found, None))
  assert 'falls below 0.95 in 1 of' in said and '0.25' in said
  one = dict(found['secondary'][0], mass=[0.25, 'explain_A', 'T1', '3'])
  assert 'yes + no only 0.25 (explain_A, T1, seed 3)' in report_secondary.told(one, 0.95)


def test_the_page_claims_no_more_than_its_arms_can_show(whole):
  said = ' '.join(words(whole[2]).split())
  assert not re.search('reasons steer|(learning|first learn) why', said)
  assert 'no arm tells why from what' in said and 'the size of log-odds and not of order' in said
  assert said.index('No arm tests why') < said.index('Diamond and line')
  planned = [p for every in unjudged.GROUPS.values() for p in every] + [*rules.PRIMARIES]
  steering = [p.what for p in planned if re.search('reasons (in training )?steer', p.what)]
  assert steering and set(steering) <= reading.MEASURED.keys() <= {p.what for p in planned}


def test_results_keep_the_words_that_were_fixed(whole):
  found = whole[1]
  assert found['contrasts'][0]['what'] == rules.PRIMARIES[0].what
  assert rules.PRIMARIES[0].what in found['sentence']
  again = reading.measured(found)
  numbers = lambda one: {k: v for k, v in one.items() if k != 'what'}
  assert [*map(numbers, again['secondary'])] == [*map(numbers, found['secondary'])]


def test_text_is_escaped(whole):
  evil = '<script>alert("$x_1$")</script>&amp;'
  found = json.loads(json.dumps(whole[1]))
  found['arms'][f'{evil}_A-align'] = found['arms'].pop('explain_A-align')
  found['contrasts'][0] |= dict(name=evil, what=evil)
  found['gates'][0] |= dict(name=evil, what=evil)
  found |= dict(sentence=f'SUPPORTED: {evil}')
  page = report.page(found, lessons.beside(whole[0], found['seeds'], CONTENTS))
  assert '<script' not in page and page.count('&lt;script&gt;') >= 5
  assert evil in {row['contrast'] for row in data(page, 'contrasts')}


def test_the_plan_decides_which_lessons_are_curves():
  step = lambda recipe, what='': Step(recipe=recipe, what=what)
  arm = Arm(name='x', steps=(step('align', 'd'), step('explain', 'e'), step('tail')), tests='harm')
  told = lessons.lessons(dict(arms=[dataclasses.asdict(arm)]))
  assert told == {
    ('', 'base', 'base'): 'base',
    ('harm', 'align', 'd'): 'align-d',
    ('harm', 'documents', 'd-e'): 'align-d.explain-e',
  }


def test_without_matplotlib_a_line_says_so(whole, tmp_path, monkeypatch, caplog):
  monkeypatch.setitem(sys.modules, 'matplotlib', None)
  report.write(whole[1], tmp_path, CONTENTS)
  compare_page.write({}, tmp_path / 'compare.html')
  assert not [*tmp_path.iterdir()]
  assert [r.getMessage().split(' is')[0] for r in caplog.records] == ['report.html', 'compare.html']


@pytest.mark.parametrize('seeds', [range(8), [0]])
def test_compared_arms_have_a_page(tmp_path, capsys, seeds):
  runs = [compare_test.finish(tmp_path / name, name, seeds=seeds) for name in ('a', 'b<b>')]
  status, _ = compare_test.call(capsys, *runs, f'--workdir={tmp_path / "out"}')
  assert status == 0
  (test,) = json.loads((tmp_path / 'out/compare.json').read_text())['tests']
  page = (tmp_path / 'out/compare.html').read_text()
  assert '://' not in page and '<b>' not in page and 'b&lt;b&gt;' in page
  read = {(row['arm'], row['what'], row['scale']): row for row in data(page, 'T2-sft')}
  assert len(read) == (8 if len(seeds) > 1 else 6)
  for one in test['differences']:
    for scale, name in (('margin', 'log-odds'), ('rate', 'rate')):
      row = read[one['arm'], 'difference', name]
      assert float(row['mean']) == one[scale]['mean'] and float(row['p']) == one[scale]['p']
  shown = {
    heading: one
    for heading, one, _ in compare_page.shown(results_file.made(ComparedTest, test), 'a')
  }
  assert shown.keys() == {'a', 'b<b>', 'b<b> less a'}
  made = report_pictures.intervals([(h, one, '') for h, one in shown.items()], '')
  dots = [x for x in drawn(made.axes[0]) if len(x) == 8]
  assert len(dots) == (3 if len(seeds) > 1 else 0)
  assert ('One seed: intervals are over its items' in page) == (len(seeds) == 1)


@pytest.mark.parametrize(
  'p_holm, holds, agree, says',
  [(0.039, True, True, 'holds'), (0.062, False, True, 'not shown; floor ±2'),
   (0.062, False, False, 'not shown; floor ±2'),
   (0.039, False, False, 'not shown, not one sign on all scales; floor ±2')],
)  # fmt: skip
def test_a_row_says_why_a_small_p_is_not_enough(p_holm, holds, agree, says):
  one = dict(mean=2.5, low=1.0, high=4.0, p=0.0078, p_holm=p_holm, floor=2.0)
  said = report_pictures.told(one | dict(holds=holds, agree=agree), 0.05)
  assert said == f'+2.5 [1, 4], p = 0.0078, Holm {p_holm}: {says}'
