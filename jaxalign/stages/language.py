"""What explain and sft share: next-token training on packed text, of all weights or an adapter."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax

from jaxalign.config import AdamW, Logging, Mesh, Optimizer, Saving, UserError
from jaxalign.data import batches, chat
from jaxalign.losses import head
from jaxalign.models import adapters, llama2, phi2
from jaxalign.models.decoder import Decoder
from jaxalign.ranges import Count, Length, Rows, Seed
from jaxalign.sealing import YOUNG
from jaxalign.stages import training, watching
from jaxalign.stages.contract import Batch, Build, Evaluation, Loss, Metrics, State, Tx, Workdir
from jaxalign.stages.training import Corpus
from jaxalign.train.feed import Feed
from jaxalign.train.saving import Saves


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Language:
  """Where the weights come from: this workdir's checkpoint, else `init`, else chance."""

  kind = 'example'  # of what it learns from; no field
  passes = 1.0  # over each token, forwards and backwards: what a step of a study costs
  is_done = training.is_done
  model: llama2.Config | phi2.Config
  init: str | None = None  # a Hugging Face directory or hub name, or a workdir of ours
  tokenizer: str | None = None  # a directory or file; None: init's; 'shipped': the small one here
  format: chat.ChatFormat | chat.Own
  train: tuple[Corpus, ...]
  held_out: tuple[Corpus, ...] = ()
  prepared: str | None = None  # where tokenised corpora are kept; None: in the workdir
  length: Length = 2048  # tokens in a row
  batch: Rows = 256  # rows in a step, all hosts
  microbatches: Rows = 1
  steps: Count = 1000
  steps_per_call: Count = 1  # in one compiled call: for models so small that calls cost more
  eval_every: Count = 500
  optim: Optimizer = dataclasses.field(default_factory=AdamW)
  lora: adapters.Lora | None = None
  mesh: Mesh = dataclasses.field(default_factory=Mesh)
  saving: Saving = dataclasses.field(default_factory=Saving)
  logging: Logging = dataclasses.field(default_factory=Logging)
  seed: Seed = 0
  # What the model is asked at every evaluation, beside the loss on held_out.
  watch: watching.Watch | None = dataclasses.field(default=None, metadata=YOUNG)

  @property
  def tokens(self) -> int:
    return self.steps * self.batch * self.length

  @property
  def row_tokens(self) -> int:
    return self.length * self.steps_per_call

  def check(self) -> None:
    training.check(self, ('held_out_loss', 'held_out_accuracy'))
    if not any(corpus.weight for corpus in self.train):
      raise UserError('train: no corpus with a weight above 0')
    for name, every in (('eval_every', self.eval_every), ('saving.every', self.saving.every)):
      if every % self.steps_per_call:
        raise UserError(f'{name}={every}: a multiple of steps_per_call={self.steps_per_call}')


def loss(model: Decoder, batch: Batch, key: Any = None, given: None = None) -> Metrics:
  """Sums over the tokens that carry weight; weight_BT[t] is for predicting tokens_BT[t]."""
  del key, given
  x_BTD = model(batch['tokens_BT'], batch.get('segment_BT'), batch.get('position_BT'))
  head_VD, bias_V = model.head()
  targets_BT, weight_BT = head.after(batch['tokens_BT']), head.after(batch['weight_BT'])
  total, weight, right = head.next_token(x_BTD, head_VD, targets_BT, weight_BT, bias_V)
  return dict(loss=(total, weight), accuracy=(right, weight))


def run(cfg: Language, workdir: Workdir) -> State:
  tokenizer, mesh, tx = training.open_run(cfg, workdir, learner(cfg)[0])
  watched = watching.ready(cfg.watch)
  ready = training.open_data(cfg, cfg.train, 'train', tokenizer, workdir)
  parts = [batches.Part(p, c.weight) for p, c in zip(ready, cfg.train)]
  data = batches.Batches(parts, cfg.length, cfg.batch, cfg.seed)
  held_out = []
  if cfg.held_out:  # before weights are read
    ready = training.open_data(cfg, cfg.held_out, 'held_out', tokenizer, workdir)
    held_out = [batches.Pass([one], cfg.length, cfg.batch) for one in ready]
  feed = Feed(data.rows, cfg.batch, mesh, cfg.steps_per_call)
  with training.opened(cfg, workdir, mesh, tokenizer) as saves:
    state, given, loss = start(cfg, tx, mesh, saves)
    judge = _evaluator(cfg, loss, given, mesh, held_out)
    policy = functools.partial(_model_of, cfg, given)
    judge = watching.joined(judge, watched, cfg.eval_every, policy, tokenizer, cfg.format)
    began, tokens = (state, given, training.step_of(cfg, tx, loss), judge), cfg.batch * cfg.length
    return training.train(cfg, saves, feed, began, tokens, cfg.model.flops(cfg.length))


def start(cfg: Language, tx: Tx, mesh: jax.sharding.Mesh, saves: Saves) -> tuple[State, Any, Loss]:
  """The state: resumed, else from init, else from chance; what the loss is given; the loss."""
  build, loss = learner(cfg)
  first = functools.partial(training.initial, cfg, mesh)
  base = None if cfg.lora is None else first()
  return training.begin(cfg, tx, mesh, saves, build, first, base), base, loss


def learner(cfg: Language) -> tuple[Build, Loss]:
  """What makes the weights that are trained, by chance; and the loss."""
  if cfg.lora is None:
    return cfg.model.build, loss
  return adapters.adapter_builder(cfg.model, cfg.lora), adapted_loss(cfg.lora)


@functools.cache
def adapted_loss(lora: adapters.Lora) -> Loss:
  def of_adapter(adapter, batch, key, base):
    return loss(adapters.attach(base, adapter, lora), batch, key)

  return of_adapter


def _model_of(cfg, base, state):
  """The model that answers: what is trained, or the base with its adapter."""
  return state.model if cfg.lora is None else adapters.attach(base, state.model, cfg.lora)


def _evaluator(
  cfg: Language, loss: Loss, given: Any, mesh: jax.sharding.Mesh, passes: Sequence[batches.Pass]
) -> Evaluation | None:
  """An Evaluation over one pass of each held-out corpus, or None without any."""
  if not passes:
    return None
  feeds = [Feed(one.rows, cfg.batch, mesh) for one in passes]

  @jax.jit
  def once(model, stacked, given):
    return loss(model, jax.tree.map(lambda x: x[0], stacked), None, given)

  def read(state: State, feed: Feed, steps: int) -> Metrics:
    """Sums over one corpus."""
    every = feed.passed(steps, lambda stacked: once(state.model, stacked, given))
    return jax.tree.map(lambda *some: sum(some), *every)

  def judge(state: State) -> dict[str, float]:
    sums = [read(state, feed, one.steps) for feed, one in zip(feeds, passes)]
    scores = _means(jax.tree.map(lambda *some: sum(some), *sums), 'held_out_{}')
    for corpus, own in zip(cfg.held_out, sums):
      if corpus.name:
        scores |= _means(own, f'held_out_{{}}/{corpus.name}')
    return scores

  return Evaluation(cfg.eval_every, judge, at_start=cfg.init is not None)


def _means(sums: Metrics, name: str) -> dict[str, float]:
  return {name.format(k): float(total) / max(float(w), 1e-30) for k, (total, w) in sums.items()}
