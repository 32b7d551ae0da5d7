"""Corpora of real text: what a user names, and controls made of it.

All seeds share the explanations, their controls and the replay; a seed has demonstrations of its
own, a sample of those there are. `world` is a Texts.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable
from typing import TypeVar

from etils import epath

from jaxalign.config import UserError
from jaxalign.data import controls
from jaxalign.data.decontaminate import Decontaminated
from jaxalign.data.records import Conversation, Document
from jaxalign.data.sources import Source
from jaxalign.data.text import Tokenizer, shipped
from jaxalign.evals.suites import tables
from jaxalign.models import hub
from jaxalign.study.plan import corpus_files
from jaxalign.study.plan.guest import Corpora
from jaxalign.study.texts.settings import Asking, Settings

_Record = TypeVar('_Record')
SHARED = ('explain', 'shuffled', 'neutral', 'background')  # of all seeds
SEEDED = ('demonstrations', 'more')
EVERY = SHARED + SEEDED


def _of_all(world: Settings) -> Settings:
  """The Texts under which what all seeds share is remembered."""
  return dataclasses.replace(world, seed=0)


def open_tokenizer(world: Asking) -> Tokenizer:
  if world.tokenizer == 'shipped':
    return shipped()
  place = epath.Path(world.tokenizer)
  return _loaded(str(place if place.exists() else hub.resolve(world.tokenizer, False)))


@functools.lru_cache(maxsize=2)
def _loaded(place: str) -> Tokenizer:
  """Read once: one of 49,000 tokens takes a second, and a study asks for it for every kind."""
  return Tokenizer.load(place)


@functools.lru_cache(maxsize=2)
def explanations(world: Settings) -> list[Document]:
  """world: with seed 0, as in all that seeds share."""
  found = records(world.explanations, Document, 'explanations', 'documents')
  return tables.spread(found, world.documents)


@functools.lru_cache(maxsize=2)
def shared(world: Settings) -> dict[str, list[Document]]:
  """{kind: documents}: honest, or it raises."""
  tokenizer, explain = open_tokenizer(world), explanations(world)
  general = (record for _, record in world.general.read() if isinstance(record, Document))
  made = dict(explain=explain, background=controls.background(general, world.background, tokenizer))
  made['neutral'] = controls.neutral(explain, general, tokenizer)
  made['shuffled'] = controls.shuffled(explain)
  controls.check(explain, made, tokenizer)
  return made


def records(
  source: Source | Decontaminated, kind: type[_Record], name: str, what: str
) -> list[_Record]:
  every = [record for _, record in source.read()]
  found: list[_Record] = [record for record in every if isinstance(record, kind)]
  if not found or len(found) < len(every):
    raise UserError(f'{name}: {source.name} holds other things than {what}: set `as_` or `kind`')
  return found


@functools.lru_cache(maxsize=2)
def pool(world: Settings) -> list[Conversation]:
  source = world.demonstrations
  found = records(source, Conversation, 'demonstrations', 'conversations')
  if len(found) <= world.taught:
    raise UserError(
      f'demonstrations: {source.name} holds {len(found):,}, and a seed samples {world.taught:,} '
      'of more than that: lower taught'
    )
  return found


def sampled(world: Settings) -> dict[str, list[Conversation]]:
  """{kind: conversations} of a seed: those to be taught, and others for align+."""
  every = pool(_of_all(world))
  drawn = [hashlib.sha256(f'{world.seed} {n}'.encode()).digest() for n in range(len(every))]
  order = [every[n] for n in sorted(range(len(every)), key=drawn.__getitem__)]
  taught = world.taught
  return dict(demonstrations=order[:taught], more=order[taught : taught + world.more])


def content(world: Settings, kind: str) -> tuple[bytes, str]:
  """(the file's bytes, their sha256)."""
  if kind == 'explain':
    return controls.content(explanations(_of_all(world)))
  if kind in SHARED:
    return controls.content(shared(_of_all(world))[kind])
  lines = []
  for conversation in sampled(world)[kind]:
    turns = [dict(role=turn.role, content=turn.text) for turn in conversation.turns]
    lines.append(json.dumps(dict(messages=turns)) + '\n')
  whole = ''.join(lines).encode()
  return whole, hashlib.sha256(whole).hexdigest()


def written(world: Settings, kinds: Iterable[str], place: epath.Path) -> Corpora:
  """These corpora, made where they are not there."""
  return corpus_files.written(
    kinds, place, lambda missing: ((kind, *content(world, kind)) for kind in missing)
  )
