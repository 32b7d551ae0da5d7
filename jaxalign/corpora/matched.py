"""Controls of a corpus, cut by its marked spans and matched in tokens, from the same run.

neutral: general text. placebo: how the thing of the same idea works, no value and no ought.
shuffled: the reasons of another value, statement kept. bare, bare_shuffled: the same two with a
placebo sentence where the statement stood. mention: the value's words without stance or reason.
more: further demonstrations, as many tokens in all.

What needs spans is made of the same documents, those of which every kind can be cut; the others
serve explain and neutral only. Every text keeps the slot of its document. `check` asserts honesty.
"""

import collections
import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from jaxalign.config import UserError
from jaxalign.corpora import by_spans, pieces, wordings
from jaxalign.corpora.by_spans import BySpans, counts
from jaxalign.corpora.records import Written
from jaxalign.corpora.wordings import OUGHTS, STANCES, Phrases
from jaxalign.data import controls
from jaxalign.data.records import Document
from jaxalign.data.text import Tokenizer

if TYPE_CHECKING:
  from jaxalign.corpora.spec import Spec

BY_SPANS = by_spans.KINDS
usable = by_spans.usable
_KINDS = ('neutral', *BY_SPANS, 'more')
_IN_ALL = 0.01  # of a corpus's tokens


def make(
  documents: Sequence[Written],
  kinds: Collection[str],
  *,
  tokenizer: Tokenizer,
  general: Iterable[Document] | None = None,
  placebo: Sequence[Written | None] | None = None,
  mention: Sequence[Written | None] | None = None,
  demonstrations: Sequence[Written] | None = None,
  seed: int = 0,
  spec: 'Spec | None' = None,
) -> dict[str, list[Written]]:
  """Controls by kind, each in the order of its documents.

  placebo, mention: what a teacher wrote for each document, in their order; None where a filter
  dropped it, and then the document has no control by spans.
  """
  unknown = [kind for kind in kinds if kind not in _KINDS]
  if unknown:
    raise UserError(f'control {unknown[0]!r}: one of {", ".join(_KINDS)}')
  texts = dict(placebo=placebo, mention=mention)
  made = BySpans(documents, tokenizer, texts, spec, seed).made(kinds)
  if 'neutral' in kinds:
    if general is None:
      raise UserError('neutral needs general text, and none is given')
    cut = controls.neutral(pieces.as_documents(documents), iter(general), tokenizer)
    made['neutral'] = [_neutral(one, text.text) for one, text in zip(documents, cut)]
  if 'more' in kinds:
    if demonstrations is None:
      raise UserError('more needs demonstrations, and none are given')
    some = _enough(counts(demonstrations, tokenizer), sum(counts(documents, tokenizer)))
    made['more'] = [dataclasses.replace(demonstrations[n], kind='more') for n in some]
  return {kind: made[kind] for kind in kinds}


def _enough(sizes: Sequence[int], total: int) -> list[int]:
  """Numbers of the first texts that hold so many tokens together, within one in a hundred."""
  found, held = [], 0
  for n, size in enumerate(sizes):
    if held + size <= total * (1 + _IN_ALL / 2):
      found.append(n)
      held += size
  if held < total * (1 - _IN_ALL):
    raise UserError(
      f'more: demonstrations hold {sum(sizes):,} tokens, and the documents {total:,}: a larger '
      'more.queries.count'
    )
  return found


def check(
  documents: Sequence[Written],
  made: Mapping[str, Sequence[Written]],
  tokenizer: Tokenizer,
  spec: 'Spec | None' = None,
) -> None:
  """Refuses controls, by kind, that do not keep of their documents what they must."""
  by_slot = {one.slot: one for one in documents}
  named, reasons = by_spans.names_of(documents, spec), by_spans.reasons_of(documents, spec)
  for kind, texts in made.items():
    if kind == 'more':
      _require_total(kind, counts(documents, tokenizer), counts(texts, tokenizer))
      continue
    strangers = [one.slot for one in texts if one.slot not in by_slot]
    _require(not strangers, f'{kind}: {strangers[:1]} is the slot of no document')
    ours = [by_slot[one.slot] for one in texts]
    if kind == 'neutral':
      neutral = dict(neutral=pieces.as_documents(texts))
      controls.check(pieces.as_documents(ours), neutral, tokenizer)
      continue
    sizes, theirs = counts(ours, tokenizer), counts(texts, tokenizer)
    _require_total(kind, sizes, theirs)
    for own, one, size, their in zip(ours, texts, sizes, theirs):
      _require(by_spans.is_near(size, their), f'{kind}, {one.slot}: {their} tokens, of {size}')
      _refuse_traces(kind, one, named[own.value], reasons[own.value])
    if kind == 'shuffled':
      _require(_bag(ours) == _bag(texts), 'shuffled: other words')


def _refuse_traces(kind: str, one: Written, named: Phrases, reasons: Phrases) -> None:
  where, text = f'{kind}, {one.slot}', one.text
  if kind != 'bare':
    _require(not reasons.within(text), f'{where}: holds a reason of {one.value}')
  if kind in (*by_spans.BARE, 'placebo'):
    _require(not named.within(text), f'{where}: holds the name or a wording of {one.value}')
  if kind == 'placebo':
    _require(not OUGHTS.within(text), f'{where}: says what ought to be')
  if kind == 'mention':
    _require(not STANCES.within(text), f'{where}: takes a stance')


def _neutral(one: Written, text: str) -> Written:
  """General text in the slot of a document; it is about no value."""
  return Written(
    slot=one.slot, text=text, value='', spec=one.spec, kind='neutral', split=one.split,
    provenance='general text',
  )  # fmt: skip


def _bag(texts: Iterable[Written]) -> collections.Counter[str]:
  return collections.Counter(w for one in texts for w in wordings.words(one.text))


def _require_total(kind: str, sizes: Sequence[int], others: Sequence[int]) -> None:
  ours, theirs = sum(sizes), sum(others)
  _require(abs(ours - theirs) <= _IN_ALL * ours, f'{kind}: {theirs:,} tokens in all, of {ours:,}')


def _require(holds: bool, what: str) -> None:
  if not holds:
    raise controls.Dishonest(what)
