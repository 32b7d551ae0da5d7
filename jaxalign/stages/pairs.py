"""What reward and dpo share: pairs of answers in one forward pass, judged by subset; the card."""

import dataclasses
import functools
import json
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxalign import pictures, pod
from jaxalign.config import AdamW, Logging, Mesh, Optimizer, Saving
from jaxalign.data import batches, chat, dialogues, sources
from jaxalign.data.decontaminate import Decontaminated
from jaxalign.data.text import Tokenizer
from jaxalign.files import write_text
from jaxalign.models import adapters, llama2, phi2
from jaxalign.page import kit
from jaxalign.ranges import Count, Length, Rows, Seed
from jaxalign.rl import card
from jaxalign.sharding.layout import pin
from jaxalign.stages import trained, training
from jaxalign.stages.contract import Batch, Build, Evaluation, Loss, State, Tx, Workdir
from jaxalign.train.feed import Feed
from jaxalign.train.fingerprint import record_of, weights_digest
from jaxalign.train.saving import Saves

Rewards = Callable[..., jax.Array]  # of (model, batch, given): two numbers for each pair
Started = tuple[State, Any, Loss, Rewards]  # the second: what the loss is given, untrained


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Pairwise:
  """Where the weights come from: this workdir's checkpoint, else `init`, else chance."""

  kind = 'pair'  # of what it learns from; no field
  passes = 1.0  # over each token, forwards and backwards
  is_done = training.is_done
  model: llama2.Config | phi2.Config
  init: str | None = None  # a Hugging Face directory or hub name, or a workdir of ours
  tokenizer: str | None = None  # a directory or file; None: init's; 'shipped': the small one here
  format: chat.ChatFormat | chat.Own
  train: tuple[sources.Source | Decontaminated, ...]  # of pairs, each once an epoch
  held_out: tuple[sources.Source | Decontaminated, ...] = ()
  prepared: str | None = None  # where tokenised corpora are kept; None: in the workdir
  length: Length = 1024  # tokens of a text at most; a pair with a longer one is dropped
  batch: Rows = 64  # pairs in a step, all hosts
  microbatches: Rows = 1
  steps: Count = 1000
  eval_every: Count = 500
  optim: Optimizer = dataclasses.field(default_factory=AdamW)
  lora: adapters.Lora | None = None
  mesh: Mesh = dataclasses.field(default_factory=Mesh)
  saving: Saving = dataclasses.field(default_factory=Saving)
  logging: Logging = dataclasses.field(default_factory=Logging)
  seed: Seed = 0

  @property
  def tokens(self) -> int:
    """Of both answers of every pair."""
    return self.steps * self.batch * self.row_tokens

  @property
  def row_tokens(self) -> int:
    return 2 * self.length

  def check(self) -> None:
    training.check(self, ('held_out_loss', 'held_out_ece'))


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Opened:
  """What a run has before weights are read."""

  tokenizer: Tokenizer
  mesh: jax.sharding.Mesh
  tx: Tx
  train: batches.Pairs
  held_out: batches.Pairs | None

  @property
  def mean_length(self) -> float:
    return float(self.train.lengths.mean())


def opened(cfg: Pairwise, workdir: Workdir, build: Build) -> _Opened:
  """The data, unless something in the config stands against the run. build: of what is trained."""
  tokenizer, mesh, tx = training.open_run(cfg, workdir, build)

  def read(name, seed):
    corpora = training.corpora_of(getattr(cfg, name))
    ready = training.open_data(cfg, corpora, name, tokenizer, workdir)
    return batches.Pairs(ready, cfg.length, cfg.batch, seed)

  train, held_out = read('train', cfg.seed), read('held_out', None) if cfg.held_out else None
  return _Opened(tokenizer=tokenizer, mesh=mesh, tx=tx, train=train, held_out=held_out)


def train(
  cfg: Pairwise,
  data: _Opened,
  saves: Saves,
  started: Started,
  title: str,
  work: float,
  asked_too: Callable[[Evaluation | None], Evaluation | None] | None = None,
) -> State:
  """The state at the end of the run. title: of the card; work: flops of a token; asked_too: joins
  what else is evaluated with the pairs that are held out."""
  state, given, loss, rewards = started
  judge = _evaluator(cfg, saves.path.parent, data, rewards, given, title)
  judge = asked_too(judge) if asked_too else judge
  feed, step = Feed(data.train.rows, cfg.batch, data.mesh), training.step_of(cfg, data.tx, loss)
  tokens = round(2 * cfg.batch * data.mean_length)
  return training.train(cfg, saves, feed, (state, given, step, judge), tokens, work)


def both(batch: Batch, what: str) -> jax.Array:
  """[2B,T]: each chosen text with its rejected one after it, so that no row leaves its device."""
  a_B2T = jnp.stack([batch[f'chosen{what}'], batch[f'rejected{what}']], 1)
  return pin(a_B2T.reshape(-1, a_B2T.shape[-1]), 'B')


def _evaluator(cfg, workdir, data, rewards, given, title):
  """An Evaluation over one pass of the held-out pairs, which also writes the card."""
  if data.held_out is None:
    return None
  pairs, feed = data.held_out, Feed(data.held_out.rows, cfg.batch, data.mesh)
  whole = NamedSharding(data.mesh, PartitionSpec())  # every process gets every number

  @functools.partial(jax.jit, out_shardings=whole)
  def once(model, stacked, given):
    return rewards(model, jax.tree.map(lambda x: x[0], stacked), given)

  def judge(state):
    from jaxalign.rl import calibration  # scipy: slow to import, and needed here only

    got = feed.passed(pairs.order.steps, lambda stacked: once(state.model, stacked, given))
    reward_N2 = np.zeros((len(pairs.lengths), 2))
    reward_N2[pairs.order.by_length] = np.concatenate(got)[: len(reward_N2)]
    made = calibration.card(reward_N2, pairs.lengths, pairs.subset)
    form = dialogues.resolved(cfg.format, data.tokenizer)
    origin = _origin(cfg, state, trained.text_side(data.tokenizer, form))
    made |= dict(title=title, step=int(state.step), origin=origin)
    if pod.writes():
      _write_card(made, workdir)
    return _scores(made)

  return Evaluation(cfg.eval_every, judge)


def _origin(cfg, state, about):
  """Which weights, on which text side."""
  weights = weights_digest(record_of(state)['arrays'])
  weights = weights if cfg.lora is None else trained.on_base(weights, cfg.init)
  names = dict(init=cfg.init or 'chance', template_name=cfg.format.name)
  return dict(weights=weights) | about | names


def _scores(made):
  said = dict(held_out_loss=made['loss'], held_out_accuracy=made['accuracy']['value'])
  said |= dict(held_out_low=made['accuracy']['low'], held_out_high=made['accuracy']['high'])
  said |= dict(held_out_longer=made['longer']['value'], held_out_ece=made['ece'])
  named = {name: s for name, s in made['subsets'].items() if name}
  return said | {f'held_out_accuracy_{n}': s['accuracy']['value'] for n, s in named.items()}


def _write_card(made, workdir):
  """card.json, and card.html where the extra is there to draw it."""
  write_text(json.dumps(made, indent=1) + '\n', workdir / 'card.json')
  if kit.drawable('card.html'):
    pictures.kept(lambda: card.page(made), workdir / 'card.html')
