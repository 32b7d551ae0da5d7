"""benchmarks/gpu.py runs where there is no GPU, and its file says what, when and by what."""

import datetime
import json

import jax
import pytest

from benchmarks import gpu


@pytest.mark.campaign
def test_it_runs_tiny_and_writes_what_it_found(tmp_path, capsys, monkeypatch):
  make_mesh = gpu.make_mesh
  monkeypatch.setattr(gpu, 'make_mesh', lambda devices: make_mesh(1, 1, 1, devices=devices))
  assert gpu.main(['--tiny', f'--out={tmp_path}/gpu.json']) == 0
  made = json.loads((tmp_path / 'gpu.json').read_text())
  age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(made['date'])
  assert age < datetime.timedelta(hours=1) and made['versions']['jax'] == jax.__version__
  rows = {row['what']: row for row in made['rows']}
  names = [f'{what} {name}' for name in gpu.TINY_MODELS for what in ('train', 'prefill', 'decode')]
  assert {'chip', *names, 'ppo phi2_tiny', 'attention causal', 'attention packed'} <= set(rows)
  for name, row in rows.items():
    numbers = [v for k, v in row.items() if isinstance(v, float) and k != 'score_s']
    assert 'left_out' not in row and numbers and min(numbers) > 0, (name, row)
  assert 'float32' in rows['train phi2_tiny']['choice']
  assert 'tokens_s=' in capsys.readouterr().out


class Paper(gpu.Report):
  def __init__(self, deadline=float('inf')):
    self.made, self.deadline = [], deadline

  def row(self, what, **values):
    self.made.append((what, *values))


def test_what_does_not_fit_is_tried_with_fewer_rows():
  tried, paper = [], Paper()

  def measure(report, rows, name):
    tried.append((rows, name))
    if rows > 2:
      raise jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: out of memory')

  gpu.shrinking(paper, 'train x', 8, measure, 'x')
  assert tried == [(8, 'x'), (4, 'x'), (2, 'x')]
  assert paper.made == [('train x', 'out_of_memory')] * 2
  late = Paper(deadline=0)
  gpu.shrinking(late, 'train x', 8, measure, 'x')
  assert len(tried) == 3 and late.made == [('train x', 'left_out')]


def test_what_is_stored_follows_from_the_memory(monkeypatch):
  cfg = gpu.MODELS['llama2_7b']
  for gib, dtype in ((141, 'float32'), (80, 'bfloat16')):
    monkeypatch.setattr(gpu, 'memory', lambda gib=gib: gib * 2**30 * 1.1)
    fit, words = gpu.fitting(cfg, 1, share=0.75)
    assert fit.weights == dtype and '6.74 B' in words and dtype in words
