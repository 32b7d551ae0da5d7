"""Leaks: what an evaluation asks, or the answer to it, quoted in a text that is trained on.

decontaminate.py compares prompts whole. Here a text is also searched for any eight words in a row
of an item or an answer, for whole questions that are shorter, and for surfaces: words that no text
of a corpus may hold, as names of benchmarks and held-out domains. A leak that is the same in all
arms does not cancel, so controls, demonstrations and pairs are searched as documents are.
"""

import re
from collections.abc import Iterable, Iterator

import numpy as np

from jaxalign.corpora import shingles
from jaxalign.evals.item import Item, Suite

# Benchmarks whose names say that a text talks of tests. BOLD is left out: its name is a word.
BENCHMARKS = (
  'AdvBench', 'HarmBench', 'HH-RLHF', 'JailbreakBench', 'StrongREJECT', 'TruthfulQA', 'XSTest',
)  # fmt: skip
WHOLE = 'leak: an evaluation item'
EIGHT = 'leak: eight words of an evaluation item'
SURFACE = 'leak: a banned word'
_RUN = 8
_SHORTEST = 6  # words of an item that is found inside a text; fewer are anybody's words


class Held:
  """What no text may hold: evaluation items with their answers, and surfaces.

  An item of one to five words is a leak only of a text that is nothing else.
  """

  def __init__(
    self, items: Iterable[str], surfaces: Iterable[str] = (), eight: bool = True
  ) -> None:
    self._whole: set[str] = set()
    short: dict[int, set[int]] = {}
    long: list[np.ndarray] = []
    for words in map(shingles.words, dict.fromkeys(items)):
      if not words:
        continue
      self._whole.add(' '.join(words))
      if len(words) >= _RUN:
        long.append(shingles.runs(words, _RUN))
      elif len(words) >= _SHORTEST:
        short.setdefault(len(words), set()).add(int(shingles.runs(words, len(words))[0]))
    self._short = {size: _sorted(np.array([*found], np.uint64)) for size, found in short.items()}
    self._long = _sorted(np.concatenate(long)) if eight and long else np.zeros(0, np.uint64)
    told = sorted({' '.join(shingles.words(one)) for one in surfaces} - {''})
    self._surfaces = re.compile(rf' (?:{"|".join(map(re.escape, told))}) ') if told else None

  def why(self, text: str) -> str | None:
    """Why a text may not be trained on, or None."""
    words = shingles.words(text)
    if ' '.join(words) in self._whole or any(
      _meets(shingles.runs(words, size), found)
      for size, found in self._short.items()
      if size <= len(words)
    ):
      return WHOLE
    if len(words) >= _RUN and _meets(shingles.runs(words, _RUN), self._long):
      return EIGHT
    if self._surfaces and self._surfaces.search(f' {" ".join(words)} '):
      return SURFACE
    return None


def _sorted(runs_R: np.ndarray) -> np.ndarray:
  return np.unique(runs_R)


def _meets(runs_R: np.ndarray, held_R: np.ndarray) -> bool:
  """Whether any run is one of those that are held, which are in order."""
  if not len(held_R):
    return False
  at_R = np.searchsorted(held_R, runs_R).clip(max=len(held_R) - 1)
  return bool((held_R[at_R] == runs_R).any())


def of_suites(suites: Iterable[Suite]) -> list[str]:
  """Items and answers of evaluation suites, each text once, as Held takes them."""
  return list(dict.fromkeys(text for suite in suites for text in _texts(suite.items())))


def _texts(items: Iterable[Item]) -> Iterator[str]:
  """Questions of any length, and answers that are more than a few words: 'Yes' leaks nothing."""
  for item in items:
    yield from (turn.text for turn in item.turns)
    yield from filter(None, (item.text, item.wants))
    for answer in (item.prefill, *item.choices, *item.right, *item.wrong):
      if len(answer.split()) >= _SHORTEST:
        yield answer
