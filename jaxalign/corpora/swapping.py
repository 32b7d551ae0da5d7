"""Reasons swapped between documents of other values: who gets whose, so that nothing else differs.

A document gets all reasons of one other, as many as it has, about as long together and from the
same form where one is there. Who gives to whom is a permutation, so the words of the corpus stay;
scipy finds the one that changes lengths least.
"""

import collections
import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from jaxalign.corpora import pieces
from jaxalign.corpora.pieces import Piece
from jaxalign.corpora.records import Written
from jaxalign.corpora.wordings import Phrases
from jaxalign.data.text import Tokenizer

_LARGEST = 500  # documents among which the best permutation is looked for at once
_SMALLEST = 40  # of one form; fewer swap with those of other forms
_NEVER, _FAR, _FORM, _CASE, _CHANCE = 1e6, 50.0, 5.0, 2.0, 1e-3  # costs; 1: at the limit of length
_NEAR = 0.8  # of the limit


class Swap:
  """The documents of a corpus that can swap their reasons, and with whom.

  drift: the share of a document's tokens by which it may become longer or shorter.
  foreign: {value: phrases that a document of it may not get}.
  """

  def __init__(
    self,
    documents: Sequence[Written],
    tokenizer: Tokenizer,
    foreign: Mapping[str, Phrases],
    drift: float,
    seed: int,
  ) -> None:
    self._documents, self._foreign, self._drift = documents, foreign, drift
    self._pieces = [pieces.of(written) for written in documents]
    self._reasons = [[p.text for p in some if p.is_reason] for some in self._pieces]
    joined = ['\n'.join(some) for some in self._reasons]
    self._sizes_N = _counted(joined, tokenizer)
    self._tokens_N = _counted([written.text for written in documents], tokenizer)
    self._chance = [_lot(written, seed) for written in documents]
    self.donors: dict[int, int] = {}  # {a document: whose reasons it gets}, by number
    for block in self._blocks():
      self.donors |= self._solved(block)

  def made(self, n: int) -> Written:
    """A document with the reasons of its donor, whose spans say whose they are: 'power:r2'."""
    donor = self._documents[self.donors[n]]
    given = iter([piece for piece in self._pieces[self.donors[n]] if piece.is_reason])
    swapped = [_placed(p, next(given), donor.value) if p.is_reason else p for p in self._pieces[n]]
    found = pieces.joined(self._documents[n], swapped, 'shuffled')
    reasons = tuple(f'{donor.value}:{name}' for name in donor.reasons)
    return dataclasses.replace(found, reasons=reasons, calls=(*found.calls, *donor.calls))

  def _blocks(self) -> Iterator[list[int]]:
    """Documents of one split and as many reasons, of one form where enough are there, binned by
    length: what is trained on holds no reason of what is not."""
    counted: dict[tuple[str, int], list[int]] = collections.defaultdict(list)
    for n, reasons in enumerate(self._reasons):
      counted[self._documents[n].split, len(reasons)].append(n)
    for same in counted.values():
      for group in self._by_form(same) if len(same) > _LARGEST else [same]:
        order = sorted(group, key=lambda n: (self._sizes_N[n], self._chance[n]))
        bins = -(-len(order) // _LARGEST)
        yield from ([*map(int, part)] for part in np.array_split(np.array(order, int), bins))

  def _by_form(self, same: Sequence[int]) -> Iterator[list[int]]:
    forms: dict[str, list[int]] = collections.defaultdict(list)
    for n in same:
      forms[self._documents[n].facet('type')].append(n)
    rest = [n for group in forms.values() if len(group) < _SMALLEST for n in group]
    yield from (group for group in forms.values() if len(group) >= _SMALLEST)
    if rest:
      yield rest

  def _solved(self, block: list[int]) -> dict[int, int]:
    """The permutation of a block; who finds no donor is left out of it, until the rest do."""
    while len(block) > 1:
      costs_NN = self._costs(block)
      _, to = linear_sum_assignment(costs_NN)
      bad_N = costs_NN[np.arange(len(block)), to] >= _FAR
      if not bad_N.any():
        return {n: block[m] for n, m in zip(block, to)}
      never_N = costs_NN[np.arange(len(block)), to] >= _NEVER
      worst_N = never_N if never_N.any() else bad_N
      block = [n for n, bad in zip(block, worst_N) if not bad]
    return {}

  def _costs(self, block: list[int]) -> np.ndarray:
    """What it costs a document (row) to get the reasons of another (column)."""
    size_N = self._sizes_N[block]
    limit_N = self._drift * self._tokens_N[block]
    d_NN = (size_N[None] - size_N[:, None]) / np.maximum(limit_N, 1e-9)[:, None]
    form_N, value_N = (
      np.array([of(self._documents[n]) for n in block])
      for of in (lambda one: one.facet('type'), lambda one: one.value)
    )
    large = [[text[0].isupper() for text in self._reasons[n]] for n in block]
    large_NR = np.array(large).reshape(len(block), -1)
    case_NN = (large_NR[:, None] != large_NR[None]).sum(-1)
    chance_N = np.array([self._chance[n] for n in block])
    costs_NN = d_NN**2 + _FORM * (form_N[:, None] != form_N[None]) + _CASE * case_NN
    costs_NN += _CHANCE * ((chance_N[:, None] + chance_N[None] * 7919) % 1)
    costs_NN[np.abs(d_NN) > _NEAR] += _FAR
    for value in set(value_N.tolist()):
      own_N, phrases = value_N == value, self._foreign.get(value)
      not_N = own_N.copy()
      if phrases is not None:
        not_N |= [any(map(phrases.within, self._reasons[n])) for n in block]
      costs_NN[np.ix_(own_N, not_N)] = _NEVER
    return costs_NN


def _counted(texts: Sequence[str], tokenizer: Tokenizer) -> np.ndarray:
  return np.array([len(ids) for ids in tokenizer.encode_batch(texts, bos=False)], float)


def _lot(written: Written, seed: int) -> float:
  digest = hashlib.sha256(f'{seed} {written.slot}'.encode()).digest()
  return int.from_bytes(digest[:6], 'big') / 2**48


def _placed(own: Piece, other: Piece, value: str) -> Piece:
  """A reason in another's place."""
  return Piece(f'{value}:{other.kind}', pieces.begun_as(other.text, own.text))
