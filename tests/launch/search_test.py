"""The search finds the most rows that fit with few compiles, and prints what is worth having."""

import pathlib

import pytest

from jaxalign.config import UserError
from launch import search, slices

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEPT = dict(full=1, qkv=4, dots=9, none=16)  # bytes of a row


def fake(limit, asked):
  def ask(how):
    said = dict(flag.removeprefix('--config.').split('=') for flag in how)
    asked.append(how)
    rows = 12 // int(said['microbatches'])
    peak = rows * KEPT[said['model.remat']]
    seconds = 100 / rows + dict(full=30, qkv=20, dots=10, none=0)[said['model.remat']]
    return [dict(fits=peak <= limit, peak_bytes=peak, stage_seconds=seconds)]

  return ask


@pytest.mark.parametrize(
  'limit, rows',
  [
    (200, dict(full=12, qkv=12, dots=12, none=12)),
    (24, dict(full=12, qkv=6, dots=2, none=1)),
    (10, dict(full=6, qkv=2, dots=1)),  # 12 are too many even for `full`; `none` fits nowhere
    (3, dict(full=3)),
    (0, {}),
  ],
)
def test_the_most_that_fit(limit, rows):
  asked = []
  found = search.search([(dict(data=1, fsdp=4, tensor=1), 12)], fake(limit, asked))
  assert {how[-1].split('=')[1]: 12 // int(how[-2].split('=')[1]) for how, _ in found} == rows
  assert len(asked) <= 4 * 4 and len({tuple(a) for a in asked}) == len(asked)


def test_pareto_keeps_what_nothing_beats():

  def of(seconds, peak):
    return ['x'], [dict(stage_seconds=seconds, peak_bytes=peak)]

  kept = search.pareto([of(3, 1), of(1, 9), of(2, 5), of(2, 6), of(4, 1)])
  assert [row[:2] for row in kept] == [(1, 9), (2, 5), (3, 1)]
  assert 'larger slice' in next(search.lines([]))


def test_candidates_keep_the_batch_and_the_slices():
  spec = str(ROOT / 'configs/explain_llama2_7b.py')
  found = search.candidates(spec, [], slices.parse('2xv5e-16'))
  assert found == [
    (dict(data=2, fsdp=16, tensor=1), 32),
    (dict(data=2, fsdp=8, tensor=2), 64),
    (dict(data=2, fsdp=4, tensor=4), 128),
  ]
  with pytest.raises(UserError, match='do not go evenly'):
    search.candidates(spec, ['--config.batch=7'], slices.parse('v5e-16'))
