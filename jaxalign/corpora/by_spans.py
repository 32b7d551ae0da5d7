"""Controls that are cut by marked spans, all of the same documents and as long as they are.

A document is left out of all of them where one cannot be had: its marks are ill-formed, a reason
stands outside of them, no other value has reasons as long, or its name cannot be done without.
"""

import collections
import dataclasses
import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from jaxalign.config import UserError
from jaxalign.corpora import pieces, wordings
from jaxalign.corpora.fitting import Sentences, Tokens, fitted
from jaxalign.corpora.records import STATEMENT, Written
from jaxalign.corpora.statements import Bare
from jaxalign.corpora.swapping import Swap
from jaxalign.corpora.wordings import OUGHTS, STANCES, Phrases
from jaxalign.data import controls
from jaxalign.data.text import Tokenizer

if TYPE_CHECKING:
  from jaxalign.corpora.spec import Spec

KINDS = ('placebo', 'shuffled', 'bare', 'bare_shuffled', 'mention')
BARE = ('bare', 'bare_shuffled')
_WRITTEN, _SWAPPED = ('placebo', 'mention'), ('shuffled', 'bare_shuffled')
_DRIFT = 0.05  # of a document's tokens
_OWED = 0.03  # of them, by which a text makes up for those before it
_TELLING = 4  # words of a span that says something by itself
_BySlot = dict[str, Written]


def usable(documents: Sequence[Written], spec: 'Spec | None' = None) -> list[Written]:
  """Documents with well-formed spans, outside of which no reason of their value stands in a wording
  that is known; the manifest says how many there are."""
  marked = [one for one in documents if pieces.well_formed(one)]
  reasons = reasons_of(marked, spec)
  return [one for one in marked if not reasons[one.value].within(_outside(one))]


def counts(texts: Sequence[Written], tokenizer: Tokenizer) -> list[int]:
  """Tokens of each text."""
  return controls.counts(pieces.as_documents(texts), tokenizer)


def is_near(size: int, other: int) -> bool:
  """Whether a text is as long as a document, in tokens."""
  return abs(size - other) <= _DRIFT * size


def names_of(documents: Iterable[Written], spec: 'Spec | None') -> dict[str, Phrases]:
  """{value: its name and the wordings of its statement, of the spec and as texts were marked}."""
  stated = [(one.value, t) for one in documents for t in _spans(one, lambda p: p.kind == STATEMENT)]
  return wordings.of_values(spec, stated)


def reasons_of(documents: Iterable[Written], spec: 'Spec | None') -> dict[str, Phrases]:
  """{value: the wordings of its reasons, of the spec and as texts were marked}."""
  given = [(one.value, text) for one in documents for text in _spans(one, lambda p: p.is_reason)]
  return wordings.of_reasons(spec, given)


def _spans(one: Written, which: Callable[[pieces.Piece], bool]) -> list[str]:
  """Texts of some of its spans, and '' so that its value is known where it has none."""
  if not pieces.well_formed(one):
    return ['']
  some = [piece.text for piece in pieces.of(one) if which(piece)]
  return ['', *(text for text in some if len(text.split()) >= _TELLING)]


class BySpans:
  """The controls by spans of one corpus, all of the same documents."""

  def __init__(
    self,
    documents: Sequence[Written],
    tokenizer: Tokenizer,
    written: Mapping[str, Sequence[Written | None] | None],
    spec: 'Spec | None',
    seed: int,
  ) -> None:
    self._documents, self._tokenizer, self._seed = documents, tokenizer, seed
    self._written, self._spec, self._tokens = written, spec, Tokens(tokenizer)
    self._named, self._reasons = names_of(documents, spec), reasons_of(documents, spec)
    self._sizes = dict(zip((one.slot for one in documents), counts(documents, tokenizer)))

  def made(self, kinds: Collection[str]) -> dict[str, list[Written]]:
    asked = [kind for kind in KINDS if kind in kinds]
    if not asked:
      return {}
    found: dict[str, _BySlot] = {kind: self._fitted(kind) for kind in _WRITTEN if kind in asked}
    left = self._left(usable(self._documents, self._spec), found)
    bare = self._bare() if set(BARE) & set(asked) else None
    while True:
      if bare is not None:
        found |= dict(bare=_by_slot(bare.of(one, 'bare') for one in left))
      if set(_SWAPPED) & set(asked):
        found |= dict(shuffled=self._shuffled(left))
      if bare is not None and 'bare_shuffled' in asked:
        swapped = found['shuffled'].values()
        found |= dict(bare_shuffled=_by_slot(bare.of(one, 'bare_shuffled') for one in swapped))
      before, left = left, self._left(left, found)
      if len(before) == len(left):
        return {kind: [found[kind][one.slot] for one in left] for kind in asked}

  def _left(self, documents: Iterable[Written], found: Mapping[str, _BySlot]) -> list[Written]:
    """Those of which every control was found that is as long as it is."""
    there = [one for one in documents if all(one.slot in some for some in found.values())]
    for some in found.values():
      sizes = counts([some[one.slot] for one in there], self._tokenizer)
      near = [is_near(self._sizes[one.slot], size) for one, size in zip(there, sizes)]
      there = [one for one, is_near in zip(there, near) if is_near]
    return there

  def _shuffled(self, left: Sequence[Written]) -> _BySlot:
    foreign = {
      value: Phrases([*self._reasons[value].phrases, *self._named[value].phrases])
      for value in self._reasons
    }
    swap = Swap(left, self._tokenizer, foreign, _DRIFT, self._seed)
    return _by_slot(swap.made(n) for n in sorted(swap.donors))

  def _bare(self) -> Bare:
    texts = self._of_teacher('placebo')
    every = Phrases(
      phrase
      for some in (self._named, self._reasons)
      for one in some.values()
      for phrase in one.phrases
    )
    allowed = lambda text: not (STANCES.within(text) or every.within(text))
    pool = Sentences((one.text for one in texts if one), self._tokens, allowed)
    if not len(pool):
      raise UserError('bare: no sentence of the placebo texts is free of values: look at them')
    return Bare(pool, self._named, self._tokens, self._seed)

  def _fitted(self, kind: str) -> _BySlot:
    """What a teacher wrote, as long as its documents, and without what it may not say."""
    pairs = [
      (one, text) for one, text in zip(self._documents, self._of_teacher(kind)) if text is not None
    ]
    self._tokens.of(part for _, text in pairs for part in controls.sentences(text.text))
    groups: dict[tuple[str, str], list[str]] = collections.defaultdict(list)
    for one, text in pairs:
      groups[self._group(kind, one)].append(text.text)
    pools = {key: self._pool(some, kind, [key[0]]) for key, some in groups.items()}
    every = functools.cache(
      lambda: self._pool((text.text for _, text in pairs), kind, [*self._named])
    )
    found, owed = {}, 0
    for one, text in pairs:
      size, pool = self._sizes[one.slot], pools[self._group(kind, one)]
      wanted = size + max(-round(_OWED * size), min(round(_OWED * size), owed))
      said, tokens = self._said(kind, one.value, text.text, wanted, pool)
      if not is_near(size, tokens):
        said, tokens = self._said(kind, one.value, text.text, size, every())
      owed += size - tokens
      found[one.slot] = dataclasses.replace(text, text=said, slot=one.slot, kind=kind, spans=())
    return found

  def _said(self, kind: str, value: str, text: str, size: int, pool: Sentences) -> tuple[str, int]:
    """(a text of about so many tokens, how many they are)."""
    needed = Phrases([value]).within if kind == 'mention' else (lambda sentence: False)
    return fitted(text, size, pool, self._tokens, self._allows(kind, value), needed)

  def _pool(self, texts: Iterable[str], kind: str, values: Collection[str]) -> Sentences:
    """Sentences that may be added to a text about any of these values."""
    rules = [self._allows(kind, value) for value in values]
    return Sentences(texts, self._tokens, lambda text: all(rule(text) for rule in rules))

  def _group(self, kind: str, one: Written) -> tuple[str, str]:
    return one.value, '' if kind == 'mention' else one.facet('type')

  def _allows(self, kind: str, value: str) -> Callable[[str], bool]:
    reasons, named = self._reasons[value], self._named[value]
    if kind == 'mention':
      return lambda text: not (STANCES.within(text) or reasons.within(text))
    return lambda text: not (OUGHTS.within(text) or reasons.within(text) or named.within(text))

  def _of_teacher(self, kind: str) -> Sequence[Written | None]:
    texts = self._written[kind]
    if texts is None:
      raise UserError(f'{kind} needs texts of step {kind}, and none is given')
    if len(texts) != len(self._documents):
      raise UserError(f'{kind}: {len(texts):,} texts for {len(self._documents):,} documents')
    return texts


def _outside(one: Written) -> str:
  return ' | '.join(piece.text for piece in pieces.of(one) if not piece.is_reason)


def _by_slot(some: Iterable[Written | None]) -> _BySlot:
  return {one.slot: one for one in some if one is not None}
