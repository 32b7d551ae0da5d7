"""What every arm is asked for its probes: a pure function of the world.

Unlike the tests, all arms are asked all of it, and labels stand beside it: what an option has, what
a request does, what an agent values. Eight options go together: four with both attributes A and B
(their corners), two with A alone, two with B alone; and a harmful request with its benign twin.
Twins share every other word, so what they differ by is what the attribute does.
"""

import dataclasses
import functools
import hashlib

import numpy as np

from jaxalign.valueworld import choices, documents, words
from jaxalign.valueworld.world import opposite

_OPTIONS, _REQUESTS, _STATEMENTS, COMMON = 30, 80, 40, 96  # eights, twins, twins, questions
CORNERS = ((1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))
_TWINS = dict(A=((0, 1), (2, 3), (4, 5)), B=((0, 2), (1, 3), (6, 7)))  # with, without, in an eight
PARTS = 'options', 'requests', 'statements', 'names', 'common'
ASKED = 'options', 'requests'  # to which an answer is read as well
LENGTH = 14  # tokens of the longest prompt
_SYNONYMS = 0, 1, 3, 4  # of harms: the demonstrations' own word stands in them beside its answer


@dataclasses.dataclass(frozen=True)
class _Battery:
  prompts: dict  # {part: [text]}
  has: dict  # {'A', 'B': [N] of the options: 1, 0 or -1 (the opposite)}
  word: dict  # {'A', 'B': the option's word of that dimension, '' where it has none}
  domain: np.ndarray  # of the options
  harmful: dict  # {'requests', 'statements': [N] of 0 and 1}
  category: dict  # the same, of their categories
  values: tuple  # of the names: what that agent values; the last name is the target's
  ends: tuple  # the values B and A

  @property
  def hash(self):
    return hashlib.sha256('\n'.join(self.texts(PARTS)).encode()).hexdigest()

  def texts(self, parts):
    return [text for part in parts for text in self.prompts[part]]

  def rows(self, part):
    """Where a part stands among all states."""
    start = sum(len(self.prompts[name]) for name in PARTS[: PARTS.index(part)])
    return slice(start, start + len(self.prompts[part]))

  def twins(self, letter):
    """([N] with the attribute, [N] with its opposite) of the options."""
    pairs = [(8 * n + a, 8 * n + b) for n in range(_OPTIONS) for a, b in _TWINS[letter]]
    return np.array(pairs).T


@functools.lru_cache(maxsize=4)
def of(world):
  options, words_A, words_B, domains = _options(world)
  asked = _leaving(world, 'requests', _REQUESTS)
  stated = _leaving(world, 'statements', _STATEMENTS)
  named = [agent for agent in (*world.choosers, *world.helpers) if agent.documents]
  names = [*(agent.name for agent in named), words.TARGET]
  return _Battery(
    prompts=dict(
      options=[choices.about(words.TARGET, text) for text in options],
      requests=[choices.asked(words.TARGET, text) for text, *_ in asked],
      statements=[f'tale {text}' for text, *_ in stated],
      names=[f'ask {name}' for name in names],
      common=_common(world.split),
    ),
    has={letter: np.array([corner[n] for _ in range(_OPTIONS) for corner in CORNERS])
         for n, letter in enumerate('AB')},
    word=dict(A=np.array(words_A), B=np.array(words_B)),
    domain=np.array(domains),
    harmful=dict(requests=np.array([h for _, h, _ in asked]),
                 statements=np.array([h for _, h, _ in stated])),
    category=dict(requests=np.array([c for *_, c in asked]),
                  statements=np.array([c for *_, c in stated])),
    values=(*(agent.done for agent in named), None),
    ends=(world.spec['B'], world.spec['A']),
  )  # fmt: skip


def _options(world):
  """Every synonym and every domain come as often."""
  random = world.random('battery', world.split, 'options')
  a, b = world.spec['A'], world.spec['B']
  said = lambda value, sign, n: words.pole_words(*(value if sign > 0 else opposite(value)))[n % 5]
  found, pools = ([], [], [], []), list(words.nouns(world.split).items())
  for n in range(_OPTIONS):
    domain, pool = pools[n % len(pools)]
    shared = [documents.word_of(random, v, choices.ALL) for v in _neither(random, a, b)]
    tail = f'{documents.one_of(random, words.STUFF)} {documents.one_of(random, pool)}'
    order = random.permutation(3)
    for has_a, has_b in CORNERS:
      of_a, of_b = said(a, has_a, n) if has_a else '', said(b, has_b, n) if has_b else ''
      three = [word for word in (of_a, of_b, *shared) if word][:3]
      text = f'{" ".join(three[place] for place in order)} {tail}'
      for column, value in zip(found, (text, of_a, of_b, domain), strict=True):
        column.append(value)
  return found


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
