"""What every stage that trains does alike: open its data, start or go on, run."""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import jax
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from jaxalign import pod
from jaxalign.config import UserError
from jaxalign.data import batches, dialogues, prepare, sources
from jaxalign.data.decontaminate import Decontaminated
from jaxalign.data.prepared import Prepared
from jaxalign.data.text import Tokenizer
from jaxalign.files import place, read_object, write_text
from jaxalign.models.decoder import Decoder
from jaxalign.ranges import Weight
from jaxalign.sealing import YOUNG, tree
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import refusals, trained
from jaxalign.stages.contract import (
  Began,
  Build,
  Learning,
  Loss,
  Stage,
  State,
  Step,
  Supervised,
  Tx,
  Workdir,
)
from jaxalign.train import saving
from jaxalign.train.feed import Feed
from jaxalign.train.fingerprint import checksum
from jaxalign.train.loop import fit
from jaxalign.train.metrics import Log
from jaxalign.train.optim import learning_rate, make_optimizer
from jaxalign.train.saving import Saves
from jaxalign.train.state import make_state, make_step, tensor_names

_First = Callable[[], Any]  # gives the weights that a run begins with, or None


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Corpus:
  source: sources.Source | Decontaminated
  weight: Weight = 1.0  # its share of the tokens, beside the other corpora
  long: Literal['split', 'drop'] = 'split'  # what becomes of a document longer than `length`
  # Of held-out text: its loss is told beside that of all, as held_out_loss/NAME.
  name: str = dataclasses.field(default='', metadata=YOUNG)


def check(cfg: Supervised, scores: Sequence[str]) -> None:
  """What holds for the config of every such stage; scores: what its evaluation gives."""
  if cfg.length > cfg.model.length:
    most = cfg.model.length
    raise UserError(f'length={cfg.length}: the model was trained on at most {most} positions')
  if (warmup := cfg.optim.schedule.warmup) >= cfg.steps:
    raise UserError(f'optim.schedule.warmup={warmup}: must be below steps={cfg.steps}')
  names = [corpus.name for corpus in cfg.held_out if corpus.name]
  if again := [name for name in names if names.count(name) > 1]:
    raise UserError(f'held_out: two corpora are named {again[0]}')
  scores = scores if cfg.held_out else ()
  if cfg.saving.best not in (None, *scores):
    known = ', '.join(scores) or 'nothing: there are no held_out corpora'
    raise UserError(f'saving.best={cfg.saving.best}: evaluation gives {known}')
  if cfg.batch % cfg.microbatches:
    raise UserError(f'batch={cfg.batch} is not a multiple of microbatches={cfg.microbatches}')
  if cfg.lora and cfg.init is None:
    raise UserError('lora adapts weights that exist: name them with init')


def is_done(cfg: Any, workdir: Workdir) -> bool:
  """Whether all steps of a run are taken and saved: a stage's config has it as a method."""
  return saving.newest(workdir) == cfg.steps


def open_run(cfg: Supervised, workdir: Workdir, build: Build) -> tuple[Tokenizer, Mesh, Tx]:
  """What a run begins with, unless something stands against it. build: of what is trained."""
  mesh = make_mesh(cfg.mesh.data, cfg.mesh.fsdp, cfg.mesh.tensor)
  resumes = saving.newest(workdir) is not None
  found = refusals.refuse(refusals.LEARNING, cfg, mesh=mesh, build=build, resumes=resumes)
  return found['tokenizer'], mesh, make_optimizer(cfg.optim, cfg.steps)


@contextlib.contextmanager
def opened(cfg: Learning, workdir: Workdir, mesh: Mesh, tokenizer: Tokenizer) -> Iterator[Saves]:
  """The checkpoints of a run, while its mesh is the current one; each says of what text it is."""
  about = trained.text_record(tokenizer, dialogues.resolved(cfg.format, tokenizer))
  with jax.set_mesh(mesh), Saves(workdir, cfg.saving, about) as saves:
    yield saves


def train(
  cfg: Learning, saves: Saves, feed: Feed, began: Began, tokens: int, flops: float = 0.0
) -> State:
  """The state at the end of the run. tokens: of a step; flops: of a token, or 0: not known."""
  state, given, step, judge = began
  workdir, start, steps = saves.path.parent, int(state.step), cfg.steps
  names, evaluate = tensor_names(state.model), judge and (judge.every, judge.scores)
  with Log(
    workdir, cfg.logging, start=start, steps=steps, tokens=tokens, flops=flops, feed=feed
  ) as log:
    if start:
      log.note(f'going on from step {start:,} of {steps:,}')
    elif judge and judge.at_start:
      log.scores(0, judge.scores(state))
    how: dict[str, Any] = dict(given=given, names=names, evaluate=evaluate)
    state = fit(state, step, feed, steps=steps, saves=saves, log=log, **how)
    best = saves.best()
    lowest = '' if best is None else f'; lowest {cfg.saving.best}: {saves.path / str(best)}'
    log.note(f'done: {steps:,} steps, in {workdir}{lowest}')
  return state


def step_of(cfg: Learning, tx: Tx, loss: Loss) -> Step:
  rate = learning_rate(cfg.optim, cfg.steps)
  return make_step(loss, tx, microbatches=cfg.microbatches, frozen=cfg.optim.frozen, rate=rate)


def begin(
  cfg: Learning, tx: Tx, mesh: Mesh, saves: Saves, build: Build, first: _First, frozen: Any = None
) -> State:
  """The newest checkpoint's; without one around the weights that first() gives; and where these are
  None, or an adapter is trained, of fresh ones. frozen: what a run does not go on without."""
  if frozen is not None and cfg.init is not None:
    saves.about = dict(saves.about or {}, frozen_weights=f'{mark_of(cfg.init, frozen):08x}')
  twin, make = make_state(build, tx, cfg.seed, mesh)
  state = saves.restore(twin)
  if state is not None:
    return state
  return make() if cfg.lora is not None else make(first())


def mark_of(init: str | None, weights: Any) -> int:
  """32 bits by which a run that goes on knows the weights it read from `init`; the same on every
  mesh, where folding an adapter in is only the same to rounding."""
  if init is not None and trained.is_workdir(init):
    return int(trained.fingerprint_of(init)[:8], 16)
  return int(checksum(weights))


def prepare_corpora(cfg: Supervised, workdir: Workdir) -> None:
  """`jaxalign prepare`: what run would do first, and no more; run finds it done."""
  tokenizer = open_tokenizer(cfg)
  for name in ('train', 'held_out'):
    ready = open_data(cfg, corpora_of(getattr(cfg, name)), name, tokenizer, workdir)
    total = sum(p.manifest['tokens'] for p in ready)
    print(f'{name}: {total:,} tokens in {sum(map(len, ready)):,} examples, of {len(ready)} corpora')


def corpora_of(listed: Sequence[Corpus | sources.Source | Decontaminated]) -> list[Corpus]:
  """Sources where a stage lists these alone: it draws from all of them alike, and cuts none."""
  return [c if isinstance(c, Corpus) else Corpus(source=c, long='drop') for c in listed]


def open_tokenizer(cfg: Stage) -> Tokenizer:
  """The tokenizer of a config; nothing else of it is looked at."""
  return refusals.tokenizer_fits(cfg, refusals.Found(init=cfg.init))[1]


def open_prompts(
  cfg: Any, source: sources.Source | Decontaminated, name: str, tokenizer: Tokenizer, workdir: Any
) -> Prepared:
  """The tokenised prompts of one source; those of more than cfg.prompt tokens are dropped."""
  corpora = corpora_of([source])
  return open_data(cfg, corpora, name, tokenizer, workdir, cfg.prompt, 'prompt')[0]


def open_data(
  cfg: Any,
  corpora: Sequence[Corpus],
  name: str,
  tokenizer: Tokenizer,
  workdir: Workdir,
  length: int | None = None,
  kind: Any = None,
) -> list[Prepared]:
  """The corpora, tokenised by the first process unless they have been before. `length` of the
  longest example, and `kind`: where they are not the config's own."""
  length, kind = length or cfg.length, kind or cfg.kind
  form = dialogues.resolved(cfg.format, tokenizer)
  known = workdir / f'{name}.json'  # so that a run that goes on need not read its sources again
  how = [length, form.hash, tokenizer.hash, cfg.prepared]
  key = hashlib.sha256(json.dumps([how, *map(tree, corpora)]).encode()).hexdigest()
  if pod.writes() and not _is_ready(known, key):
    where = place(cfg.prepared or workdir / 'prepared')
    done = [
      prepare.prepare(c.source, tokenizer, form, where, length=length, long=c.long, kind=kind)
      for c in corpora
    ]
    # Seen from the workdir where they lie in it, so that a copied workdir reads its own.
    directories = [str(p.place).removeprefix(f'{workdir}/') for p in done]
    write_text(json.dumps(dict(key=key, homes=directories)) + '\n', known)
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(f'{name} is prepared')
  ready = [Prepared(directory) for directory in _made(known)[1]]
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
    made, directories = _made(known) if known.exists() else (None, ())
  except UserError:  # torn by a power cut, say: what it named is found again, by what it holds
    return False
  return made == key and all((one / 'manifest.json').exists() for one in directories)


def _made(known):
  """(key, directories) of corpora that were prepared. Once all of these were absolute: such a
  workdir, if it was copied since, has its own all the same."""
  made = read_object(known, 'key', 'homes', remedy='remove it: it is written anew')
  if not isinstance(made['homes'], list) or not all(isinstance(h, str) for h in made['homes']):
    raise UserError(f'{known} names no directories: remove it: it is written anew')
  workdir, directories = known.parent, []
  for named in made['homes']:
    own = workdir / 'prepared' / named.rpartition('/')[2]
    directories.append(own if (own / 'manifest.json').exists() else workdir / named)
  return made['key'], directories


def initial(cfg: Stage, mesh: Mesh) -> Decoder | None:
  """The weights of `init`, under this run's config; None without one."""
  if cfg.init is None:
    return None
  model = trained.weights_of(cfg.init, cfg.model.weights, mesh)
  refusals.refuse_other_model(cfg, model.cfg)
  return model.under(cfg.model)
