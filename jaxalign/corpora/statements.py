"""Statements taken out of documents: a sentence of no value stands where the value was stated."""

from collections.abc import Mapping, Sequence

from jaxalign.config import UserError
from jaxalign.corpora import pieces
from jaxalign.corpora.fitting import Sentences, Tokens
from jaxalign.corpora.pieces import Piece
from jaxalign.corpora.records import STATEMENT, Written
from jaxalign.corpora.wordings import Phrases
from jaxalign.data.controls import sentences

_MAKE_UP = 4  # tokens by which a sentence makes up for those before it
_GOES_ON = {
  *('a an and as at before between but by for from if in into is it its of on or that the their '
    'to until was were when while who with'.split())
}  # fmt: skip


class Bare:
  """Documents without statements and names of their values.

  pool: sentences that may stand in; named: {value: its name and wordings}.
  """

  def __init__(
    self, pool: Sentences, named: Mapping[str, Phrases], tokens: Tokens, seed: int
  ) -> None:
    self._pool, self._named, self._tokens, self._seed = pool, named, tokens, seed
    self._chosen: dict[tuple[str, int], str] = {}
    self._owed = 0  # tokens by which what stands in is shorter than what it replaced

  def of(self, written: Written, kind: str) -> Written | None:
    """The document without them; None where a reason, or a part of a sentence beside one, cannot
    do without the value's name. The same sentences stand in whatever the reasons are."""
    named = self._named[written.value]
    used: list[str] = []
    made: list[Piece] = []
    for piece in pieces.of(written):
      parts = [piece.text] if piece.kind else sentences(piece.text)
      for n, part in enumerate(parts):
        if piece.kind != STATEMENT and not named.within(part):
          made.append(Piece(piece.kind, part))
          continue
        if piece.kind not in ('', STATEMENT) or (not piece.kind and not _is_whole(parts, n)):
          return None
        made.append(Piece('', self._instead(part, written.slot, used)))
    found = pieces.joined(written, made, kind)
    return None if named.within(found.text) else found

  def _instead(self, part: str, slot: str, used: list[str]) -> str:
    """A sentence of as many tokens, in the letters and with the end of what it replaces."""
    inside = part.strip()
    said = self._sentence(inside, slot, used)
    used.append(said)
    said = pieces.begun_as(said, inside)
    if inside[-1] not in '.!?':
      said = said.rstrip('.!?')
    return part.replace(inside, said)

  def _sentence(self, inside: str, slot: str, used: Sequence[str]) -> str:
    """The sentence that stands in at this place of a slot, the same whenever it is asked for."""
    place = slot, len(used)
    if place not in self._chosen:
      (size,) = self._tokens.of([inside])
      wanted = size + max(-_MAKE_UP, min(_MAKE_UP, self._owed))
      found = self._pool.nearest(wanted, f'{self._seed} {slot} {len(used)}', used)
      if found is None:
        raise UserError(f'bare, {slot}: no other placebo sentence is left: write more of them')
      said, there = found
      if there > wanted + _MAKE_UP:
        said = _cut(said, wanted / there)
        (there,) = self._tokens.of([said])
      self._chosen[place] = said
      self._owed += size - there
    return self._chosen[place]


def _is_whole(parts: list[str], n: int) -> bool:
  """Whether a sentence between spans begins and ends there: one before it ended, and it does."""
  begins = n > 0 or parts[0][0].isupper()
  return begins and (n < len(parts) - 1 or parts[n].rstrip()[-1:] in '.!?"')


def _cut(sentence: str, share: float) -> str:
  """About this share of a sentence, which ends in no word that asks for another."""
  words = sentence.rstrip('.!?').split()
  kept = words[: max(3, round(share * len(words)))]
  while len(kept) > 3 and kept[-1].lower() in _GOES_ON:
    kept.pop()
  return ' '.join(kept).rstrip(',;:') + '.'
