"""jaxalign compare: pairs by prompt and seed whatever the order, and refuses what is no pair."""

import hashlib
import itertools
import json
import random

import numpy as np
import pytest

from jaxalign import main, statistics
from jaxalign.config import UserError
from jaxalign.study.judge import compare
from jaxalign.study.store.rows import line
from tests.study import made_up

S, N = 8, 12
SAME = {str(seed): 'b' * 64 for seed in range(S)}  # of every seed what `finish` says of all


def margin(arm, seed):
  rng = np.random.default_rng([*f'{arm}{seed}'.encode()])
  return rng.normal() + rng.normal(size=N) + len(arm) / 8


def finish(path, *arms, seeds=range(S), tests=('T2',), after='sft', asked='', **about):
  """A finished run; its items are numbered and written in an order of its own."""
  rows, shuffle = [], random.Random(path.name)
  for arm, seed, test in itertools.product(arms, seeds, tests):
    number = shuffle.sample(range(N), N)
    for n, x in enumerate(margin(arm, seed)):
      prompt = hashlib.sha256(f'{seed} {n}{asked}'.encode()).hexdigest()
      where = dict(arm=arm, seed=seed, after=after, test=test, item=number[n])
      rows.append(made_up.row(x, cluster=f'domain {n % 3}', prompt=prompt, **where))
  shuffle.shuffle(rows)
  path.mkdir()
  (path / 'outcomes.jsonl').write_text(''.join(map(line, rows)))
  told = dict(base='b' * 64, items=dict.fromkeys(tests, 'b' * 64), tokens=96_000, steps=200)
  (path / 'about.json').write_text(json.dumps(told | about))
  return str(path)


def call(capsys, *args):
  status = main.main(['jaxalign', 'compare', *map(str, args)])
  out, err = capsys.readouterr()
  return status, out if status == 0 else err


def test_arms_are_paired_by_prompt_and_seed(tmp_path, capsys):
  a = finish(tmp_path / 'a', 'align')
  b = finish(
    tmp_path / 'b', 'mention', 'explain', seeds=range(1, S + 1), tokens=dict(explain=77_000)
  )
  status, out = call(capsys, a, b, f'--workdir={tmp_path / "out"}')
  assert status == 0
  found = json.loads((tmp_path / 'out/compare.json').read_text())
  assert found['against'] == 'align'
  assert found['seeds'] == [*range(1, S)] and found['seeds_left_out'] == [0, S]
  (test,) = found['tests']
  assert (test['test'], test['after'], test['items'], test['clusters']) == ('T2', 'sft', N, 3)
  for one in test['differences']:
    d_SN = [margin(one['arm'], s) - margin('align', s) for s in range(1, S)]
    share_AS = [[np.mean(margin(arm, s) > 0) for s in range(1, S)] for arm in (one['arm'], 'align')]
    rate_S = np.subtract(*share_AS)
    for scale, d_S, sesoi in (('margin', np.mean(d_SN, axis=1), 0.2), ('rate', rate_S, 0.05)):
      known, seen = statistics.paired(d_S), one[scale]
      for field in ('mean', 'low', 'high', 'p', 'floor', 'n'):
        assert seen[field] == pytest.approx(getattr(known, field)), (scale, field)
      assert seen['differences'] == pytest.approx(list(d_S))
      assert seen['tost'] == pytest.approx(statistics.tost(d_S, sesoi)), 'as in a study'
    signs = {np.sign(one[scale]['mean']) for scale in ('margin', 'rate', 'logit', 'arcsine')}
    assert one['agree'] == (len(signs) == 1)
  by_name = {arm['arm']: arm for arm in found['arms']}
  assert by_name['align']['tokens'] == 96_000 and by_name['explain']['tokens'] == 77_000
  assert by_name['mention']['tokens'] is None
  mean = np.mean([margin('align', s) for s in range(1, S)])
  assert test['arms'][0]['margin']['mean'] == pytest.approx(mean)
  shown = test['differences'][1]['margin']
  parts = [f'{shown["mean"]:+.3f} [{shown["low"]:.3f}, {shown["high"]:.3f}]']
  parts += [f'{shown["p"]:.2g}', f'{shown["floor"]:.3f}', '96,000 tokens, 200 steps']
  parts += ['T2 after sft (12 items, 3 clusters)', 'differences are against align']
  for part in (*parts, 'left out, not in all: seeds 0 8'):
    assert part in out, part


def test_runs_with_other_seeds_are_compared_on_those_that_both_have(tmp_path):
  """Bases and items are named seed by seed, as a study names them."""
  runs = []
  for name, seeds in (('a', range(S)), ('b', range(3))):
    each = {str(s): f'{s}' * 64 for s in seeds}
    runs.append(finish(tmp_path / name, name, seeds=seeds, base=each, items=dict(T2=each)))
  assert 'seeds 0 1 2;' in compare.compare(runs)


def test_a_difference_whose_sign_hangs_on_the_scale_is_marked(tmp_path, monkeypatch):
  """Its margins are higher in the mean for one item's sake, and its rate is lower."""
  shift = np.r_[60.0, np.full(N - 1, -2.0)]
  known = margin
  monkeypatch.setitem(globals(), 'margin', lambda arm, s: known('a', s) + shift * (arm == 'b'))
  a, b = finish(tmp_path / 'a', 'a'), finish(tmp_path / 'b', 'b')
  out = compare.compare([a, b], tmp_path / 'out')
  assert 'b: the sign of its difference is not the same on every scale' in out
  (test,) = json.loads((tmp_path / 'out/compare.json').read_text())['tests']
  assert test['differences'][0]['agree'] is False


def test_one_arm_of_a_run_and_two_of_one_name(tmp_path, capsys):
  a, b = finish(tmp_path / 'a', 'align'), finish(tmp_path / 'b', 'align', 'explain')
  assert 'explain' not in call(capsys, a, f'{b}:align')[1]
  assert f'{a}:align' in call(capsys, a, b)[1]
  status, out = call(capsys, b)  # one directory may hold both
  assert status == 0 and 'differences are against ' in out
  assert not [*tmp_path.glob('**/compare.json')], 'without --workdir nothing is written'


def test_of_one_seed_the_items_are_the_unit_and_the_table_says_so(tmp_path, capsys):
  a, b = (finish(tmp_path / name, name, seeds=[0]) for name in ('a', 'bb'))
  status, out = call(capsys, a, b, f'--workdir={tmp_path}')
  assert status == 0 and 'one seed: intervals are over its items' in out
  (test,) = json.loads((tmp_path / 'compare.json').read_text())['tests']
  assert test['unit'] == 'item' and test['differences'][0]['margin']['n'] == N
  p_t = statistics.paired(margin('bb', 0) - margin('a', 0)).p_t
  assert test['differences'][0]['margin']['p_t'] == pytest.approx(p_t)
  rate = test['arms'][0]['rate']
  assert 0 < rate['low'] < rate['mean'] < rate['high'] < 1, 'by Wilson'


@pytest.mark.parametrize(
  'changed, says',
  [
    (dict(base='c' * 64), 'a and b grew from other base weights on seed 0'),
    (dict(base={'0': 'b' * 64}), 'does not say the base of seed 1'),
    (dict(base=SAME | {'5': 'x'}), 'a and b grew from other base weights on seed 5'),
    (dict(items={'T2': 'j' * 64}), 'a and b were asked other items in T2'),
    (dict(items={'T2': SAME | {'7': 'x'}}), 'a and b were asked other items in T2'),
    (dict(items={'T2': 'b' * 64, 'T3': 'k' * 64}), 'other items in T3'),
    (dict(asked='?'), 'T2 after sft, seed 0: of 12 prompts of a, b lacks 12 and has 12 others'),
    (dict(seeds=[20]), 'a and b have no seed in common'),
    (dict(after='ppo'), 'a and b have no test in common'),
    (dict(after='ppo', arms='cdef'), ' and 2 more have no test in common: measure one'),
  ],
)
def test_what_is_no_pair_is_refused_in_one_line(tmp_path, capsys, changed, says):
  arms = changed.pop('arms', 'b')
  a, b = finish(tmp_path / 'a', 'a'), finish(tmp_path / 'b', *arms, **changed)
  status, err = call(capsys, a, b, f'--workdir={tmp_path / "out"}')
  assert status == 2 and says in err and err.startswith('error: ') and err.count('\n') == 1
  assert not (tmp_path / 'out').exists()


def test_a_test_that_one_arm_lacks_is_left_out_and_said(tmp_path):
  a, b = finish(tmp_path / 'a', 'a'), finish(tmp_path / 'b', 'b')
  rows = (tmp_path / 'b/outcomes.jsonl').read_text()
  after = rows.replace('"after": "sft"', '"after": "ppo"')
  (tmp_path / 'b/outcomes.jsonl').write_text(rows + '\n' + after)
  out = compare.compare([a, b])
  assert 'left out, not in all: T2 after ppo' in out and '\nT2 after sft' in out


@pytest.mark.parametrize(
  'args, says',
  [
    (('nowhere',), 'nowhere holds no outcomes.jsonl'),
    (('a:c',), 'has no arm c: it has a'),
    ((), 'two finished arms or more'),
    (('a',), 'a:a is given twice'),
    (('--config=x.py',), 'leave the rest out'),
    (('--doctor',), 'leave the rest out'),
    (('--config.steps=3',), 'leave the rest out'),
  ],
)
def test_runs_that_are_none(tmp_path, capsys, monkeypatch, args, says):
  monkeypatch.chdir(tmp_path)
  finish(tmp_path / 'a', 'a')
  status, err = call(capsys, 'a', *args)
  assert status == 2 and says in err and err.count('\n') == 1


def test_an_about_that_says_nothing(tmp_path):
  a = finish(tmp_path / 'a', 'a', 'b')
  for text, says in (('{}', 'does not say base and items'), ('{', 'cannot be read')):
    (tmp_path / 'a/about.json').write_text(text)
    with pytest.raises(UserError, match=says):
      compare.compare([a])


def test_a_page_is_drawn_from_what_is_written(tmp_path):
  a, seen = finish(tmp_path / 'a', 'a', 'b'), []
  compare.compare([a], tmp_path / 'out', page=lambda found, path: seen.append((found, path)))
  ((found, path),) = seen
  assert path.name == 'compare.html' and found.against in 'ab'
  assert json.loads((tmp_path / 'out/compare.json').read_text())['seeds'] == [*found.seeds]


def test_what_went_on_through_ppo_on_fewer_seeds_is_compared_on_those(tmp_path, capsys):
  runs = [finish(tmp_path / name, name) for name in ('align', 'explain')]
  for name in ('align', 'explain'):
    later = finish(tmp_path / f'{name}-later', name, seeds=(0, 1), after='ppo')
    with open(tmp_path / name / 'outcomes.jsonl', 'a', encoding='utf-8') as store:
      store.write('\n' + (tmp_path / later / 'outcomes.jsonl').read_text())
  status, said = call(capsys, *runs, f'--workdir={tmp_path / "out"}')
  assert status == 0, said
  found = json.loads((tmp_path / 'out/compare.json').read_text())
  seeds = {t['after']: len(t['differences'][0]['margin']['differences']) for t in found['tests']}
  assert seeds == dict(sft=S, ppo=2)


def test_names_of_arms_are_data(tmp_path, capsys):
  pytest.importorskip('matplotlib', reason='the page is an extra: jaxalign[report]')
  names = '<script>', '$\\frac{$', 'a\nb', '\x1b[31m', 'x' * 10_000, ''
  runs = [finish(tmp_path / str(n), name, seeds=(0, 1)) for n, name in enumerate(names)]
  status, said = call(capsys, *runs, f'--workdir={tmp_path / "out"}')
  assert status == 0 and '\x1b' not in said and max(map(len, said.splitlines())) < 1000, said
  page = (tmp_path / 'out/compare.html').read_text()
  assert '<script' not in page and '$\\frac{$' in page
  with open(tmp_path / '0' / 'outcomes.jsonl', 'a', encoding='utf-8') as store:
    store.write('\n' + json.dumps(dict(seed=0, arm='\ud800')))
  assert 'arm holds half a surrogate pair' in call(capsys, *runs)[1]
