"""Real text in place of a world: corpora that a user names, and controls made of them.

All seeds share a base, the explanations and their controls; a seed has demonstrations of its own, a
sample of those there are, and its own order of batches.
"""

import dataclasses
import functools
import hashlib
import json

from etils import epath

from jaxalign.config import UserError
from jaxalign.data import chat, controls, sources
from jaxalign.data.decontaminate import Decontaminated
from jaxalign.data.records import Conversation, Document
from jaxalign.data.text import Tokenizer, shipped
from jaxalign.evals import benches
from jaxalign.models import hub
from jaxalign.ranges import Count, Length, Seed

SHARED = ('explain', 'shuffled', 'neutral', 'background')  # of all seeds
SEEDED = ('demonstrations', 'more')
EVERY = SHARED + SEEDED


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Texts:
  seed: Seed = 0  # of the demonstrations
  explanations: sources.Source  # documents with the meta `value`
  general: sources.Source  # documents about other things: replay, and the neutral control
  demonstrations: sources.Source | Decontaminated  # conversations
  tokenizer: str  # the base's: a directory, file or hub name, or 'shipped'
  format: chat.ChatFormat
  length: Length = 2048  # of the longest item
  documents: Count = 200_000  # explanations at most, from all over their corpus
  background: Count = 20_000_000  # tokens of general text for replay
  taught: Count = 5_000  # demonstrations of a seed
  more: Count = 50_000  # further ones, at most, for align+
  benches: tuple[benches.Bench, ...]

  def check(self):
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
