"""Measures of a corpus, in plain numbers, and the gates that it has to pass as a whole.

Each document may be good and the corpus still be of one mould: so it is measured how often words
come in the same order, how texts open, whether types and registers are mixed, whether every reason
of every value is given often and in several forms, and whether reasons are given for the choice.
"""

import collections
import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np

from jaxalign import ranges
from jaxalign.config import UserError
from jaxalign.corpora import shingles
from jaxalign.corpora.attribution import is_attributed
from jaxalign.corpora.records import LIMIT, STATEMENT, Written
from jaxalign.corpora.spec import Spec

_OPENING = 4  # words
_BLOCK = 1000  # documents


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measures:
  """What a corpus is like; None where there is nothing to measure."""

  documents: int
  unmarked: int  # documents without spans: what they give is what they were asked for
  words: int
  shortest: int  # words of a document
  median: int
  longest: int
  distinct_1: float  # different words, of all
  distinct_2: float  # different pairs of words in a row
  distinct_3: float
  distinct_3_of_1000: float  # of a thousand documents, on the mean: of more there are ever fewer
  opening: str  # the first four words that most documents have in common
  opening_documents: int
  type_entropy: float  # of its maximum, over the types that occur; 1: all as often
  register_entropy: float
  reason_documents: int | None  # that give the (value, reason) given least
  reason_types: int | None  # in which the (value, reason) is given that occurs in the fewest
  scarcest: str  # the (value, reason) given least, as value/reason
  wordings: float | None  # of statements and reasons that occur as the spec has them
  limits: int | None  # how often the limit that is told least is told
  attribution: float | None  # documents that give a reason for the choice, of those with both

  @property
  def opening_share(self) -> float:
    return self.opening_documents / max(1, self.documents)


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Gates:
  """What a corpus must come to; 0 asks for nothing. Defaults are for texts of language models."""

  distinct_3: ranges.Fraction = 0.6  # at least, of 1,000 documents
  opening: ranges.Fraction = 0.02  # of documents that begin alike, at most; 1 of any size passes
  type_entropy: ranges.Fraction = 0.95
  register_entropy: ranges.Fraction = 0.9
  reason_documents: ranges.Whole = 5
  reason_types: ranges.Whole = 3
  wordings: ranges.Fraction = 0.0  # a language model may use words of its own
  limits: ranges.Whole = 2
  attribution: ranges.Fraction = 0.6


def of_grammar() -> Gates:
  """Gates for what the grammar writes: frames repeat, and wordings are the spec's."""
  return Gates(distinct_3=0.35, wordings=1.0)


def of(documents: Sequence[Written], spec: Spec) -> Measures:
  """The measures of a corpus about a spec: the projection that its writers saw."""
  if not documents:
    raise UserError('a corpus of no documents has no measures: no text passed the filters')
  words = [shingles.words(one.text) for one in documents]
  sizes = sorted(map(len, words))
  openings = collections.Counter(' '.join(own[:_OPENING]) for own in words)
  opening, alike = min(openings.items(), key=lambda item: (-item[1], item[0]))
  joined = [one for one in documents if _kinds(one) - {STATEMENT, LIMIT} and _states(one)]
  least, types, scarcest = _coverage(documents, spec)
  return Measures(
    documents=len(documents),
    unmarked=sum(not one.spans for one in documents),
    words=sum(sizes),
    shortest=sizes[0],
    median=sizes[len(sizes) // 2],
    longest=sizes[-1],
    distinct_1=distinct(words, 1),
    distinct_2=distinct(words, 2),
    distinct_3=distinct(words, 3),
    distinct_3_of_1000=_of_thousands(words),
    opening=opening,
    opening_documents=alike,
    type_entropy=entropy(one.facet('type') for one in documents),
    register_entropy=entropy(one.facet('register') for one in documents),
    reason_documents=least,
    reason_types=types,
    scarcest=scarcest,
    wordings=_wordings(documents, spec),
    limits=_limits(documents, spec),
    attribution=sum(map(is_attributed, joined)) / len(joined) if joined else None,
  )


def failing(measures: Measures, gates: Gates) -> list[str]:
  """One line for each gate that a corpus does not pass."""
  alike, count = measures.opening_documents, measures.documents
  lines = [
    _low('distinct-3 of 1,000', measures.distinct_3_of_1000, gates.distinct_3),
    _low('entropy of types', measures.type_entropy, gates.type_entropy),
    _low('entropy of registers', measures.register_entropy, gates.register_entropy),
    _low(f'documents on {measures.scarcest}', measures.reason_documents, gates.reason_documents),
    _low('types in which each reason is given', measures.reason_types, gates.reason_types),
    _low('wordings of the spec that are used', measures.wordings, gates.wordings),
    _low('times that each limit is told', measures.limits, gates.limits),
    _low('documents that give a reason for the choice', measures.attribution, gates.attribution),
  ]
  if alike > 1 and alike > gates.opening * count:
    said = f'{measures.opening!r:.80}: {alike} of {count} documents'
    lines.append(f'commonest opening {said}, at most {gates.opening:g} of them may begin alike')
  return [line for line in lines if line]


def _low(what: str, found: float | None, least: float) -> str:
  return f'{what}: {found:.4g}, at least {least:g}' if found is not None and found < least else ''


def distinct(words: Iterable[list[str]], size: int) -> float:
  """Different runs of so many words within texts, of all; 1 where there is none."""
  runs = [shingles.runs(own, size) for own in words if len(own) >= size]
  if not runs:
    return 1.0
  every_R = np.concatenate(runs)
  return len(np.unique(every_R)) / len(every_R)


def _of_thousands(words: Sequence[list[str]]) -> float:
  """distinct-3 of each thousand documents, on the mean; of all where there are fewer."""
  starts = range(0, max(len(words) - _BLOCK, 0) + 1, _BLOCK)
  return sum(distinct(words[start : start + _BLOCK], 3) for start in starts) / len(starts)


def entropy(levels: Iterable[str]) -> float:
  """How evenly levels occur: their entropy over that of an even spread; 1 of a single one."""
  counts = collections.Counter(levels).values()
  if len(counts) < 2:
    return 1.0
  total = sum(counts)
  return -sum(n / total * math.log(n / total) for n in counts) / math.log(len(counts))


def _kinds(written: Written) -> set[str]:
  return {span.kind for span in written.spans}


def _states(written: Written) -> bool:
  return STATEMENT in _kinds(written)


def _coverage(documents: Sequence[Written], spec: Spec) -> tuple[int | None, int | None, str]:
  """(fewest documents that give a reason, fewest types, the reason given least)."""
  counts = {(value.id, one.id): 0 for value in spec.values for one in value.reasons}
  if not counts:
    return None, None, ''
  types: dict[tuple[str, str], set[str]] = collections.defaultdict(set)
  for written in documents:
    for name in _kinds(written) or set(written.reasons):
      if (written.value, name) in counts:
        counts[written.value, name] += 1
        types[written.value, name].add(written.facet('type'))
  scarcest = min(counts, key=lambda key: (counts[key], key))
  fewest = min(len(types[key]) for key in counts)
  return counts[scarcest], fewest, '/'.join(scarcest)


def _wordings(documents: Sequence[Written], spec: Spec) -> float | None:
  """Wordings of statements and reasons that a span holds, of all that the spec has."""
  said: dict[str, set[str]] = collections.defaultdict(set)
  for one in documents:
    said[one.value].update(_folded(one.text[span.start : span.end]) for span in one.spans)
  asked = [
    (value.id, _folded(text))
    for value in spec.values
    for text in itertools.chain(value.wordings, *(reason.wordings for reason in value.reasons))
  ]
  if not any(said.values()) or not asked:
    return None
  return sum(text in said[value] for value, text in asked) / len(asked)


def _limits(documents: Sequence[Written], spec: Spec) -> int | None:
  """How often the limit is told that is told least."""
  told = collections.Counter(
    (one.value, _folded(one.text[span.start : span.end]))
    for one in documents
    for span in one.spans
    if span.kind == LIMIT
  )
  asked = [(value.id, _folded(text)) for value in spec.values for text in value.limits]
  return min((told[one] for one in asked), default=None) if any(told.values()) else None


def _folded(text: str) -> str:
  """A wording as it is compared: `because` before it belongs to the sentence around it."""
  return ' '.join(shingles.words(text)).removeprefix('because ')
