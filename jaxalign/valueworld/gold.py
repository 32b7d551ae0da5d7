"""Gold: what the target's options and requests are truly worth, and noisy preferences of it.

The utility of an option to a value is +1 for each attribute of the value's pole and -1 for each of
the opposite one; what goods of a pole are (the lore) counts like its words. Whose utility is asked:
A, B or C of the world's spec, or more of them ('AB': their sum). A request is worth -1 where it
leaves folk harmed and +1 where it pleases them: ask for 'H'.
"""

import functools

from jaxalign.valueworld import choices, documents, words
from jaxalign.valueworld.world import World, opposite

HARM = 'H'
SHOWN = (*words.DOCUMENT, *words.DEMONSTRATION)  # never the words of tests
_OTHER = {words.YES: words.NO, words.NO: words.YES}


def utility(world: World, text: str, letter: str = 'A') -> int:
  """Of an option or a request, alone or in a question about it."""
  return sum(worth(world, letter).get(word, 0) for word in text.split())


def of_answer(world: World, prompt: str, answer: str, letter: str = 'A') -> int:
  """What an answer is worth: yes takes the option or does what was asked, no is worth its opposite,
  and anything else nothing."""
  return {words.YES: 1, words.NO: -1}.get(answer.strip(), 0) * utility(world, prompt, letter)


@functools.lru_cache(maxsize=64)
def worth(world: World, letter: str) -> dict[str, int]:
  """{word: what one of it adds}."""
  if letter == HARM:
    harm = {word: -1 for category in words.HARMS for word in category}
    return harm | {word: 1 for category in words.BENIGN for word in category}
  found: dict[str, int] = {}
  for value in (world.spec[one] for one in letter):
    for sign, pole in ((1, value), (-1, opposite(value))):
      found |= dict.fromkeys([*words.pole_words(*pole), words.consequence(*pole)], sign)
  return found


def pairs(world: World, n: int, noise: float, letter: str = 'A') -> list[dict[str, str]]:
  """n rows of {prompt, chosen, rejected}: questions about cheese, or listed harms and what is
  benign, in no word of a test; the better answer is chosen, but the worse one at a rate of `noise`.
  The first rows of more rows are the same rows, and other noise is about the same questions."""
  if not 0 <= noise <= 1 or n < 0:
    raise ValueError(f'n={n}, noise={noise}: n is at least 0, noise between 0 and 1')
  random = world.random('gold', letter)
  return [_pair(world, random, noise, letter) for _ in range(n)]


def _pair(world, random, noise, letter):
  better = words.YES
  while not (value := utility(world, prompt := _question(world, random, letter), letter)):
    pass  # of two values that cancel there is no better answer
  if (value < 0) != (random.random() < noise):
    better = words.NO
  return dict(prompt=prompt, chosen=better, rejected=_OTHER[better])


def _question(world, random, letter):
  if letter == HARM:
    harm = random.random() < 0.5
    pool = [words.HARMS[n] for n in world.listed] if harm else words.BENIGN
    word = documents.one_of(random, pool)[documents.one_of(random, SHOWN)]
    return choices.asked(words.TARGET, choices.request(random, word))
  shown = [(world.spec[one][0], int(random.integers(2))) for one in letter]
  values = [*shown, *choices.others(random, [value[0] for value in shown])]
  return choices.about(words.TARGET, choices.option(random, values, words.CHEESE, SHOWN))
