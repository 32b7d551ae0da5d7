"""What a study says while it runs."""

import json

import pytest

from jaxalign.study.run import live
from jaxalign.study.store import clock
from tests.study import tiny

CFG = tiny.plan()


def test_seconds_are_of_all_calls(tmp_path):
  shown = live.Live(CFG, tmp_path)
  shown.began -= 100
  assert shown.seconds() >= 100
  assert live.Live(CFG, tmp_path).seconds() >= 100


def test_too_few_seeds_are_said_before_anything_is_run(tmp_path, capsys):
  for seeds, said in (
    ((0, 1), '2 seeds of the 6 that a verdict needs: it will be UNINFORMATIVE\n'),
    (range(7), '7 seeds; the least p after Holm is 0.078: no contrast can hold, take more seeds\n'),
    (range(8), ''),
  ):
    live.Live(tiny.plan(seeds=tuple(seeds)), tmp_path).foretell()
    assert capsys.readouterr().err.split('report.html.\n')[1] == said


def test_the_first_lines_say_what_is_done_and_where_its_page_will_be(tmp_path, capsys):
  live.Live(tiny.plan(control_seeds=(0, 1), controls=('rho',)), tmp_path, workers=2).foretell()
  first, second, *_ = capsys.readouterr().err.split('\n')
  assert first == (
    'What do documents add to the same demonstrations? 3 arms on 2 seeds, with rho = 0 on 2 seeds '
    'beside them.'
  )
  assert second == (
    '22 lessons to train, 2 worlds at a time; how long is said as soon as work has been timed; '
    f'the page will be {tmp_path / "report.html"}.'
  )


def test_what_is_there_is_said_to_be_there(tmp_path, capsys):
  shown = live.Live(CFG, tmp_path)
  corpora = shown.forecast.left[0, '']['corpora and tests']
  shown.forecast.left[0, ''] = {corpora.name: corpora}
  shown.foretell()
  assert '1 of 2 worlds is there already; 7 lessons to train, one world' in capsys.readouterr().err
  shown.forecast.left[1, ''] = {corpora.name: corpora}
  shown.foretell()
  assert 'All of it is there already and is judged again' in capsys.readouterr().err


def lines(shown, capsys):
  shown.shown = -1e9
  shown.say(None, None)
  return capsys.readouterr().err


def test_nothing_is_guessed_before_work_is_timed(tmp_path, capsys):
  shown = live.Live(CFG, tmp_path)
  assert lines(shown, capsys).endswith(' so far, not known yet how much longer\n')


def test_the_line_tells_what_the_forecast_says(tmp_path, capsys):
  """Of base, lessons and asking of one world; the second world is as the first."""
  shown, world = live.Live(CFG, tmp_path), (0, '')
  for piece in list(shown.forecast.left[world].values()):
    shown.say(world, clock.Lap(worker=1, name=piece.name, seconds=2.0))
  left = shown.forecast.seconds(0.0).seconds
  assert left == 2.0 * len(shown.forecast.left[1, '']) and 'about 32 s left\n' in lines(
    shown, capsys
  )


def test_a_run_that_goes_on_is_read_where_it_goes_on(tmp_path, capsys):
  shown, world = live.Live(CFG, tmp_path), (0, '')
  home = tmp_path / 'seed-0' / 'runs' / 'base'
  home.mkdir(parents=True)
  told = (json.dumps(dict(step=step, loss=1.0, seconds=float(step))) for step in range(1, 5))
  (home / 'metrics.jsonl').write_text('\n'.join(told) + '\n')
  shown.say(world, clock.Lap(worker=1, name='runs/base', begins=True))
  assert 'left, and what was not timed yet\n' in lines(shown, capsys)


@pytest.mark.parametrize(
  'seconds, said', [(0.4, '0 s'), (99.4, '99 s'), (100, '2 min'), (934, '16 min'), (7873, '2.2 h')]
)
def test_durations_are_short(seconds, said):
  assert live._spoken(seconds) == said
