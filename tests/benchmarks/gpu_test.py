"""benchmarks/gpu runs where no GPU is, its file says what, when and by what; HLO is read right."""

import datetime
import json
import time

import jax
import pytest

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import reading, report, training, work


@pytest.mark.campaign
def test_it_runs_tiny_and_writes_what_it_found(tmp_path, capfd):
  pytest.importorskip('torch')
  assert gpu.main(['--tiny', f'--out={tmp_path}/gpu.json']) == 0
  made = json.loads((tmp_path / 'gpu.json').read_text())
  assert datetime.datetime.fromisoformat(made['date']).tzinfo is not None
  assert made['versions']['jax'] == jax.__version__
  assert made['versions']['torch'] and made['card']
  rows = {row['what']: row for row in made['rows']}
  both = [f'{what} {name}' for name in work.TINY_MODELS for what in ('train', 'prefill', 'decode')]
  theirs = [f'{what}, {how}' for what in both for how in ('eager', 'compiled')]
  varied = [f'decode {name}{label}' for name in work.TINY_MODELS for label in gpu.VARIANTS]
  alone = ['card matmul', 'card copy', 'attention causal', 'attention packed', 'ppo phi2_tiny']
  assert {*alone, *both, *theirs, *varied} <= set(rows)
  for name, row in rows.items():
    assert 'left_out' not in row, name
    assert 'seconds' not in row or row['n'] >= 3, name
  assert rows['train phi2_tiny']['remat'] in ('full', 'qkv', 'dots', 'none')
  assert any('train phi2_tiny' in line and 'eager' in line for line in made['table'])


class Paper(report.Report):
  def __init__(self, left=1e9):
    self.made, self.deadline = [], time.monotonic() + left

  def row(self, what, **values):
    self.made.append((what, *values))


def test_what_does_not_fit_is_tried_with_fewer_rows():
  tried, paper = [], Paper()

  def measure(report, rows, name):
    tried.append((rows, name))
    if rows > 2:
      raise jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: out of memory')

  report.shrinking(paper, 'decode x', 8, measure, 'x')
  assert tried == [(8, 'x'), (4, 'x'), (2, 'x')]
  assert paper.made == [('decode x', 'out_of_memory')] * 2
  late = Paper(left=-1)
  report.shrinking(late, 'decode x', 8, measure, 'x')
  assert len(tried) == 3 and late.made == [('decode x', 'left_out')]


def test_a_search_keeps_of_each_remat_the_most_rows_that_fit(monkeypatch):
  """On a card that holds all rows of a step with `full`, half of them with `qkv`, and no more."""
  asked = []

  def candidate(report, name, stage):
    asked.append((stage.model.remat, stage.microbatches))
    fits = asked[-1] in (('full', 1), ('qkv', 2))
    return stage if fits else None

  monkeypatch.setattr(training, 'candidate', candidate)
  cfg = work.TINY_MODELS['llama2_tiny']
  found = training.fitting(Paper(), 'x', cfg, work.TINY)
  assert [(one.model.remat, one.microbatches) for one in found] == [('full', 1), ('qkv', 2)]
  assert ('dots', 2) in asked and not any(remat == 'none' for remat, _ in asked)
  assert {one.batch for one in found} == {work.TINY.rows}


def test_what_is_stored_follows_from_the_memory():
  cfg = work.MODELS['llama2_7b']
  for gib, dtype in ((155, 'float32'), (80, 'bfloat16')):
    fit, words = work.stored(cfg, gib * 2**30)
    assert fit.weights == dtype and '6.74 B' in words and dtype in words
  assert work.stored(cfg, None)[0].weights == 'float32'


def test_a_token_reads_weights_and_cache():
  """Llama-2-7B, 32 rows of 768 slots: 13.2 GB of weights and 12.9 GB of cache."""
  cfg = work.MODELS['llama2_7b']
  weights, both = (work.token_bytes(cfg, 32, slots) for slots in (0, 768))
  assert round(weights / 1e9, 1) == 13.2 and round((both - weights) / 1e9, 1) == 12.9


def test_a_table_has_ours_beside_theirs_and_the_goal():
  row = dict(what='train phi2', seconds=0.5, n=5, low=0.4, high=0.6, mfu=0.62)
  theirs = dict(what='train phi2, eager', seconds=0.75, side='theirs')
  line = list(gpu.table([row, theirs]))[2]
  assert line == '| train phi2 | 500.0 (400.0 to 600.0, n=5) | eager 750.0 | 0.62 | 0.6: reached |'
  missed = list(gpu.table([row | dict(mfu=0.59)]))[2]
  assert missed.endswith('| 0.59 | 0.6: missed |')


HLO = """HloModule m

%fused_slice (p0: bf16[4,8,16], p1: s32[]) -> bf16[1,8,16] {
  %p0 = bf16[4,8,16]{2,1,0} parameter(0)
  %p1 = s32[] parameter(1)
  %c = s32[] constant(0)
  ROOT %ds = bf16[1,8,16]{2,1,0} dynamic-slice(%p0, %p1, %c, %c), dynamic_slice_sizes={1,8,16}
}

%fused_put (p0: bf16[4,8,16], p1: bf16[8,16], p2: s32[]) -> bf16[4,8,16] {
  %p0 = bf16[4,8,16]{2,1,0} parameter(0)
  %p1 = bf16[8,16]{1,0} parameter(1)
  %p2 = s32[] parameter(2)
  %n = bf16[8,16]{1,0} negate(%p1)
  %b = bf16[1,8,16]{2,1,0} bitcast(%n)
  %c = s32[] constant(0)
  ROOT %dus = bf16[4,8,16]{2,1,0} dynamic-update-slice(%p0, %b, %p2, %c, %c)
}

%body (arg: (s32[], bf16[4,8,16], bf16[32,16])) -> (s32[], bf16[4,8,16], bf16[32,16]) {
  %arg = (s32[], bf16[4,8,16], bf16[32,16]) parameter(0)
  %i = s32[] get-tuple-element(%arg), index=0
  %w = bf16[4,8,16]{2,1,0} get-tuple-element(%arg), index=1
  %x = bf16[32,16]{1,0} get-tuple-element(%arg), index=2
  %own = bf16[1,8,16]{2,1,0} fusion(%w, %i), kind=kLoop, calls=%fused_slice
  %flat = bf16[8,16]{1,0} bitcast(%own)
  %y = (bf16[32,8]{1,0}, s8[4096]{0}) custom-call(%x, %flat), custom_call_target="__cublas$lt$matmul", backend_config={"gemm_backend_config":{"dot_dimension_numbers":{"lhs_contracting_dimensions":["1"]}}}
  %put = bf16[4,8,16]{2,1,0} fusion(%w, %flat, %i), kind=kLoop, calls=%fused_put
  ROOT %out = (s32[], bf16[4,8,16], bf16[32,16]) tuple(%i, %put, %x)
}

%test (arg: (s32[], bf16[4,8,16], bf16[32,16])) -> pred[] {
  %arg = (s32[], bf16[4,8,16], bf16[32,16]) parameter(0)
  ROOT %t = pred[] constant(true)
}

ENTRY %main (a: (s32[], bf16[4,8,16], bf16[32,16])) -> (s32[], bf16[4,8,16], bf16[32,16]) {
  %a = (s32[], bf16[4,8,16], bf16[32,16]) parameter(0)
  ROOT %loop = (s32[], bf16[4,8,16], bf16[32,16]) while(%a), condition=%test, body=%body, backend_config={"known_trip_count":{"n":"4"}}
}
"""  # noqa: E501


def test_kernels_are_counted_with_their_bytes_and_loops():
  own, matmul, put = reading.kernels(HLO)
  slice_bytes = 2 * 8 * 16
  assert (own.kind, own.times, own.bytes) == ('move', 4, 2 * slice_bytes + 4)  # and the index
  assert (matmul.kind, matmul.flops) == ('matmul', 2 * 32 * 8 * 16)
  assert matmul.bytes == 2 * (32 * 16 + 8 * 16 + 32 * 8)  # no scratch
  assert (put.kind, put.bytes) == ('other', 2 * slice_bytes + 4)  # in place: what is put there
  rates = dict(matmul=2.0 * 32 * 8 * 16, bytes=1e9)
  assert reading.totals([matmul], rates)['matmul']['seconds'] == 4.0
