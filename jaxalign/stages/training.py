"""What every stage that learns from prepared corpora does alike: open, start or go on, run."""

import dataclasses
import hashlib
import json
from typing import Literal

import jax
import optax
from jax.experimental import multihost_utils

from jaxalign import pod
from jaxalign.config import UserError
from jaxalign.data import batches, prepare, sources
from jaxalign.data.decontaminate import Decontaminated
from jaxalign.data.prepared import Prepared
from jaxalign.files import place, read_object, write_text
from jaxalign.ranges import Weight
from jaxalign.sealing import tree
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import refusals, trained
from jaxalign.train import saving
from jaxalign.train.fingerprint import checksum
from jaxalign.train.loop import fit
from jaxalign.train.metrics import Log
from jaxalign.train.optim import learning_rate, make_optimizer
from jaxalign.train.state import make_state, make_step, tensor_names


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Corpus:
  source: sources.Source | Decontaminated
  weight: Weight = 1.0  # its share of the tokens, beside the other corpora
  long: Literal['split', 'drop'] = 'split'  # what becomes of a document longer than `length`


def check(cfg, scores):
  """What holds for the config of every such stage; scores: what its evaluation gives."""
  if cfg.length > cfg.model.length:
    most = cfg.model.length
    raise UserError(f'length={cfg.length}: the model was trained on at most {most} positions')
  if cfg.optim.schedule.warmup >= cfg.steps:
    raise UserError(f'schedule.warmup={cfg.optim.schedule.warmup}: below steps={cfg.steps}')
  scores = scores if cfg.held_out else ()
  if cfg.saving.best not in (None, *scores):
    known = ', '.join(scores) or 'nothing: there are no held_out corpora'
    raise UserError(f'saving.best={cfg.saving.best}: evaluation gives {known}')
  if cfg.batch % cfg.microbatches:
    raise UserError(f'batch={cfg.batch} is not a multiple of microbatches={cfg.microbatches}')
  if cfg.lora and cfg.init is None:
    raise UserError('lora adapts weights that exist: name them with init')


def open_run(cfg, workdir, build):
  """(tokenizer, mesh, optimizer), or what in the config stands against them. build: key -> what is
  trained."""
  mesh = make_mesh(cfg.mesh.data, cfg.mesh.fsdp, cfg.mesh.tensor)
  found = refusals.refuse(
    refusals.LEARNING, cfg, mesh=mesh, build=build, resumes=saving.newest(workdir) is not None
  )
  return found['tokenizer'], mesh, make_optimizer(cfg.optim, cfg.steps)


def train(cfg, workdir, *, feed, start, about, tokens, flops=0.0, judged_first=False):
  """From where the run stands to its end.

  start(saves) -> (state, what the step is given, the step, evaluation as fit takes it or None);
  about: what each checkpoint says about itself; tokens: of a step, and the flops of one, or 0;
  judged_first: what is at the start is evaluated too.
  """
  with jax.set_mesh(feed.mesh), saving.Saves(workdir, cfg.saving, about) as saves:
    state, given, step, evaluate = start(saves)
    begin = int(state.step)
    log = Log(
      workdir, cfg.logging, start=begin, steps=cfg.steps, tokens=tokens, flops=flops, feed=feed
    )
    with log:
      if begin:
        log.note(f'going on from step {begin:,} of {cfg.steps:,}')
      elif evaluate and judged_first:
        log.scores(0, evaluate[1](state))
      state = fit(
        state, step, feed, steps=cfg.steps, given=given, saves=saves, log=log,
        names=tensor_names(state.model), evaluate=evaluate,
      )  # fmt: skip
      best = saves.best()
      kept = '' if best is None else f'; lowest {cfg.saving.best}: {saves.path / str(best)}'
      log.note(f'done: {cfg.steps:,} steps, in {workdir}{kept}')
  return state


def step_of(cfg, tx, loss):
  rate = learning_rate(cfg.optim, cfg.steps)
  return make_step(loss, tx, microbatches=cfg.microbatches, frozen=cfg.optim.frozen, rate=rate)


def begin(cfg, tx, mesh, saves, build, first=lambda: None, frozen=None):
  """A TrainState: the newest checkpoint's; without one of the weights that first() gives; and
  where that gives None, of fresh weights, build(key).

  frozen: weights that are not trained (a base, a reference). A run goes on with the same ones
  only."""
  if frozen is not None and cfg.init is not None:
    saves.about = dict(saves.about or {}, frozen_weights=f'{mark_of(cfg.init, frozen):08x}')
  twin, make = make_state(build, tx, cfg.seed, mesh)
  state = saves.restore(twin)
  return make(first()) if state is None else state


def mark_of(init, weights):
  """32 bits by which a run that goes on knows the weights it read from `init`; the same on every
  mesh, where folding an adapter in is only the same to rounding."""
  if init is not None and trained.is_workdir(init):
    return int(trained.fingerprint_of(init)[:8], 16)
  return int(checksum(weights))


def chance(cfg, mesh, build):
  """The weights that begin() takes where nothing else gives any."""
  return make_state(build, optax.identity(), cfg.seed, mesh)[1]().model


def prepare_corpora(cfg, workdir):
  """`jaxalign prepare`: what run would do first, and no more; run finds it done."""
  tokenizer = open_tokenizer(cfg)
  for name in ('train', 'held_out'):
    corpora = corpora_of(getattr(cfg, name))
    ready = open_data(cfg, corpora, name, tokenizer, workdir)
    total = sum(p.manifest['tokens'] for p in ready)
    print(f'{name}: {total:,} tokens in {sum(map(len, ready)):,} examples, of {len(ready)} corpora')


def corpora_of(listed):
  """Sources where a stage lists these alone: it draws from all of them alike, and cuts none."""
  return [c if isinstance(c, Corpus) else Corpus(source=c, long='drop') for c in listed]


def open_tokenizer(cfg):
  """The tokenizer of a config; nothing else of it is looked at."""
  return refusals.tokenizer_fits(cfg, dict(init=cfg.init))[1]


def open_data(cfg, corpora, name, tokenizer, workdir, length=None, kind=None):
  """The corpora, tokenised by the first process unless they have been before. `length` of the
  longest example, and `kind`: where they are not the config's own."""
  length, kind = length or cfg.length, kind or cfg.kind
  known = workdir / f'{name}.json'  # so that a run that goes on need not read its sources again
  how = [length, cfg.format.hash, tokenizer.hash, cfg.prepared]
  key = hashlib.sha256(json.dumps([how, *map(tree, corpora)]).encode()).hexdigest()
  if pod.writes() and not _is_ready(known, key):
    where = place(cfg.prepared or workdir / 'prepared')
    done = [
      prepare.prepare(c.source, tokenizer, cfg.format, where, length=length, long=c.long, kind=kind)
      for c in corpora
    ]
    homes = [_from(p.place, workdir) for p in done]
    write_text(json.dumps(dict(key=key, homes=homes)) + '\n', known)
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(f'{name} is prepared')
  ready = [Prepared(home) for home in _made(known)[1]]
  if kind != 'prompt' and not sum(p.manifest['learned'] for p in ready):
    tokens = sum(p.manifest['tokens'] for p in ready)
    raise UserError(
      f'{name}: none of its {tokens:,} tokens is to be learned: look at the corpora, at format and '
      'at length'
    )
  batches.check_fits(ready, length=length, vocab=cfg.model.vocab, context=cfg.model.length)
  return ready


def _is_ready(known, key):
  """Whether these very corpora were prepared, and are still there."""
  try:
    made, homes = _made(known) if known.exists() else (None, ())
  except UserError:  # torn by a power cut, say: what it named is found again, by what it holds
    return False
  return made == key and all((home / 'manifest.json').exists() for home in homes)


def _from(home, workdir):
  """A place within the workdir as seen from there, so that a copied workdir reads its own."""
  home, workdir = str(home), str(workdir)
  return home[len(workdir) + 1 :] if home.startswith(f'{workdir}/') else home


def _made(known):
  """(key, homes) of corpora that were prepared. Once all homes were absolute: such a workdir, if it
  was copied since, has its own all the same."""
  made = read_object(known, 'key', 'homes', remedy='remove it: it is written anew')
  if not isinstance(made['homes'], list) or not all(isinstance(h, str) for h in made['homes']):
    raise UserError(f'{known} names no directories: remove it: it is written anew')
  workdir, homes = known.parent, []
  for home in made['homes']:
    own = workdir / 'prepared' / home.rpartition('/')[2]
    homes.append(own if (own / 'manifest.json').exists() else workdir / home)
  return made['key'], homes


def initial(cfg, mesh):
  """The weights of `init`, under this run's config."""
  model = trained.weights_of(cfg.init, cfg.model.weights, mesh)
  refusals.refuse_other_model(cfg, model.cfg)
  return model.under(cfg.model)
