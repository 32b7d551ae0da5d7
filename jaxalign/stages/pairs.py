"""What reward and dpo share: pairs of answers in one forward pass, judged by subset; the card."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxalign import pictures, pod
from jaxalign.config import Adafactor, AdamW, Logging, Mesh, Saving
from jaxalign.data import batches, chat, sources
from jaxalign.data.decontaminate import Decontaminated
from jaxalign.files import write_text
from jaxalign.models import adapters, llama2, phi2
from jaxalign.page import kit
from jaxalign.ranges import Count, Length, Rows, Seed
from jaxalign.rl import calibration, card
from jaxalign.sharding.layout import pin
from jaxalign.stages import trained, training
from jaxalign.train.feed import Feed
from jaxalign.train.fingerprint import record_of, weights_digest


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Pairwise:
  """Where the weights come from: this workdir's checkpoint, else `init`, else chance."""

  kind = 'pair'  # of what it learns from; no field
  model: llama2.Config | phi2.Config
  init: str | None = None  # a Hugging Face directory or hub name, or a workdir of ours
  tokenizer: str | None = None  # a directory or file; None: init's; 'shipped': the small one here
  format: chat.ChatFormat
  train: tuple[sources.Source | Decontaminated, ...]  # of pairs, each once an epoch
  held_out: tuple[sources.Source | Decontaminated, ...] = ()
  prepared: str | None = None  # where tokenised corpora are kept; None: in the workdir
  length: Length = 1024  # tokens of a text at most; a pair with a longer one is dropped
  batch: Rows = 64  # pairs in a step, all hosts
  microbatches: Rows = 1
  steps: Count = 1000
  eval_every: Count = 500
  optim: AdamW | Adafactor = dataclasses.field(default_factory=AdamW)
  lora: adapters.Lora | None = None
  mesh: Mesh = dataclasses.field(default_factory=Mesh)
  saving: Saving = dataclasses.field(default_factory=Saving)
  logging: Logging = dataclasses.field(default_factory=Logging)
  seed: Seed = 0

  def check(self):
    training.check(self, ('held_out_loss', 'held_out_ece'))


def run(cfg, workdir, title, build, start, flops):
  """start(cfg, tx, mesh, saves) -> (state, what is given, the loss, rewards), where
  rewards(model, batch, given) are two numbers a pair, of the chosen and of the rejected answer.
  build: key -> what is trained; flops: length -> of a token."""
  tokenizer, mesh, tx = training.open_run(cfg, workdir, build)
  ready = training.open_data(cfg, training.corpora_of(cfg.train), 'train', tokenizer, workdir)
  data = batches.Pairs(ready, cfg.length, cfg.batch, cfg.seed)
  about = trained.text_side(tokenizer, cfg.format)
  held_out = _open_held_out(cfg, tokenizer, workdir)

  def begin(saves):
    state, given, loss, rewards = start(cfg, tx, mesh, saves)
    said = dict(title=title, about=about, workdir=workdir)
    judge = _evaluator(cfg, rewards, given, mesh, held_out, said)
    return state, given, training.step_of(cfg, tx, loss), judge

  mean = float(data.lengths.mean())
  return training.train(
    cfg, workdir, feed=Feed(data.rows, cfg.batch, mesh), start=begin, about=about,
    tokens=round(2 * cfg.batch * mean), flops=flops(mean),
  )  # fmt: skip


def _open_held_out(cfg, tokenizer, workdir):
  if not cfg.held_out:
    return None
  corpora = training.corpora_of(cfg.held_out)
  ready = training.open_data(cfg, corpora, 'held_out', tokenizer, workdir)
  return batches.Pairs(ready, cfg.length, cfg.batch, None)


def both(batch, what):
  """[2B,T]: each chosen text with its rejected one after it, so that no row leaves its device."""
  a_B2T = jnp.stack([batch[f'chosen{what}'], batch[f'rejected{what}']], 1)
  return pin(a_B2T.reshape(-1, a_B2T.shape[-1]), 'B')


def _evaluator(cfg, rewards, given, mesh, data, said):
  """(period, state -> scores) over one pass of the held-out pairs, which also writes the card."""
  if data is None:
    return None
  feed = Feed(data.rows, cfg.batch, mesh)
  whole = NamedSharding(mesh, PartitionSpec())  # every process gets every number
  first = lambda stacked: jax.tree.map(lambda x: x[0], stacked)
  once = jax.jit(lambda m, stacked, given: rewards(m, first(stacked), given), out_shardings=whole)

  def judge(state):
    got = [once(state.model, stacked, given) for stacked, _ in feed.ahead(0, data.order.steps)]
    reward_N2 = np.zeros((len(data.lengths), 2))
    reward_N2[data.order.by_length] = np.concatenate(jax.device_get(got))[: len(reward_N2)]
    made = calibration.card(reward_N2, data.lengths, data.subset)
    made |= dict(
      title=said['title'], step=int(state.step), origin=origin(cfg, state, said['about'])
    )
    if pod.writes():
      _write_card(made, said['workdir'])
    return scores(made)

  return cfg.eval_every, judge


def origin(cfg, state, about):
  """Which weights, on which text side."""
  weights = weights_digest(record_of(state)['arrays'])
  weights = weights if cfg.lora is None else trained.on_base(weights, cfg.init)
  names = dict(init=cfg.init or 'chance', template_name=cfg.format.name)
  return dict(weights=weights) | about | names


def scores(made):
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
