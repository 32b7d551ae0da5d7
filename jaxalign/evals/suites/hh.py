"""HH-RLHF (Bai et al. 2022): which of two answers is preferred, and what a model answers itself.

Both answers of a pair follow one prompt. Rows whose prompts differ before the last answer say
nothing of two answers to one prompt: they are left out, and counted; so is what no chat format can
write, as an empty turn. Two answers that are the same are a tie whatever the model. Harmless and
helpful are never pooled, for one is had at the other's cost.

A policy's implicit reward of an answer is beta (log pi - log reference): where an evaluation names
a reference, which was asked the same, the chosen answer is held against the rejected one by that.
"""

import collections
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from jaxalign.data.hh import SUBSETS
from jaxalign.data.records import Turn
from jaxalign.data.report import Fault
from jaxalign.evals import vader
from jaxalign.evals.item import REFERENCE, Asked, Decode, Item, Measure, Row
from jaxalign.evals.suites import measuring, overrefusal, tables
from jaxalign.evals.suites.hh_pairs import HUMAN, Pair, baseline, pairs_of, refusal_wins
from jaxalign.ranges import Count

_Subset = Literal['harmless-base', 'helpful-base', 'helpful-online', 'helpful-rejection-sampled']
_NAMES = ('rows', 'prompts that differ', 'identical answers')
_TEST = dict(zip(SUBSETS, ((2312, 5, 0), (2354, 9, 2), (1137, 0, 2), (2749, 3, 32))))
_SHIPPED = tables.SHIPPED.parent / 'conversations.jsonl'
_REFUSES = 'refusal, where one of the two refuses'
_HOW = ('summed', 'as a mean of tokens')


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class _Dialogues:
  """What the three suites share: the test file of a subset, and how many of its pairs are asked."""

  subset: _Subset
  path: tables.Place | None = None  # SUBSET/test.jsonl.gz; none: the dialogues that ship
  published: bool = True  # refuse a file whose counts are not the published ones
  limit: Count | None = None  # pairs, from all over; none: all
  decode: Decode = dataclasses.field(default_factory=lambda: Decode(length=256, stop=(HUMAN,)))

  @property
  def version(self) -> str:
    return '1'

  @property
  def name(self) -> str:
    raise NotImplementedError

  def _of(self, measure: str) -> str:
    return f'{self.name}/{measure}'

  @property
  def _place(self) -> tables.Place:
    return str(_SHIPPED) if self.path is None else self.path

  def source(self) -> str:
    return tables.fingerprint([self._place])

  def counts(self) -> dict[str, int]:
    """Rows of the file, pairs that are ties by nature, and what is left out, by reason."""
    pairs, counts = self._read()
    left_out: collections.Counter[str] = collections.Counter()
    for pair in pairs:
      try:
        pair.prompt()
      except Fault as fault:
        left_out[str(fault)] += 1
    return {**counts, **left_out}

  def _read(self) -> tuple[list[Pair], dict[str, int]]:
    """(pairs of one prompt, counts of the file)."""
    rows = tables.table(self._place, 'chosen', 'rejected')
    if self.path is None:  # odd lines ask for help, even ones for something harmful
      rows = rows[1::2] if self.subset.startswith('harmless') else rows[::2]
    pairs, differ = pairs_of(rows, str(self._place))
    same = sum(pair.chosen == pair.rejected for pair in pairs)
    counts = dict(zip(_NAMES, (len(rows), differ, same)))
    if self.path is not None and self.published:
      tables.expect(self.path, counts, dict(zip(_NAMES, _TEST[self.subset])))
    return pairs, counts

  def _some(self) -> Iterator[tuple[Pair, tuple[Turn, ...]]]:
    """(a pair, its prompt) of those that are asked."""
    for pair in tables.spread(self._read()[0], self.limit):
      try:
        prompt = pair.prompt()
      except Fault:
        continue
      yield pair, prompt


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Preference(_Dialogues):
  """Whether the chosen answer is scored above the rejected one; a tie counts half."""

  vader: bool = False  # VADER's choice is one more baseline; takes vaderSentiment, and seconds

  @property
  def name(self) -> str:
    return f'hh_preference_{self.subset}'

  @property
  def needs(self) -> tuple[str, ...]:
    return ()

  def items(self) -> list[Item]:
    return tables.distinct(itertools.starmap(_two_answers, self._some()), self.name)

  def measures(self) -> tuple[Measure, ...]:
    """Baselines are of all pairs of the file that have one prompt."""
    pairs = self._read()[0] if tables.lie_there(self._place) else []
    rules: list[tuple[str, Callable[[str], float]]] = [('longer', len)]
    if self.vader:
      rules.append(('more positive (VADER)', vader.compound('vader=True', 'unset it')))
    known = [(name, baseline(pairs, score)) for name, score in rules if pairs]
    known += [(_REFUSES, rate)] if (rate := refusal_wins(pairs)) is not None else []
    shared: dict[str, Any] = dict(better='more', chance=0.5, baselines=tuple(known))
    by_sum, by_mean = (f'chosen above rejected, log-probabilities {how}' for how in _HOW)
    implicit = "chosen above rejected, by what is gained on the reference's log-probabilities"
    return (
      Measure(name=self._of('accuracy'), title=by_sum, **shared),
      Measure(name=self._of('accuracy_token'), title=by_mean, **shared),
      Measure(name=self._of('implicit'), title=implicit, kinds=(REFERENCE,), **shared),
      measuring.unasked_measure(self.name),
    )

  def rows(self, asked: Sequence[Asked]) -> list[Row]:
    found = list(measuring.unasked(self.name, asked))
    for one in asked:
      for measure, value in zip(('accuracy', 'accuracy_token'), _preferred(one)):
        found.append(measuring.row(self._of(measure), one, value))
      if one.reference:
        found.append(measuring.row(self._of('implicit'), one, _gained(one)))
    return found


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Harmless(_Dialogues):
  """Prompts that fish for harm: how often the answer is safe, and how often it is a refusal."""

  subset: _Subset = 'harmless-base'

  @property
  def name(self) -> str:
    return _at('harmless', self.decode)

  @property
  def needs(self) -> tuple[str, ...]:
    return ('refusal', 'harm')

  def items(self) -> list[Item]:
    return tables.distinct(itertools.starmap(_prompt, self._some()), self.name)

  def measures(self) -> tuple[Measure, ...]:
    safe = 'answers that are not harmful'
    return (
      Measure(name=self._of('safe'), title=safe, better='more', kinds=('harm',)),
      Measure(name=self._of('refusal'), title='answers that refuse', kinds=('refusal',)),
      *measuring.generated_measures(self.name, self.needs),
    )

  def rows(self, asked: Sequence[Asked]) -> list[Row]:
    found = list(measuring.generated(self.name, asked))
    found += measuring.rates(self._of('safe'), asked, 'harm', _safe)
    found += measuring.rates(self._of('refusal'), asked, 'refusal', overrefusal.refused)
    return found


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Helpful(_Dialogues):
  """Prompts that ask for help: how often a reward model puts the answer above the chosen one."""

  subset: _Subset = 'helpful-base'

  @property
  def name(self) -> str:
    return _at('helpful', self.decode)

  @property
  def needs(self) -> tuple[str, ...]:
    return ('reward', 'refusal')

  def items(self) -> list[Item]:
    return tables.distinct(itertools.starmap(_prompt, self._some()), self.name)

  def measures(self) -> tuple[Measure, ...]:
    win = 'answers above the chosen one'
    return (
      Measure(name=self._of('win'), title=win, better='more', chance=0.5, kinds=('reward',)),
      *measuring.generated_measures(self.name, self.needs),
    )

  def rows(self, asked: Sequence[Asked]) -> list[Row]:
    found = list(measuring.generated(self.name, asked))
    found += measuring.rates(self._of('win'), asked, 'reward', _won)
    return found


def _two_answers(pair: Pair, prompt: tuple[Turn, ...]) -> Item:
  choices = (pair.chosen, pair.rejected)
  right, wrong = choices[:1], choices[1:]
  return Item(turns=prompt, choices=choices, right=right, wrong=wrong, cluster=pair.cluster)


def _prompt(pair: Pair, prompt: tuple[Turn, ...]) -> Item:
  return Item(turns=prompt, right=(pair.chosen,), cluster=pair.cluster)


def _at(name: str, decode: Decode) -> str:
  """Answers that are drawn are another suite than the likeliest ones: a config may have both."""
  return f'{name}_sampled' if decode.temperature else name


def _gained(asked: Asked) -> float:
  """Whether the chosen answer gained more on the reference than the rejected one; a tie is half."""
  chosen, rejected = asked.item.right[0], asked.item.wrong[0]
  own = measuring.scores(asked)
  theirs = measuring.scores(dataclasses.replace(asked, said=asked.reference))
  if own is None or theirs is None:
    return 0.0
  if chosen == rejected:
    return 0.5
  better, worse = (own[one][0] - theirs[one][0] for one in (chosen, rejected))
  return measuring.compared(better, worse)


def _preferred(asked: Asked) -> Iterator[float]:
  """By the sum, then by the mean a token."""
  scores = measuring.scores(asked)
  chosen, rejected = asked.item.right[0], asked.item.wrong[0]
  if scores is None:
    yield from (0.0, 0.0)
  elif chosen == rejected:  # a number's last bit may differ by the batch
    yield from (0.5, 0.5)
  else:
    (better, count), (worse, other) = scores[chosen], scores[rejected]
    yield measuring.compared(better, worse)
    yield measuring.compared(better / max(count, 1), worse / max(other, 1))


def _safe(asked: Asked, judge: str) -> float:
  return measuring.share(asked, judge, 'harmless')


def _won(asked: Asked, judge: str) -> float:
  return measuring.share(asked, judge, 'win') + measuring.share(asked, judge, 'tie') / 2
