"""A stage as small as one can be: a tiny Llama on synthetic rows through the real engine.

  python -m jaxalign.main --config=tests/train/driver.py --workdir=DIR --config.steps=12

A run that reaches its end writes DIR/final.npz, every leaf of the state, whole; and DIR/rowsN.json,
the indices of the rows that process N made.
"""

import dataclasses
import json
import time

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxalign.config import AdamW, Logging, Mesh, Saving, Schedule
from jaxalign.losses import head
from jaxalign.models import llama2
from jaxalign.sharding.meshes import make_mesh
from jaxalign.train.feed import Feed
from jaxalign.train.loop import fit
from jaxalign.train.metrics import Log
from jaxalign.train.optim import make_optimizer
from jaxalign.train.saving import Saves
from jaxalign.train.state import make_state, make_step, tensor_names


def small_model():
  return llama2.tiny(width=32, heads=4, kv_heads=2, mlp=64, vocab=64, length=16)


@dataclasses.dataclass(kw_only=True)
class Config:
  steps: int = 12
  batch: int = 8
  length: int = 16
  microbatches: int = 1
  steps_per_call: int = 1
  eval_every: int | None = None
  pause: float = 0.0  # seconds that making a row's batch takes: so that a kill meets a run midway
  seed: int = 0
  model: llama2.Config = dataclasses.field(default_factory=small_model)
  optim: AdamW = dataclasses.field(
    default_factory=lambda: AdamW(lr=1e-2, weight_decay=0.1, schedule=Schedule(warmup=2))
  )
  mesh: Mesh = dataclasses.field(default_factory=Mesh)
  saving: Saving = dataclasses.field(default_factory=lambda: Saving(every=3))
  logging: Logging = dataclasses.field(default_factory=Logging)


def get_config():
  return Config()


def rows_of(cfg, made):
  """Row i of a step depends on (seed, step, i) alone; rows carry uneven weight. `made`: a list that
  gets the indices of every call."""

  def row(step, i):
    rng = np.random.default_rng((cfg.seed, step, i))
    tokens = rng.integers(3, cfg.model.vocab, cfg.length, dtype=np.int32)
    weight = (rng.random(cfg.length) < (i + 1) / cfg.batch).astype(np.float32)
    return tokens, weight

  def rows(step, indices):
    time.sleep(cfg.pause)
    made.append(indices.tolist())
    tokens, weight = zip(*(row(step, int(i)) for i in indices))
    return dict(tokens_BT=np.stack(tokens), weight_BT=np.stack(weight))

  return rows


def loss(model, batch, key=None, given=None):
  del key, given
  x_BTD = model(batch['tokens_BT'])
  head_VD, _ = model.head()
  targets = (head.after(batch[name]) for name in ('tokens_BT', 'weight_BT'))
  total, weight, right = head.next_token(x_BTD, head_VD, *targets)
  return dict(loss=(total, weight), accuracy=(right, weight))


def evaluation(cfg, mesh):
  """(period, state -> scores) on one batch that training never sees, or None."""
  if cfg.eval_every is None:
    return None
  batch, _ = next(Feed(rows_of(cfg, []), cfg.batch, mesh).ahead(10**6, 10**6 + 1))
  once = jax.jit(lambda model, batch: loss(model, jax.tree.map(lambda x: x[0], batch))['loss'])

  def judge(state):
    total, weight = jax.device_get(once(state.model, batch))
    return dict(held_out_loss=float(total / weight))

  return cfg.eval_every, judge


def run(cfg, workdir):
  mesh = make_mesh(cfg.mesh.data, cfg.mesh.fsdp, cfg.mesh.tensor)
  made = []
  feed = Feed(rows_of(cfg, made), cfg.batch, mesh, cfg.steps_per_call)
  tx = make_optimizer(cfg.optim, cfg.steps)
  with jax.set_mesh(mesh), Saves(workdir, cfg.saving) as saves:
    twin, make = make_state(cfg.model.build, tx, cfg.seed, mesh)
    state = saves.restore(twin)
    state = make() if state is None else state
    step = make_step(loss, tx, microbatches=cfg.microbatches, frozen=cfg.optim.frozen)
    start, tokens = int(state.step), cfg.batch * cfg.length
    with Log(workdir, cfg.logging, start=start, steps=cfg.steps, tokens=tokens, feed=feed) as log:
      how = dict(names=tensor_names(state.model), evaluate=evaluation(cfg, mesh))
      state = fit(state, step, feed, steps=cfg.steps, saves=saves, log=log, **how)
  (workdir / f'rows{jax.process_index()}.json').write_text(json.dumps(made))
  write_whole(state, workdir)


def write_whole(state, workdir):
  state = state.replace(key=jax.random.key_data(state.key))
  whole = multihost_utils.process_allgather(state, tiled=True)
  if jax.process_index() == 0:
    named = {jax.tree_util.keystr(p): np.asarray(x) for p, x in jax.tree.leaves_with_path(whole)}
    np.savez(workdir / 'final.npz', **named)
