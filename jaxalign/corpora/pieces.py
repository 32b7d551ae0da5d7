"""Pieces of a text: its marked spans and what stands between them, of which controls are built."""

import dataclasses
from collections.abc import Iterable, Sequence

from jaxalign.corpora.records import LIMIT, STATEMENT, Span, Written
from jaxalign.data.records import Document


@dataclasses.dataclass(frozen=True)
class Piece:
  """A part of a text; kind '' is no span."""

  kind: str
  text: str

  @property
  def is_reason(self) -> bool:
    return self.kind not in ('', STATEMENT, LIMIT)


def of(written: Written) -> list[Piece]:
  """Pieces that make up the text, in order; its spans are well-formed."""
  found, at = [], 0
  for span in written.spans:
    found += [Piece('', written.text[at : span.start])]
    found += [Piece(span.kind, written.text[span.start : span.end])]
    at = span.end
  return [piece for piece in [*found, Piece('', written.text[at:])] if piece.text]


def begun_as(text: str, other: str) -> str:
  """A text that begins in a small or a large letter as another does; 'I' and 'NATO' stay."""
  if not (text[0].isalpha() and other[0].isalpha()) or _is_fixed(text) or _is_fixed(other):
    return text
  first = text[0].upper() if other[0].isupper() else text[0].lower()
  return first + text[1:]


def _is_fixed(text: str) -> bool:
  word = text.split()[0]
  return (word[0] == 'I' and not word[1:2].isalpha()) or word[1:2].isupper()


def joined(written: Written, pieces: Iterable[Piece], kind: str) -> Written:
  """A text of these pieces with their spans, otherwise as the one it is made of; what a judge said
  of that one it said of no other."""
  text, spans = '', []
  for piece in pieces:
    if piece.kind:
      spans.append(Span(kind=piece.kind, start=len(text), end=len(text) + len(piece.text)))
    text += piece.text
  return dataclasses.replace(written, text=text, spans=tuple(spans), kind=kind, marks=())


def well_formed(written: Written) -> bool:
  """Whether spans are in order, cut no word, and mark a statement and a reason."""
  text, at = written.text, 0
  for span in written.spans:
    if not at <= span.start < span.end <= len(text):
      return False
    edges = text[span.start - 1 : span.start + 1] if span.start else '', text[span.end - 1 :][:2]
    inside = text[span.start : span.end]
    if any(len(edge) == 2 and edge.isalnum() for edge in edges) or inside != inside.strip():
      return False
    at = span.end
  kinds = [span.kind for span in written.spans]
  return STATEMENT in kinds and any(kind not in (STATEMENT, LIMIT) for kind in kinds)


def as_documents(written: Sequence[Written]) -> list[Document]:
  """The texts as data/controls reads them."""
  return [
    Document(one.text, (('value', one.value), ('type', one.facet('type')))) for one in written
  ]
