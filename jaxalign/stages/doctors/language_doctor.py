"""What --doctor looks at for the stages that learn text: explain and sft, and others in part."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh

from jaxalign.config import UserError
from jaxalign.data import dialogues, prepare, shards
from jaxalign.data.cutting import Example
from jaxalign.data.shards import Kind
from jaxalign.data.text import Tokenizer
from jaxalign.models import adapters
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import language, refusals
from jaxalign.stages.contract import Build, Loss, ModelConfig, Stage, State, Supervised
from jaxalign.stages.doctors import doctor, watch_doctor
from jaxalign.stages.doctors.doctor import Check, Machine
from jaxalign.stages.training import Corpus, corpora_of
from jaxalign.train.optim import make_optimizer
from jaxalign.train.state import make_state, make_step

OF_ARRAYS = 'memory', 'one step'  # checks that are of sizes and types, whatever is read
_RECORDS = 64  # of each corpus are read
_Begin = Callable[..., tuple[State, Any, Loss]]  # of (optimizer, mesh): as a stage's `start`
ROWS, _TOKENS = 4, 128  # of the tiny twin's batch


def examine(cfg: language.Language, workdir: Any, machine: Machine) -> list[Check]:
  """The checks of a config of explain or sft."""
  del workdir
  visit, asked, examples = supervised(cfg, machine, language.learner(cfg)[0])
  visit.check('memory', memory, cfg, asked['weights'], asked['mesh'], machine, 1)
  visit.check('one step', one_step, cfg, *examples[:1])
  watch_doctor.watched(visit, cfg, asked['tokenizer'])
  return visit.checks


def texts(cfg: language.Language, machine: Machine) -> list[Check]:
  """Those of them that hang on the texts: of a config like one that was looked at, which reads
  others. Its checks in OF_ARRAYS are the same."""
  return supervised(cfg, machine, language.learner(cfg)[0])[0].checks


def supervised(
  cfg: Supervised, machine: Machine, build: Build
) -> tuple[doctor.Visit, dict[str, Any], list[Any]]:
  """A visit to any stage that learns from corpora, what its rules found, and each corpus' texts."""
  visit = doctor.Visit()
  asked = visit.ask(refusals.LEARNING, cfg, machine, build=build)
  visit.check('optimizer', doctor.optimizer_sane, cfg.optim, cfg.steps)
  corpora = [(f'train.{n}', one) for n, one in enumerate(corpora_of(cfg.train))]
  corpora += [(f'held_out.{n}', one) for n, one in enumerate(corpora_of(cfg.held_out))]
  how = asked['tokenizer'], cfg, cfg.kind
  return visit, asked, [visit.check(name, corpus, one, *how) for name, one in corpora]


def corpus(
  one: Corpus, tokenizer: Tokenizer, cfg: Stage, kind: Kind = 'example', length: int | None = None
) -> tuple[str, list[Example]]:
  """The first records of a corpus, as the run would tokenise them."""
  examples, length = [], length or cfg.length
  form = dialogues.resolved(cfg.format, tokenizer)
  for where, record in itertools.islice(_streamed(one.source).read(), _RECORDS):
    encoded, found = prepare.encode(where, record, form, tokenizer)
    if found != kind:
      shards.refuse_other_kind(where, found, kind)
    for example in encoded:
      refuse_unlearnable(where, example, tokenizer, kind, form)
    examples += encoded
  if not examples:
    raise UserError(f'{one.source.name} holds no record: name another path')
  sizes = np.array([len(example.tokens) for example in examples])
  fit = sizes <= length
  if getattr(one, 'long', 'drop') == 'drop' and not fit.any():
    raise UserError(
      f'{one.source.name}: of the first {len(sizes)} texts none fits length={length}, the '
      f'shortest has {sizes.min()} tokens: raise length'
    )
  learned = sum(example.weight.sum() for example in examples) / sizes.sum()
  words = f'{one.source.name}: the first {len(sizes)} texts have {np.median(sizes):.0f} tokens, '
  return f'{words}{fit.mean():.0%} fit {length}; {learned:.0%} of them learned', examples


def refuse_unlearnable(
  where: str, example: Example, tokenizer: Tokenizer, kind: Kind, form: dialogues.Format
) -> None:
  if kind == 'prompt':
    return
  if not example.weight.any():
    raise UserError(f'{where}: no token carries loss: its answer is empty, or the format loses it')
  last = example.tokens[np.flatnonzero(example.weight)[-1]]
  if last != tokenizer.eos and last != dialogues.end_of(form, tokenizer):
    raise UserError(f'{where}: EOS is not learned at its end, so the model would never stop')


def _streamed(source):
  """A hub's dataset is read while it arrives: its first records should not cost all of it."""
  if hasattr(source, 'against'):
    return dataclasses.replace(source, source=_streamed(source.source))
  if hasattr(source, 'streaming') and '[' not in source.split:
    return dataclasses.replace(source, streaming=True)
  return source


def memory(
  cfg: Supervised, shapes: Any, mesh: AbstractMesh, machine: Machine, texts: int, copy: bool = False
) -> str:
  """What must lie on a device while a step runs. shapes: of what is trained; texts: in a row; copy:
  whether a frozen model lies beside it."""
  tx = make_optimizer(cfg.optim, cfg.steps)
  weights = doctor.device_bytes(shapes, mesh)
  parts = dict(weights=weights)
  if cfg.lora is not None or copy:
    model = jax.eval_shape(cfg.model.build, jax.random.key(0))
    parts['frozen weights'] = doctor.device_bytes(model, mesh)
  parts['moments'] = doctor.device_bytes(jax.eval_shape(tx.init, shapes), mesh)
  parts['gradients'] = weights * (2 if cfg.microbatches > 1 else 1)
  rows = cfg.batch * texts / cfg.microbatches
  parts['activations'] = _activations(cfg.model, rows, cfg.length, mesh)
  return doctor.fits_memory(parts, machine)


def _activations(model: ModelConfig, rows: float, length: int, mesh: AbstractMesh) -> int:
  """All layers' inputs (what remat='full' keeps), one layer at work, a chunk of logits."""
  ways = mesh.shape['data'] * mesh.shape['fsdp']
  rows = math.ceil(rows / ways)
  size = jnp.dtype(model.dtype).itemsize
  inside = 2 * model.width + 3 * model.mlp // mesh.shape['tensor']
  saved = model.depth * model.width if model.remat == 'full' else model.depth * inside
  chunk = rows * min(length, 128) * model.vocab // mesh.shape['tensor'] * 3 * 4
  return rows * length * (saved + inside) * size + chunk


def rows_of(examples: Sequence[Example], rows: int = ROWS) -> dict[str, np.ndarray]:
  """A batch of the first texts, cut to a few tokens that hold learned ones: {name: [rows, T]}."""
  cut = []
  for one in itertools.islice(itertools.cycle(examples), rows):
    begin = max(0, min(int(one.weight.argmax()) - _TOKENS // 2, len(one.tokens) - _TOKENS))
    cut.append((one.tokens[begin : begin + _TOKENS], one.weight[begin : begin + _TOKENS]))
  T = max(len(tokens) for tokens, _ in cut)
  out = {name: np.zeros((rows, T), np.int32) for name in ('tokens_BT', 'segment_BT', 'position_BT')}
  out['weight_BT'] = np.zeros((rows, T), np.float32)
  for r, (tokens, weight) in enumerate(cut):
    n = len(tokens)
    out['tokens_BT'][r, :n], out['weight_BT'][r, 1:n] = tokens, weight[1:]
    out['segment_BT'][r, :n], out['position_BT'][r, :n] = 1, np.arange(n)
  return out


def one_step(cfg: language.Language, examples: Sequence[Example]) -> str:
  """The run's own loss, optimizer and step, on two narrow layers and the corpus' first texts."""
  build, given, loss = twin_of(cfg)

  def begin(tx, mesh):
    return make_state(build, tx, cfg.seed, mesh)[1](), given, loss

  return step_words(cfg, rows_of(examples), begin, math.log(cfg.model.vocab))


def twin_of(cfg: language.Language) -> tuple[Any, Any, Loss]:
  """(what is trained, what its loss is given, the loss) of a tiny model."""
  small = doctor.twin(cfg.model)
  if cfg.lora is None:
    return small.build, None, language.loss
  build = adapters.adapter_builder(small, cfg.lora)
  return build, jax.jit(small.build)(jax.random.key(1)), language.adapted_loss(cfg.lora)


def step_words(
  cfg: Supervised, batch: Mapping[str, np.ndarray], begin: _Begin, chance: float
) -> str:
  """One real step: finite, counted once whatever the microbatches, and it moves the weights.
  chance: the loss of one who knows nothing."""
  mesh = make_mesh(1, 1, 1, devices=jax.devices()[:1])
  tx = make_optimizer(cfg.optim, cfg.steps)
  parts = min(cfg.microbatches, 2)
  with jax.set_mesh(mesh):
    state, given, loss = begin(tx, mesh)
    before = jax.device_get(state.model)
    step = make_step(loss, tx, microbatches=parts, frozen=cfg.optim.frozen)
    stacked = {name: jnp.asarray(rows)[None] for name, rows in batch.items()}
    state, (metrics, _) = step(state, stacked, given)
  metrics = jax.device_get(metrics)
  value, norm = (float(t[0] / max(w[0], 1e-30)) for t, w in (metrics['loss'], metrics['grad_norm']))
  if not (math.isfinite(value) and math.isfinite(norm)) or norm == 0:
    raise UserError(f'loss {value:.4g}, gradient {norm:.4g}: both must be finite and above 0')
  if value > 2 * chance:
    raise UserError(f'loss {value:.4g} by chance, where {chance:.4g} is right: look at its weights')
  counts = {int(n) for n in _optimizer_steps(state.opt)}
  if counts - {1}:
    raise UserError(f'{parts} microbatches took {sorted(counts)} optimizer steps: one is right')
  moved = [(a != b).any() for a, b in zip(jax.tree.leaves(before), jax.tree.leaves(state.model))]
  if not any(moved):
    raise UserError('one step moved no weight: look at optim.lr, schedule and frozen')
  words = f'loss {value:.3f} (by chance {chance:.3f}), gradient {norm:.3g}'
  return f'{words}, {sum(moved)} of {len(moved)} tensors moved'


def _optimizer_steps(opt):
  """Every count that an optimizer keeps."""
  named = jax.tree.leaves_with_path(opt)
  return [jax.device_get(x) for path, x in named if getattr(path[-1], 'name', None) == 'count']
