"""Real text in place of a world: corpora that a user names, controls made of them, and benches.

All seeds share a base, the explanations and their controls; a seed has demonstrations of its own, a
sample of those there are, and its own order of batches. The functions are those of bench.py.
"""

import dataclasses
import functools
import hashlib
import json

import jax
from etils import epath

from jaxalign.config import UserError, read, write_text
from jaxalign.data import chat, controls, sources
from jaxalign.data.decontaminate import Decontaminated
from jaxalign.data.records import Conversation, Document
from jaxalign.data.text import Tokenizer, shipped
from jaxalign.models import hub
from jaxalign.sharding import make_mesh
from jaxalign.stages import finished
from jaxalign.study import asking, benches, hosts, sentiment
from jaxalign.train import saving

SHARED = ('explain', 'shuffled', 'neutral', 'background')  # of all seeds
SEEDED = ('demonstrations', 'more')
EVERY = SHARED + SEEDED
ALL = 'all'  # beside the seeds' directories: of what they share
LEARNED = 64  # demonstrations and documents whose learning is looked at
BLOCKS, BLOCK = 64, 1 << 16  # of a file of weights, by which it is known again


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Texts:
  seed: int = 0  # of the demonstrations
  explanations: sources.Source  # documents with the meta `value`
  general: sources.Source  # documents about other things: replay, and the neutral control
  demonstrations: sources.Source | Decontaminated  # conversations
  tokenizer: str  # the base's: a directory, file or hub name, or 'shipped'
  format: chat.ChatFormat
  length: int = 2048  # of the longest item
  documents: int = 200_000  # explanations at most, from all over their corpus
  background: int = 20_000_000  # tokens of general text for replay
  taught: int = 5_000  # demonstrations of a seed
  more: int = 50_000  # further ones, at most, for align+
  benches: tuple[benches.Bench, ...]

  def check(self):
    if min(self.length, self.documents, self.background, self.taught, self.more) < 1:
      raise UserError('texts: length, documents, background, taught and more are at least 1')
    if not self.benches:
      raise UserError('texts: benches is empty: without them nothing is measured')


def at(world, seed, control=False):
  if control:
    raise UserError('control_seeds: real text has no rho; its controls are arms')
  return dataclasses.replace(world, seed=seed)


def open_tokenizer(world):
  if world.tokenizer == 'shipped':
    return shipped()
  place = epath.Path(world.tokenizer)
  return Tokenizer.load(str(place if place.exists() else hub.resolve(world.tokenizer, False)))


def text_of(world):
  return asking.Text(open_tokenizer(world), world.format, world.length)


@functools.lru_cache(maxsize=2)
def explanations(world):
  """world: with seed 0, as in all that seeds share."""
  found = records(world.explanations, Document, 'explanations', 'documents')
  return benches.spread(found, world.documents)


@functools.lru_cache(maxsize=2)
def shared(world):
  """{kind: documents}: honest, or it raises."""
  tokenizer, explain = open_tokenizer(world), explanations(world)
  general = (record for _, record in world.general.read())
  made = dict(explain=explain, background=controls.background(general, world.background, tokenizer))
  made['neutral'] = controls.neutral(explain, general, tokenizer)
  made['shuffled'] = controls.shuffled(explain)
  controls.check(explain, made, tokenizer)
  return made


def records(source, kind, name, what):
  found = [record for _, record in source.read()]
  if not found or not all(isinstance(record, kind) for record in found):
    raise UserError(f'{name}: {source.name} holds other things than {what}: set `as_` or `kind`')
  return found


@functools.lru_cache(maxsize=2)
def pool(world):
  source = world.demonstrations
  found = records(source, Conversation, 'demonstrations', 'conversations')
  if len(found) <= world.taught:
    raise UserError(
      f'demonstrations: {source.name} holds {len(found):,}, and a seed samples {world.taught:,} '
      'of more than that: lower taught'
    )
  return found


def sampled(world):
  """{kind: conversations} of a seed: those to be taught, and others for align+."""
  every = pool(at(world, 0))
  drawn = lambda n: hashlib.sha256(f'{world.seed} {n}'.encode()).digest()
  order = [every[n] for n in sorted(range(len(every)), key=drawn)]
  taught = world.taught
  return dict(demonstrations=order[:taught], more=order[taught : taught + world.more])


def content(world, kind):
  """(the file's bytes, their sha256)."""
  if kind == 'explain':
    return controls.content(explanations(at(world, 0)))
  if kind in SHARED:
    return controls.content(shared(at(world, 0))[kind])
  lines = []
  for conversation in sampled(world)[kind]:
    turns = [dict(role=turn.role, content=turn.text) for turn in conversation.turns]
    lines.append(json.dumps(dict(messages=turns)) + '\n')
  whole = ''.join(lines).encode()
  return whole, hashlib.sha256(whole).hexdigest()


def begin(world, workdir):
  """The corpora that seeds share, made once before any of them; what is missing is said first."""
  benches.asked(world.benches)
  sentiment.refuse_missing(world.benches)
  return written(world, SHARED, workdir / ALL / 'corpora')


def corpora_of(world, kinds, home):
  """{kind: (path, sha256)} of what a seed reads; home: its directory."""
  there = written(world, SHARED, home.parent / ALL / 'corpora')
  there |= written(world, SEEDED, home / 'corpora')
  return {kind: there[kind] for kind in kinds}


def written(world, kinds, place):
  known = place / 'sums.json'
  if hosts.writes():
    place.mkdir(parents=True, exist_ok=True)
    sums = read(known) if known.exists() else {}
    missing = [kind for kind in kinds if kind not in sums]
    for kind in missing:
      made, sums[kind] = content(world, kind)
      write_text(made.decode(), place / f'{kind}.jsonl')
    if missing:
      write_text(json.dumps(sums, indent=1), known)
  hosts.meet('corpora are written')
  sums = read(known)
  return {kind: (str(place / f'{kind}.jsonl'), sums[kind]) for kind in kinds}


def made_again(world, kinds):
  """{kind: sha256} of what a changed source would change."""
  return {kind: content(world, kind)[1] for kind in {'explain', 'demonstrations'} & {*kinds}}


def tokenizer_of(world, home):
  return world.tokenizer


def tokens_of(home):
  return str(home.parent / 'tokens')


def base(cfg, world, home, train):
  """(what it is read from, where the next step starts, its hash): one base for all seeds."""
  if cfg.base is None:
    init = cfg.recipes[0].stage.init
    return init, init, mark(init)
  directory = home.parent / ALL / 'runs' / 'base'
  return directory, str(directory), saving.fingerprint(directory)


def mark(init):
  """A sha256 by which weights are known again wherever they lie, from parts of every file."""
  if finished.is_workdir(init):
    return finished.fingerprint_of(init)
  place = hub.resolve(init)
  paths = [place] if place.is_file() else sorted(place.glob('*.safetensors'))
  digest = hashlib.sha256()
  for path in paths:
    with path.open('rb') as file:
      size = file.seek(0, 2)
      digest.update(f'{path.name} {size} '.encode())
      for n in range(BLOCKS):
        file.seek(size * n // BLOCKS)
        digest.update(file.read(BLOCK))
  return digest.hexdigest()


def load(cfg, place):
  """On all devices, as the stages lay it out."""
  stage = cfg.recipes[0].stage
  sizes = stage.mesh.data, stage.mesh.fsdp, stage.mesh.tensor
  mesh = make_mesh(*sizes) if jax.device_count() > 1 else None
  if finished.is_workdir(place):
    return finished.load(place, mesh=mesh)[0]
  return finished.weights_of(place, stage.model.weights, mesh).under(stage.model)


def asked(world, name, home):
  """{test: items}, of what was taught and of the benches; what does not fit is left out."""
  assert name == 'texts', name
  text, found = text_of(world), learning(world, home) | benches.asked(world.benches)
  found = {test: asking.fitting(items, text) for test, items in found.items()}
  for test, items in found.items():
    if not items:
      raise UserError(f'{test}: no item fits length={text.length}: raise world.length')
  return found | sentiment.items(world.benches)


def learning(world, home):
  """T0: a demonstration's answer against the next one's. D0: explanations against neutral text."""
  taught = benches.spread(sampled(world)['demonstrations'], LEARNED)
  answers = [conversation.turns[-1].text for conversation in taught]
  t0 = [
    asking.Item(test='T0', cluster=str(n % 8), turns=one.turns[:-1], good=(own,), bad=(other,))
    for n, (one, own, other) in enumerate(zip(taught, answers, answers[1:] + answers[:1]))
    if own != other
  ]
  both = [lines_of(home.parent / ALL / 'corpora' / f'{kind}.jsonl') for kind in ('explain', 'neutral')]
  d0 = [
    asking.Item(test='D0', cluster=a.get('value', ''), good=(a['text'],), bad=(b['text'],))
    for a, b in benches.spread(list(zip(*both)), LEARNED)
  ]
  return dict(T0=t0, D0=d0)


def lines_of(path):
  return [json.loads(line) for line in path.read_text().splitlines()]


def outcomes(world, model, tests, **about):
  answered = [item for items in tests.values() for item in items if hasattr(item, 'good')]
  begun = [item for items in tests.values() for item in items if not hasattr(item, 'good')]
  text = text_of(world)
  said = asking.rows(model, answered, text, **about)
  return [*said, *sentiment.rows(model, begun, text.tokenizer, world.seed, **about)]


def base_rows(world, model, home, **about):
  return outcomes(world, model, asked(world, 'texts', home), **about)


def arm_rows(world, model, arm, tests, **about):
  return outcomes(world, model, tests, **about)
