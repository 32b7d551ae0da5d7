"""What explain and sft share: next-token training on packed text, of all weights or an adapter."""

import dataclasses
import hashlib
import json
from typing import Literal

import jax
import jax.numpy as jnp
from etils import epath
from jax.experimental import multihost_utils

from jaxalign import losses
from jaxalign.config import Adafactor, AdamW, Logging, Mesh, Saving, UserError, read, tree
from jaxalign.data import batches, chat, prepare, sources
from jaxalign.data.decontaminate import Decontaminated
from jaxalign.data.prepared import Prepared
from jaxalign.models import adapters, hub, llama2, phi2
from jaxalign.sharding import make_mesh
from jaxalign.stages import finished
from jaxalign.train import saving
from jaxalign.train.feed import Feed, split
from jaxalign.train.loop import fit
from jaxalign.train.metrics import Log
from jaxalign.train.optim import make_optimizer, refuse_unmatched
from jaxalign.train.state import make_state, make_step, tensor_names


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Corpus:
  source: sources.Source | Decontaminated
  weight: float = 1.0  # its share of the tokens, beside the other corpora
  long: Literal['split', 'drop'] = 'split'  # what becomes of a document longer than `length`

  def check(self):
    if self.weight < 0:
      raise UserError(f'weight={self.weight} of a corpus: its share is at least 0')


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Language:
  """Where the weights come from: this workdir's checkpoint, else `init`, else chance."""

  model: llama2.Config | phi2.Config
  init: str | None = None  # a Hugging Face directory or hub name, or a workdir of ours
  tokenizer: str | None = None  # a directory or file; None: init's; 'shipped': the small one here
  format: chat.ChatFormat
  train: tuple[Corpus, ...]
  held_out: tuple[Corpus, ...] = ()
  prepared: str | None = None  # where tokenised corpora are kept; None: in the workdir
  length: int = 2048  # tokens in a row
  batch: int = 256  # rows in a step, all hosts
  microbatches: int = 1
  steps: int = 1000
  steps_per_call: int = 1  # in one compiled call: for models so small that calls cost more
  eval_every: int = 500
  optim: AdamW | Adafactor = dataclasses.field(default_factory=AdamW)
  lora: adapters.Lora | None = None
  mesh: Mesh = dataclasses.field(default_factory=Mesh)
  saving: Saving = dataclasses.field(default_factory=Saving)
  logging: Logging = dataclasses.field(default_factory=Logging)
  seed: int = 0

  @property
  def tokens(self):
    return self.steps * self.batch * self.length

  def check(self):
    if self.length > self.model.length:
      most = self.model.length
      raise UserError(f'length={self.length}: the model was trained on at most {most} positions')
    for name in ('length', 'batch', 'microbatches', 'steps', 'steps_per_call', 'eval_every'):
      if getattr(self, name) < 1:
        raise UserError(f'{name}={getattr(self, name)}: at least 1')
    if not 0 <= self.seed < 2**32:
      raise UserError(f'seed={self.seed}: at least 0 and below 2**32')
    if self.optim.schedule.warmup >= self.steps:
      raise UserError(f'schedule.warmup={self.optim.schedule.warmup}: below steps={self.steps}')
    if not any(corpus.weight for corpus in self.train):
      raise UserError('train: no corpus with a weight above 0')
    scores = SCORES if self.held_out else ()
    if self.saving.best not in (None, *scores):
      known = ', '.join(scores) or 'nothing: there are no held_out corpora'
      raise UserError(f'saving.best={self.saving.best}: evaluation gives {known}')
    if self.batch % self.microbatches:
      raise UserError(f'batch={self.batch} is not a multiple of microbatches={self.microbatches}')
    if self.eval_every % self.steps_per_call or self.saving.every % self.steps_per_call:
      raise UserError('eval_every and saving.every must be multiples of steps_per_call')
    if self.lora and self.init is None:
      raise UserError('lora adapts weights that exist: name them with init')


SCORES = ('held_out_loss', 'held_out_accuracy')


def loss(model, batch, key=None, given=None):
  """Sums over the tokens that carry weight; weight_BT[t] is for predicting tokens_BT[t]."""
  del key, given
  x_BTD = model(batch['tokens_BT'], batch.get('segment_BT'), batch.get('position_BT'))
  after = lambda a_BT: jnp.pad(a_BT[:, 1:], ((0, 0), (0, 1)))
  head_VD, bias_V = model.head()
  bias_V = None if bias_V is None else bias_V[...]
  targets = after(batch['tokens_BT']), after(batch['weight_BT'])
  total, weight, right = losses.next_token(x_BTD, head_VD[...], *targets, bias_V)
  return dict(loss=(total, weight), accuracy=(right, weight))


def run(cfg, workdir):
  if cfg.init is not None:
    hub.resolve(cfg.init)
  tokenizer = open_tokenizer(cfg)
  mesh = make_mesh(cfg.mesh.data, cfg.mesh.fsdp, cfg.mesh.tensor)
  split(cfg.batch, mesh)
  tx = make_optimizer(cfg.optim, cfg.steps)
  ready = open_data(cfg, cfg.train, 'train', tokenizer, workdir)
  parts = [batches.Part(p, c.weight) for p, c in zip(ready, cfg.train)]
  data = batches.Batches(parts, cfg.length, cfg.batch, cfg.seed)
  feed = Feed(data.rows, cfg.batch, mesh, cfg.steps_per_call)
  with jax.set_mesh(mesh), saving.Saves(workdir, cfg.saving) as saves:
    state, given, trained = start(cfg, tx, mesh, saves)
    step = make_step(trained, tx, microbatches=cfg.microbatches, frozen=cfg.optim.frozen)
    judge = evaluator(cfg, trained, given, mesh, tokenizer, workdir)
    begin = int(state.step)
    log = Log(
      workdir, cfg.logging, start=begin, steps=cfg.steps,
      tokens=cfg.batch * cfg.length, flops=cfg.model.flops(cfg.length), feed=feed,
    )  # fmt: skip
    with log:
      if begin:
        log.note(f'going on from step {begin:,} of {cfg.steps:,}')
      state = fit(
        state, step, feed, steps=cfg.steps, given=given, saves=saves, log=log,
        names=tensor_names(state.model), evaluate=judge,
      )  # fmt: skip
      log.note(f'done: {cfg.steps:,} steps, in {workdir}')
  return state


def prepare_corpora(cfg, workdir):
  """`jaxalign prepare`: what run would do first, and no more; run finds it done."""
  tokenizer = open_tokenizer(cfg)
  for name, corpora in (('train', cfg.train), ('held_out', cfg.held_out)):
    ready = open_data(cfg, corpora, name, tokenizer, workdir)
    total = sum(p.manifest['tokens'] for p in ready)
    print(f'{name}: {total:,} tokens in {sum(map(len, ready)):,} examples, of {len(ready)} corpora')


def open_tokenizer(cfg):
  tokenizer = finished.tokenizer_of(dict(tokenizer=cfg.tokenizer, init=cfg.init))
  if tokenizer.vocab > cfg.model.vocab:
    raise UserError(
      f'the tokenizer has {tokenizer.vocab} ids, model.vocab={cfg.model.vocab}: they do not fit'
    )
  return tokenizer


def open_data(cfg, corpora, name, tokenizer, workdir, length=None):
  """The corpora, tokenised by the first process unless they have been before. `length`: of the
  longest example, where that is not the config's own."""
  length = length or cfg.length
  known = workdir / f'{name}.json'  # so that a run that goes on need not read its sources again
  how = [length, cfg.format.hash, tokenizer.hash, cfg.prepared]
  key = hashlib.sha256(json.dumps([how, *map(tree, corpora)]).encode()).hexdigest()
  if jax.process_index() == 0 and not _is_ready(known, key):
    where = epath.Path(cfg.prepared or workdir / 'prepared')
    done = [
      prepare.prepare(c.source, tokenizer, cfg.format, where, length=length, long=c.long)
      for c in corpora
    ]
    part = known.with_name(f'{known.name}.part')
    part.write_text(json.dumps(dict(key=key, homes=[str(p.directory) for p in done])) + '\n')
    part.replace(known)
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(f'{name} is prepared')
  ready = [Prepared(home) for home in read(known)['homes']]
  batches.check_fits(ready, length=length, vocab=cfg.model.vocab, context=cfg.model.length)
  return ready


def _is_ready(known, key):
  """Whether these very corpora were prepared, and are still there."""
  if not known.exists():
    return False
  made = read(known)
  return made['key'] == key and all(
    (epath.Path(h) / 'manifest.json').exists() for h in made['homes']
  )


def start(cfg, tx, mesh, saves):
  """(state, what the loss is given, the loss): resumed, else from init, else from chance."""
  if cfg.lora is None:
    build, given, trained = cfg.model.build, None, loss
  else:
    build = lambda key: adapters.make_adapter(cfg.model.build(key), cfg.lora, key)
    given, trained = initial(cfg, mesh), adapted_loss(cfg.lora)
  twin, make = make_state(build, tx, cfg.seed, mesh)
  refuse_unmatched(twin.model, cfg.optim.frozen)
  state = saves.restore(twin)
  if state is None:
    state = make() if cfg.lora or cfg.init is None else make(initial(cfg, mesh))
  return state, given, trained


def adapted_loss(lora):
  def of_adapter(adapter, batch, key, base):
    return loss(adapters.attach(base, adapter, lora), batch, key)

  return of_adapter


def initial(cfg, mesh):
  """The weights of `init`, under this run's config."""
  model = finished.weights_of(cfg.init, cfg.model.weights, mesh)
  theirs, ours = (dataclasses.asdict(c) for c in (model.cfg, cfg.model))
  sizes = ('depth', 'width', 'heads', 'kv_heads', 'mlp', 'vocab', 'theta', 'eps', 'tied')
  wrong = [f'{n}={ours[n]} (init has {theirs[n]})' for n in sizes if ours[n] != theirs.get(n)]
  if type(model.cfg) is not type(cfg.model) or wrong:
    raise UserError(f'model does not fit init={cfg.init}: {", ".join(wrong) or "another family"}')
  return model.under(cfg.model)


def evaluator(cfg, trained, given, mesh, tokenizer, workdir):
  """(period, state -> scores) over one pass of the held-out corpora, or None without any."""
  if not cfg.held_out:
    return None
  ready = open_data(cfg, cfg.held_out, 'held_out', tokenizer, workdir)
  data = batches.Pass(ready, cfg.length, cfg.batch)
  feed = Feed(data.rows, cfg.batch, mesh)

  @jax.jit
  def once(model, stacked, given):
    return trained(model, jax.tree.map(lambda x: x[0], stacked), None, given)

  def judge(state):
    sums = None
    for stacked, _ in feed.ahead(0, data.steps):
      got = once(state.model, stacked, given)
      sums = got if sums is None else jax.tree.map(jnp.add, sums, got)
    sums = jax.device_get(sums)
    return {f'held_out_{k}': float(t / max(w, 1e-30)) for k, (t, w) in sums.items()}

  return cfg.eval_every, judge
