"""How much longer a study takes: from durations that are given, and no clock."""

import dataclasses
import itertools
import json
import pathlib

import pytest

from jaxalign.study.run.forecast import Forecast
from jaxalign.study.run.pieces import Piece
from jaxalign.study.store.clock import Lap

# seconds of a piece, and of making its programs the first time in a worker
COSTS = dict(corpora=(2.0, 0.0), base=(30.0, 11.0), asking=(1.5, 3.0), explain=(9.0, 10.0),
             align=(3.0, 11.0), tail=(1.0, 9.0))  # fmt: skip
FLOP = dict(base=30.0, explain=9.0, align=3.0, tail=1.0)
ARMS = {f'{kind}{n}': ('explain', 'align', 'tail') for kind in ('why', 'what') for n in 'AB'}
ARMS |= dict(plain=('align', 'tail'))


def piece(name, kind):
  steps = 100 * (kind in FLOP)
  return Piece(name=name, kind=kind, arithmetic=FLOP.get(kind, 0.0), steps=steps)


def world(arms=ARMS):
  yield piece('corpora', 'corpora')
  yield piece('base', 'base')
  yield piece('asked/base', 'asking')
  for arm, steps in arms.items():
    yield from (piece(f'{arm}.{step}', step) for step in steps)
    yield piece(f'asked/{arm}', 'asking')


def plan(seeds, arms=ARMS):
  return {(seed, ''): list(world(arms)) for seed in range(seeds)}


def events(left, workers, kept=False, costs=COSTS, started=5.0):
  """[(when, world, lap)] of a run whose pieces take what `costs` says."""
  clock, known, told, made = [started] * workers, [set() for _ in range(workers)], [], set()
  for where, pieces in left.items():
    n = min(range(workers), key=clock.__getitem__)
    for one in pieces:
      seconds, making = costs[one.kind]
      if one.kind in known[n] or kept and one.kind in made:
        making = 0.0
      known[n].add(one.kind)
      told.append((clock[n], where, Lap(worker=n, name=one.name, begins=True)))
      clock[n] += seconds + making
      spent = dict(seconds=seconds + making, compiling=making)
      told.append((clock[n], where, Lap(worker=n, name=one.name, **spent)))
    made |= known[n]
  return sorted(told, key=lambda one: one[0]), max(clock)


def at_share(share, left, workers, kept=False, costs=COSTS, paces=True):
  """(what is predicted of the whole, what is true) after this share of a run."""
  told, end = events(left, workers, kept, costs)
  now, forecast = share * end, Forecast(left, workers, kept)
  for when, where, lap in told:
    if when <= now:
      forecast.hear(where, lap, when)
  begun = {(where, lap.name): when for when, where, lap in told if lap.begins}
  known = [{one.kind for one, lap, _ in forecast.done if lap.worker == n} for n in range(workers)]
  for where, one in forecast.going() if paces else ():
    (n,) = (k for k, worker in forecast.workers.items() if worker.world == where)
    seconds, making = costs[one.kind]
    making *= one.kind not in known[n]
    done = (now - begun[where, one.name] - making) / seconds
    if one.steps and done > 0.02:
      forecast.paced(where, one, done, seconds, making)
  found = forecast.seconds(now)
  return None if found is None else (now + found.seconds, end, found.whole)


@pytest.mark.parametrize('seeds, workers', [(16, 2), (24, 2), (8, 1), (72, 3)])
@pytest.mark.parametrize('share', [0.1, 0.25, 0.5, 0.9])
def test_within_a_quarter_after_a_tenth(seeds, workers, share):
  predicted, true, whole = at_share(share, plan(seeds), workers)
  assert whole and abs(predicted - true) < 0.05 * true  # well within


@pytest.mark.parametrize('seeds', [2, 4])
@pytest.mark.parametrize('share', [0.15, 0.2, 0.25, 0.5, 0.75])
def test_of_few_seeds_the_base_that_is_going_on_tells(seeds, share):
  predicted, true, whole = at_share(share, plan(seeds), 2)
  assert abs(predicted - true) < 0.25 * true
  assert whole == (share * true > 5.0 + 2.0 + 41.0 + 4.5), 'when the base has been asked'


def test_nothing_is_known_before_anything_is_measured():
  assert at_share(0.01, plan(4), 2) is None
  assert Forecast(plan(4), 2, kept=False).seconds(0.0) is None
  assert at_share(0.04, plan(4), 2) is None, 'corpora tell nothing of training'


def test_what_makes_programs_is_counted_once_a_worker():
  """Two worlds of one worker: the second costs what it costs without."""
  predicted, true, _ = at_share(0.75, plan(2), 1)
  assert predicted == pytest.approx(true)
  costs = sum(seconds for seconds, _ in (COSTS[one.kind] for one in world()))
  forecast = Forecast(plan(2), 1, kept=False)
  told, _ = events(plan(1), 1)
  for when, where, lap in told:
    forecast.hear(where, lap, when)
  assert forecast.seconds(told[-1][0]).seconds == pytest.approx(costs)


def test_a_worker_that_comes_later_finds_what_another_has_made():
  """Of three workers one has done a world; the other two have not said a word."""
  left = plan(3)
  alone = sum(seconds for seconds, _ in (COSTS[one.kind] for one in world()))
  making = sum(making for _, making in COSTS.values())
  told, _ = events(plan(1), 1)
  for kept, more in ((True, 0.0), (False, making)):
    forecast = Forecast(left, 3, kept=kept)
    for when, where, lap in told:
      forecast.hear(where, lap, when)
    assert forecast.seconds(told[-1][0]).seconds == pytest.approx(alone + more)


def test_what_is_resumed_is_not_counted():
  left = plan(8)
  for seed in range(4):
    left[seed, ''] = []
  predicted, true, _ = at_share(0.5, left, 2)
  assert predicted == pytest.approx(true, rel=0.02)
  forecast = Forecast(left, 2, kept=False)
  forecast.hear((0, ''), Lap(worker=1, name='base', seconds=0.001), 1.0)
  assert forecast.seconds(1.0) is None, 'what stood there already measures nothing'


def test_a_kind_that_was_never_done_goes_by_its_arithmetic():
  forecast = Forecast({(0, ''): [piece('b', 'base'), piece('e', 'explain')]}, 1, kept=False)
  forecast.hear((0, ''), Lap(worker=1, name='b', begins=True), 0.0)
  forecast.hear((0, ''), Lap(worker=1, name='b', seconds=61.0, compiling=1.0), 61.0)
  # 9 of 30 FLOP at twice a second each, and as long to make as the base
  assert forecast.seconds(61.0).seconds == pytest.approx(2 * 9.0 + 1.0)


def test_a_piece_in_another_is_not_the_other():
  """An arm is asked once its steps are trained, while it is being asked."""
  pieces = [piece('t', 'tail'), piece('a', 'asking')]
  forecast = Forecast({(0, ''): pieces, (1, ''): pieces}, 1, kept=False)
  say = lambda now, name, **lap: forecast.hear((0, ''), Lap(worker=1, name=name, **lap), now)
  say(0.0, 'a', begins=True)
  say(0.0, 't', begins=True)
  assert [one.name for _, one in forecast.going()] == ['t']
  say(10.0, 't', seconds=10.0)
  assert [one.name for _, one in forecast.going()] == ['a']
  say(14.0, 'a', seconds=4.0)
  assert forecast.going() == [] and forecast.seconds(14.0).seconds == 14.0


def test_a_world_that_is_left_is_over():
  """What the plan thought was there and nobody did holds no end up."""
  left = {(0, ''): [piece('a', 'asking'), piece('lost', 'asking')], (1, ''): [piece('a', 'asking')]}
  forecast = Forecast(left, 1, kept=False)
  forecast.hear((0, ''), Lap(worker=1, name='a', seconds=4.0), 4.0)
  assert forecast.seconds(4.0).seconds == 8.0
  forecast.hear((1, ''), Lap(worker=1, name='a', begins=True), 4.0)
  assert forecast.seconds(4.0).seconds == 4.0 and forecast.seconds(5.0).seconds == 3.0
  forecast.hear((1, ''), Lap(worker=1, name='a', seconds=4.0), 8.0)
  assert forecast.seconds(8.0) == dataclasses.replace(forecast.seconds(8.0), seconds=0.0)


def test_controls_of_fewer_arms_and_uneven_costs():
  """48 worlds of controls, which have three arms, after 24 with five; every third piece is slow."""
  few = dict(itertools.islice(ARMS.items(), 3))
  left = plan(24) | {(seed, c): list(world(few)) for c in ('rho', 'kappa') for seed in range(24)}
  predicted, true, _ = at_share(0.1, left, 2)
  assert abs(predicted - true) < 0.05 * true


def recorded():
  """[(worker, seed, piece, begin, end, seconds of making programs)] of a study of why and what on
  seeds 200 to 203, 153 s on two cores, as the times of its files tell."""
  rows = json.loads((pathlib.Path(__file__).parent / 'recorded.json').read_text())
  for worker, seed, name, kind, flop, begin, end, making in rows:
    steps = 100 * name.startswith('runs/')
    yield (
      worker,
      seed,
      Piece(name=name, kind=kind, arithmetic=flop, steps=steps),
      begin,
      end,
      making,
    )


@pytest.mark.parametrize('share', [0.1, 0.15, 0.25, 0.4, 0.5, 0.75, 0.9])
def test_a_run_that_was_recorded_is_foretold_within_a_tenth(share):
  rows = list(recorded())
  left = {(seed, ''): [row[2] for row in rows if row[1] == seed] for seed in range(200, 204)}
  true = max(end for *_, end, _ in rows)
  now, forecast = share * true, Forecast(left, 2, kept=True)
  told = []
  for worker, seed, one, begin, end, making in rows:
    lap = Lap(worker=worker, name=one.name, seconds=end - begin, compiling=making)
    begins = Lap(worker=worker, name=one.name, begins=True)
    told += [(begin, 1, (seed, ''), begins), (end, 0, (seed, ''), lap)]
  for when, _, world, lap in sorted(told, key=lambda one: one[:2]):
    if when <= now:
      forecast.hear(world, lap, when)
  for _, seed, one, begin, end, making in rows:
    if one.steps and begin + making < now < end:
      seconds = end - begin - making
      forecast.paced((seed, ''), one, (now - begin - making) / seconds, seconds, making)
  assert now + forecast.seconds(now).seconds == pytest.approx(true, rel=0.1)
