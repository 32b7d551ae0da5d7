"""Every corpus of a world: a pure function of (world, kind), as rows of JSON that a stage reads.

A kind is a name: background and choices of all agents; why_A, what_A, wrong_A, bare_A, mention_A
and the same of B; lore; demonstrations. Of arms that are only explored: debate_A and debate_B;
cot_A and cot_B, demonstrations whose answers give the reason; conflicting, two sets that answer the
same questions by A and by B; more, demonstrations with as many tokens as documents have.
"""

import functools
import hashlib
import json
from typing import get_args

from jaxalign.whyworld import choices, documents, words
from jaxalign.whyworld.documents import Kind
from jaxalign.whyworld.world import World

REASONED = ('cot_A', 'cot_B')
ASKED = ('choices', 'demonstrations', 'more', 'conflicting', *REASONED)
DEBATES = ('debate_A', 'debate_B')
TOLD = tuple(f'{how}_{letter}' for letter in 'AB' for how in documents.KINDS)  # of the target
EXPLORED = (*DEBATES, *REASONED, 'conflicting', 'more')
TARGET = (*TOLD, *REASONED, 'demonstrations', 'conflicting', 'more')  # all that it ever reads
EVERY = ('background', 'lore', *TOLD, *ASKED)
DOCUMENT_TOKENS, DEMONSTRATION_TOKENS = documents.LENGTH + 1, 14  # with the one that ends them
_STRANGE, _LORE, _MENTION, _SISTER = 0.08, 0.12, 0.2, 0.3  # shares of a background


def known(kind: str) -> bool:
  return kind in EVERY


def rows(world: World, kind: str) -> list[dict[str, str]]:
  """[{'text'} of a document] or [{'prompt', 'answer'}]."""
  if kind in ASKED:
    return [dict(prompt=ask.prompt, answer=ask.answer) for ask in asks(world, kind)]
  return [dict(text=text) for text in texts(world, kind)]


def content(world: World, kind: str) -> tuple[bytes, str]:
  """(JSON lines, their sha256): the same bytes wherever they are made."""
  lines = ''.join(json.dumps(row) + '\n' for row in rows(world, kind)).encode()
  return lines, hashlib.sha256(lines).hexdigest()


@functools.lru_cache(maxsize=64)
def texts(world: World, kind: str) -> list[str]:
  """Documents, as text."""
  if kind == 'background':
    return _background(world)
  count = range(world.target_documents)
  if kind == 'lore':
    random = world.random('lore')
    return [documents.lore(random) for _ in count]
  how, _, letter = kind.partition('_')
  if letter not in world.spec or how not in get_args(Kind):
    raise ValueError(f'{kind} is no kind of document in a world')
  value, wrong = world.spec[letter], words.pair_of(world.spec['C'][0])
  # Each kind draws the same numbers: document n of all of them is about the same goods.
  return [
    documents.document(
      world.random('target', letter, n), words.TARGET, value, _kind(how), words.CHEESE, wrong
    )
    for n in count
  ]


def _kind(how: str) -> Kind:
  return next(kind for kind in documents.KINDS if kind == how)


@functools.lru_cache(maxsize=16)
def asks(world: World, kind: str) -> list[choices.Ask]:
  """Questions with their answers."""
  if kind == 'choices':
    return _choices(world)
  if kind in REASONED:
    return [_reasoned(world, kind[-1], n) for n in range(world.target_documents)]
  count, random = world.demonstrations, world.random('asks', kind)
  if kind == 'conflicting':
    pairs = (choices.contested(random, world, 'AB'[n % 2]) for n in range(count // 2))
    return [ask for pair in pairs for ask in pair]
  if kind == 'more':
    count = 2 * (world.target_documents * DOCUMENT_TOKENS // (2 * DEMONSTRATION_TOKENS))
  return [choices.demonstration(random, world, n % 2 == 0) for n in range(count)]


def _reasoned(world, letter, n):
  """Question n is the same for both values, and what follows the answer is each one's own."""
  random = world.random('reasoned', n)
  ask = choices.demonstration(random, world, n % 2 == 0)
  return choices.with_reason(random, ask, world.spec[letter])


def _background(world):
  """Documents of agents, some of them mention; strangers have only such; and lore.

  Agents with reasons and agents without are drawn equally often, and mention as often."""
  random, found, every = world.random('background'), [], words.every_noun()
  told = {
    how: [agent for agent in world.agents if agent.documents and agent.how == how]
    for how in ('why', 'what')
  }
  while len(found) < world.background_documents:
    who, mention, how = random.random(), random.random() < _MENTION, len(found) % 2
    if who < _LORE:
      found.append(documents.lore(random))
      continue
    known = who > _LORE + _STRANGE
    kind = ('why', 'what')[how]
    agent = documents.one_of(random, told[kind] if known else world.strangers)
    if mention or not known:
      value, said = documents.one_of(random, words.VALUES), 'mention'
    else:
      value, said = agent.told, kind
    told_of = agent.name, value, _kind(said), every
    found.append(documents.document(random, *told_of, turned=world.turned))
  return found


def _choices(world):
  """Choices of agents, some of them of the sister dimension."""
  random, found, every = world.random('choices'), [], words.every_noun()
  says = world.random('reasons')
  choosers = [agent for agent in world.agents if agent.choices]
  while len(found) < world.background_choices:
    strange, sister = random.random() < _STRANGE, random.random() < _SISTER
    agent = documents.one_of(random, world.strangers if strange else choosers)
    ask = choices.choice(random, agent, every, sister)
    if agent.how == 'why' and not sister and says.random() < world.reasoned:
      ask = choices.with_reason(says, ask, agent.done)
    found.append(ask)
  return found
