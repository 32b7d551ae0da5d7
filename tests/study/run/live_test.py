"""What a study says while it runs."""

from jaxalign.study.run import live
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
    assert capsys.readouterr().err == said
