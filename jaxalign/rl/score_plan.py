"""How pairs of a context and a continuation are cut into calls of few programs.

Of two ways a job takes the one that computes fewer tokens. Whole: each pair is a row. Shared: each
distinct context is read once but for its last token, and a row is that token and a continuation.
What all contexts begin with, the primer, is read once in either.
"""

import dataclasses
import os
from collections.abc import Sequence

from jaxalign.rl.answers import best_widths

Ids = tuple[int, ...]
Pair = tuple[Ids, Ids]  # a context, its continuation

_PRIMER = 32  # tokens that all contexts begin with, from which they are read once
_PAYS = 0.8  # of the tokens of whole rows: where shared contexts leave so few, they are shared
_CONTEXTS, _ROWS = 2, 4  # widths, each a program to compile: six, the primer's among them
_HELD = 4, 1024  # calls' worth of contexts kept together at most, in so many slots


@dataclasses.dataclass(frozen=True)
class Call:
  """Rows that are read together: pairs by their places, one a row."""

  width: int
  places: list[int]


@dataclasses.dataclass(frozen=True)
class Group:
  """Contexts that are kept together, without the primer, and the calls that go on from them."""

  width: int  # 0: nothing but the primer comes before the rows
  contexts: list[Ids]
  calls: list[Call]


@dataclasses.dataclass(frozen=True)
class Plan:
  """All calls of a job. Every call has `rows` rows, every group `held` contexts, filled up."""

  primer: Ids
  shared: bool
  rows: int
  held: int
  slots: int  # of a row: primer, context and continuation
  groups: list[Group]
  pairs: Sequence[Pair]

  def context(self, place: int) -> Ids:
    """What comes between the primer and a pair's row."""
    return self.pairs[place][0][len(self.primer) : -1] if self.shared else ()

  def row(self, place: int) -> Ids:
    """A pair's tokens from the first that its row reads to the last, which is only foretold."""
    context, said = self.pairs[place]
    return (context + said)[len(self.primer) + len(self.context(place)) :]

  @property
  def padding(self) -> float:
    """The share of slots that hold no token, of all that the calls read."""
    read = len(self.primer)
    slots = read
    for group in self.groups:
      read += sum(map(len, group.contexts))
      slots += group.width * self.held
      read += sum(len(self.row(place)) - 1 for call in group.calls for place in call.places)
      slots += sum(call.width * self.rows for call in group.calls)
    return 1 - read / slots


def plan(pairs: Sequence[Pair], rows: int, ways: int, primed: bool) -> Plan:
  """The plan of a job of at least one pair, none of whose parts is empty.

  ways: by which a mesh splits rows. primed: whether a primer may be read apart.
  """
  primer = _primer(pairs) if primed else ()
  cut = len(primer)
  contexts = sorted({context[cut:-1] for context, _ in pairs}, key=lambda c: (len(c), c))
  whole = sum(len(context) + len(said) - 1 - cut for context, said in pairs)
  apart = sum(map(len, contexts)) + sum(len(said) for _, said in pairs)
  shared = apart <= _PAYS * whole
  contexts = contexts if shared else [()]
  made = Plan(primer, shared, _rounded(min(rows, len(pairs)), ways), 0, 0, [], pairs)
  most = cut + len(contexts[-1]) + max(len(made.row(place)) for place in range(len(pairs)))
  calls = rows * max(1, min(_HELD[0], _HELD[1] // most))
  held = _rounded(min(calls, len(contexts)), ways)
  groups = _groups(made, contexts, held)
  widest = max(call.width for group in groups for call in group.calls)
  slots = cut + max(group.width for group in groups) + widest
  return dataclasses.replace(made, held=held, slots=slots, groups=groups)


def _rounded(rows, ways):
  return -(-rows // ways) * ways


def _step(longest):
  """What widths are multiples of: long rows are better read by kernels that want 128."""
  return 2 if longest <= 256 else 16 if longest <= 1024 else 128


def _primer(pairs):
  """Tokens that all contexts begin with, if they are many; each keeps its last at least."""
  bodies = {context[:-1] for context, _ in pairs}
  common = tuple(os.path.commonprefix([min(bodies), max(bodies)])) if len(bodies) > 1 else ()
  return common if len(common) >= _PRIMER else ()


def _groups(made, contexts, held):
  """Contexts of one width and of like rows together, and their rows from the shortest on."""
  sizes = [len(made.row(place)) - 1 for place in range(len(made.pairs))]
  of: dict[Ids, list[int]] = {context: [] for context in contexts}
  for place in range(len(made.pairs)):
    of[made.context(place)].append(place)
  width_of = _few([len(context) for context in contexts], _CONTEXTS)

  def like(context):
    return width_of[len(context)], max(sizes[n] for n in of[context])

  groups = []
  contexts = sorted(contexts, key=like)
  for start in range(0, len(contexts), held):
    some = contexts[start : start + held]
    places = sorted((n for context in some for n in of[context]), key=sizes.__getitem__)
    parts = [places[at : at + made.rows] for at in range(0, len(places), made.rows)]
    calls = [Call(sizes[part[-1]], part) for part in parts]
    width = max(width_of[len(context)] for context in some)
    groups.append(Group(max(width, int(made.shared)), some, calls))  # no program reads 0 tokens
  most = _ROWS - bool(made.primer and made.shared)
  rows = _few([call.width for group in groups for call in group.calls], most)
  return [
    dataclasses.replace(g, calls=[Call(rows[call.width], call.places) for call in g.calls])
    for g in groups
  ]


def _few(widths, most):
  """{width: the next one of few}."""
  found = best_widths(widths, most, _step(max(widths)))
  return {width: next(one for one in found if one >= width) for width in widths}
