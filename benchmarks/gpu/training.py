"""A training step: rows at a time x recomputation by search, then what fits timed.

launch.search asks as for TPUs: the batch of a step stays, so fewer rows are more microbatches. Here
the card's compiler answers whether a program fits, and the clock, not a bound, which is fastest.
"""

import dataclasses
import time

import jax
import jax.numpy as jnp

from benchmarks.gpu import work
from benchmarks.gpu.report import memory, timed
from jaxalign.models.layers import position_in_segment
from jaxalign.stages import explain, language
from jaxalign.train.optim import make_optimizer
from jaxalign.train.state import make_state
from launch import compiling, programs, search
from launch.program import Program

ROOM = 0.98  # of the memory that a program may take
HALVES = 2  # ways in which the rows of a step are cut: all at once, or half


@dataclasses.dataclass(frozen=True)
class Candidate:
  stage: explain.Config
  program: Program
  compiled: object
  said: dict  # of it: bytes, and seconds that it took to compile


def measure(report, name, cfg, sizes, card, packed):
  """A row for each candidate; the fastest is the row `train NAME`."""
  cfg, choice = work.stored(cfg, memory())
  given = card, sizes.seconds
  rows = [clocked(report, name, one, *given) for one in fitting(report, name, cfg, sizes)]
  rows = sorted((row for row in rows if row), key=lambda row: row['seconds'])
  if not rows:
    return report.row(f'train {name}', left_out='nothing fitted, or no time was left')
  best = rows[0]
  if packed != 'auto':  # the same program, but for how attention is told of documents
    stage = work.training(cfg, sizes, best['microbatches'], best['remat'])
    stage = dataclasses.replace(stage, model=work.changed(stage.model, attention=packed))
    if (one := candidate(report, name, stage)) and (row := clocked(report, name, one, *given)):
      best = min(best, row, key=lambda row: row['seconds'])
  report.row(f'train {name}', **best, choice=choice)


def fitting(report, name, cfg, sizes):
  """Candidates: of each recomputation, the most rows at a time that fit."""
  made = {}

  def ask(how):
    said = dict(flag.removeprefix('--config.').split('=') for flag in how)
    given = int(said['microbatches']), said['model.remat']
    made[tuple(how)] = candidate(report, name, work.training(cfg, sizes, *given))
    return [dict(fits=made[tuple(how)] is not None)]

  found = search.search([(dict(data=1, fsdp=1, tensor=1), HALVES)], ask)
  return [made[tuple(how)] for how, _ in found]


def candidate(report, name, stage):
  """A Candidate; None where it does not fit, or no time is left to compile it."""
  how = dict(microbatches=stage.microbatches, remat=stage.model.remat)
  how |= dict(attention=stage.model.attention)
  if report.left < 0:
    return report.row(f'fits {name}', **how, left_out='no time left')
  begun, program = time.monotonic(), next(programs.language(stage, jax.sharding.get_mesh()))
  try:
    compiled = program.lower().compile()
  except jax.errors.JaxRuntimeError as error:
    if 'RESOURCE_EXHAUSTED' not in str(error):
      raise
    return report.row(f'fits {name}', **how, fits=False)
  said = compiling.memory_of(compiled, 0)
  fits = memory() is None or said['peak_bytes'] < ROOM * memory()
  took = dict(gib=said['peak_bytes'] / 2**30, compile_seconds=time.monotonic() - begun)
  report.row(f'fits {name}', **how, fits=fits, **took)
  return Candidate(stage, program, compiled, how | took) if fits else None


def clocked(report, name, one, card, seconds):
  """What a step took: a dict; None where it did not fit after all."""
  rows = []
  what = f'step {name}, {one.said["remat"]}, {one.said["attention"]}'
  report.part(what, lambda: rows.append(step(one, card, seconds)))
  if rows:
    report.row(what, **rows[0])
  return rows[0] if rows else None


def step(one, card, seconds):
  stage, mesh = one.stage, jax.sharding.get_mesh()
  build, _ = language.learner(stage)
  _, make = make_state(build, make_optimizer(stage.optim, stage.steps), stage.seed, mesh)
  B, T = stage.batch, stage.length
  tokens_BT, segment_BT = work.packed(B, T, stage.model.vocab)
  batch = dict(tokens_BT=tokens_BT, segment_BT=segment_BT, weight_BT=jnp.ones((B, T)))
  batch |= dict(position_BT=position_in_segment(segment_BT))
  homes = jax.tree.map(lambda twin: twin.sharding, one.program.args[1])
  batch = jax.device_put(jax.tree.map(lambda x: x[None], batch), homes)
  held = [make()]  # the step takes it over

  def once():
    held[0], out = one.compiled(held[0], batch, None)
    return out

  took = timed(once, seconds)
  floor = one.program.flops / card['flops']
  pace = dict(tokens_s=B * T / took['seconds'], mfu=floor / took['seconds'], floor_s=floor)
  return pace | one.said | dict(rows=B, length=T) | took
