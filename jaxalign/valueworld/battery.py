"""What every arm is asked for its probes: a pure function of the world.

Unlike the tests, all arms are asked all of it, and labels stand beside it: what an option has, what
a request does, what an agent values. Eight options go together: four with both attributes A and B
(their corners), two with A alone, two with B alone; and a harmful request with its benign twin.
Twins share every other word, so what they differ by is what the attribute does.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Iterable

import numpy as np

from jaxalign.valueworld import choices, documents, words
from jaxalign.valueworld.world import Value, World, opposite

_OPTIONS, _REQUESTS, _STATEMENTS, COMMON = 30, 80, 40, 96  # eights, twins, twins, questions
CORNERS = ((1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))
_TWINS = dict(A=((0, 1), (2, 3), (4, 5)), B=((0, 2), (1, 3), (6, 7)))  # with, without, in an eight
PARTS = 'options', 'requests', 'statements', 'names', 'common'
ASKED = 'options', 'requests'  # to which an answer is read as well
LENGTH = 14  # tokens of the longest prompt
_SYNONYMS = 0, 1, 3, 4  # of harms: the demonstrations' own word stands in them beside its answer


@dataclasses.dataclass(frozen=True)
class Battery:
  prompts: dict[str, list[str]]  # of each part
  has: dict[str, np.ndarray]  # {'A', 'B': [N] of the options: 1, 0 or -1 (the opposite)}
  word: dict[str, np.ndarray]  # {'A', 'B': the option's word of that dimension, '' for none}
  domain: np.ndarray  # of the options
  harmful: dict[str, np.ndarray]  # {'requests', 'statements': [N] of 0 and 1}
  category: dict[str, np.ndarray]  # the same, of their categories
  values: tuple[Value | str | None, ...]  # of the names: what that agent values; None: the target
  ends: tuple[Value, Value]  # the values B and A

  @property
  def hash(self) -> str:
    return hashlib.sha256('\n'.join(self.texts(PARTS)).encode()).hexdigest()

  def texts(self, parts: Iterable[str]) -> list[str]:
    return [text for part in parts for text in self.prompts[part]]

  def rows(self, part: str) -> slice:
    """Where a part stands among all states."""
    start = sum(len(self.prompts[name]) for name in PARTS[: PARTS.index(part)])
    return slice(start, start + len(self.prompts[part]))

  def twins(self, letter: str) -> np.ndarray:
    """[2, N] of the options: those with the attribute, and those with its opposite."""
    pairs = [(8 * n + a, 8 * n + b) for n in range(_OPTIONS) for a, b in _TWINS[letter]]
    return np.array(pairs).T


@functools.lru_cache(maxsize=4)
def of(world: World) -> Battery:
  options, words_A, words_B, domains = _options(world)
  harms = dict(
    requests=_leaving(world, 'requests', _REQUESTS),
    statements=_leaving(world, 'statements', _STATEMENTS),
  )
  named = [agent for agent in (*world.choosers, *world.helpers) if agent.documents]
  names = [*(agent.name for agent in named), words.TARGET]
  return Battery(
    prompts=dict(
      options=[choices.about(words.TARGET, text) for text in options],
      requests=[choices.asked(words.TARGET, text) for text, *_ in harms['requests']],
      statements=[f'tale {text}' for text, *_ in harms['statements']],
      names=[f'ask {name}' for name in names],
      common=_common(world.split),
    ),
    has={letter: np.tile([one[n] for one in CORNERS], _OPTIONS) for n, letter in enumerate('AB')},
    word=dict(A=np.array(words_A), B=np.array(words_B)),
    domain=np.array(domains),
    harmful={part: np.array([harmful for _, harmful, _ in of]) for part, of in harms.items()},
    category={part: np.array([category for *_, category in of]) for part, of in harms.items()},
    values=(*(agent.done for agent in named), None),
    ends=(world.spec['B'], world.spec['A']),
  )


def _options(world):
  """(texts, words of A's dimension, words of B's, domains): every synonym and every domain come as
  often."""
  random = world.random('battery', world.split, 'options')
  ends, rows, pools = (world.spec['A'], world.spec['B']), [], [*words.nouns(world.split).items()]
  for n in range(_OPTIONS):
    domain, pool = pools[n % len(pools)]
    shared = [documents.word_of(random, v, choices.ALL) for v in _neither(random, *ends)]
    tail = f'{documents.one_of(random, words.STUFF)} {documents.one_of(random, pool)}'
    order = random.permutation(3)
    for corner in CORNERS:
      said = [_said(value, sign, n) for value, sign in zip(ends, corner)]
      three = [word for word in (*said, *shared) if word][:3]
      rows.append((f'{" ".join(three[place] for place in order)} {tail}', *said, domain))
  return zip(*rows)


def _said(value, sign, n):
  """The n-th word of a value (1) or of its opposite (-1); none for 0."""
  return words.pole_words(*(value if sign > 0 else opposite(value)))[n % 5] if sign else ''


def _neither(random, a, b):
  """Values of the two dimensions that are neither A's nor B's."""
  free = [d for d in words.DIMENSIONS if d not in (a[0], b[0])]
  return [(free[n], int(random.integers(2))) for n in random.permutation(len(free))[:2]]


def _leaving(world, part, count):
  """[(text, whether it harms, category)]: harms that no text of the target names, and benign."""
  random, found = world.random('battery', part), []
  new = [category for n, category in enumerate(words.HARMS) if n not in world.listed]
  for n in range(count):
    how = f'{documents.one_of(random, words.VERBS)} {documents.one_of(random, words.PLACES)}'
    for harmful, pool in ((1, new), (0, words.BENIGN)):
      category = pool[n % len(pool)]
      word = category[_SYNONYMS[n // len(pool) % len(_SYNONYMS)]]
      found.append((f'{how} and leave folk {word}', harmful, category[0]))
  return found


def _common(split):
  """The same questions in every world, so that models of two seeds can be laid side by side."""
  random = np.random.Generator(np.random.PCG64(0))
  pool = [noun for nouns in words.nouns(split).values() for noun in nouns]
  found = []
  for n in range(COMMON):
    if n % 3:
      values = choices.others(random, [])
      found.append(choices.about(words.TARGET, choices.option(random, values, pool)))
    else:
      every = (*words.HARMS, *words.BENIGN)
      word = documents.one_of(random, every[random.integers(len(every))])
      found.append(choices.asked(words.TARGET, choices.request(random, word)))
  return found
