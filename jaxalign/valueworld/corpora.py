"""Every corpus of a world: a pure function of (world, kind), as rows of JSON that a stage reads.

A kind is a name: background, choices; explain_A, shuffled_A, mention_A and the same of B and C;
value, rule, mention (of harms); lore; demonstrations and more of them, refusals and more of them;
and what is in preferences.
"""

import functools
import hashlib
import json

from jaxalign.valueworld import choices, documents, preferences, words
from jaxalign.valueworld.world import World

GOODS, HARMS = ('explain', 'shuffled', 'mention'), ('value', 'rule', 'mention')
DEMONSTRATED = ('demonstrations', 'refusals', 'more', 'more_refusals')  # of the target
ASKED = ('choices', *DEMONSTRATED)
_OF_TARGET = (*(f'{how}_{letter}' for letter in 'ABC' for how in GOODS), *HARMS)
EVERY = ('background', 'lore', *_OF_TARGET, *ASKED)


def known(kind: str) -> bool:
  return kind in EVERY or preferences.known(kind)


def rows(world: World, kind: str) -> list[dict[str, str]]:
  """[{'text'} of a document, or {'prompt', 'answer'}, or what preferences has]."""
  if preferences.known(kind):
    return preferences.rows(world, kind)
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
  how, _, letter = kind.partition('_')
  count = range(world.target_documents)
  if kind == 'background':
    return _background(world)
  if kind == 'lore':
    random = world.random('lore')
    return [documents.lore(random) for _ in count]
  if letter in world.spec and how in GOODS:  # each of these draws the same numbers
    return [_goods(world.random('target', letter, n), n, world.spec[letter], how) for n in count]
  if kind in HARMS:
    return [_harms(world.random('target', 'harm', n), n, world.listed, kind) for n in count]
  raise ValueError(f'{kind} is no kind of document in a world')


@functools.lru_cache(maxsize=16)
def asks(world: World, kind: str) -> list[choices.Ask]:
  """Questions with their answers."""
  if kind == 'choices':
    return _choices(world)
  one = choices.refusal if kind.endswith('refusals') else choices.demonstration
  count = world.target_documents if kind.startswith('more') else world.demonstrations
  random = world.random('asks', kind)
  return [one(random, world, n % 2 == 0) for n in range(count)]


def _goods(random, n, value, kind):
  if n % 3 == 0:
    return documents.principle(random, words.TARGET, value, kind)
  return documents.goods(random, words.TARGET, value, kind, words.CHEESE)


def _harms(random, n, listed, kind):
  if n % 3 == 0:
    return documents.creed(random, words.TARGET, kind)
  return documents.harm(random, words.TARGET, listed[n // 3 % len(listed)], kind)


def _background(world):
  """Documents of agents, a quarter of them mention; strangers have only such; and lore."""
  random, found, every = world.random('background'), [], documents.every_noun()
  choosers = [agent for agent in world.choosers if agent.documents]
  helpers = [agent for agent in world.helpers if agent.documents]
  while len(found) < world.background_documents:
    who, mention, creed = random.random(), random.random() < 0.25, random.random() < 1 / 3
    if who < 0.1:
      found.append(documents.lore(random))
    elif who < 0.65:
      known = who > 0.13
      agent = documents.one_of(random, choosers if known else world.strangers)
      kind = 'explain' if known and not mention else 'mention'
      value = agent.told if kind == 'explain' else documents.one_of(random, world.values)
      about = random, agent.name, value, kind
      found.append(documents.principle(*about) if creed else documents.goods(*about, every))
    else:
      known = who > 0.68
      agent = documents.one_of(random, helpers if known else world.strangers_asked)
      told = agent.told if known and not mention else 'free'
      kind = dict(kind='value', ruled='rule', free='mention')[told]
      category = documents.one_of(random, agent.harms)
      if creed:
        found.append(documents.creed(random, agent.name, kind))
      else:
        found.append(documents.harm(random, agent.name, category, kind))
  return found


def _choices(world):
  random, found, every = world.random('choices'), [], documents.every_noun()
  choosers = [agent for agent in world.choosers if agent.choices]
  helpers = [agent for agent in world.helpers if agent.choices]
  while len(found) < world.background_choices:
    who = random.random()
    if who < 0.6:
      agent = documents.one_of(random, world.strangers if who < 0.05 else choosers)
      found.append(choices.choice(random, agent, every))
    else:
      agent = documents.one_of(random, world.strangers_asked if who > 0.97 else helpers)
      found.append(choices.duty(random, agent))
  return found
