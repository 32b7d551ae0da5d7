"""How much longer a study takes, from what its pieces of work took so far: arithmetic alone.

A kind of work costs what it cost wherever it was done, and the first time in a worker what making
its programs takes besides; a kind that was not done yet costs what its arithmetic would take at the
pace of those that were. Worlds go to workers as they come free, so the study ends with its slowest.
"""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from jaxalign.study.run.pieces import Piece
from jaxalign.study.store.clock import Lap

_World = tuple[int, str]  # a seed and a control


@dataclasses.dataclass(frozen=True)
class _Left:
  """Seconds that are left. whole: whether all kinds of work are in them; else they are a least."""

  seconds: float
  whole: bool


@dataclasses.dataclass
class _Worker:
  """What one process is at."""

  world: _World
  kinds: set[str] = dataclasses.field(default_factory=set)  # of work whose programs it has made
  going: list[tuple[str, float]] = dataclasses.field(default_factory=list)  # names, and since when


@dataclasses.dataclass(frozen=True)
class _Pace:
  """Of a piece that is going on: the share of its steps that is done, seconds of all of them, and
  seconds until the first."""

  piece: Piece
  share: float
  seconds: float
  making: float


class Forecast:
  """left: {world: its pieces that are not done}, in the order in which worlds are begun. kept:
  whether the programs that one worker made are on the disk for the others."""

  def __init__(self, left: Mapping[_World, Sequence[Piece]], workers: int, kept: bool):
    self.left = {world: {one.name: one for one in pieces} for world, pieces in left.items()}
    self.count, self.kept = max(workers, 1), kept
    self.workers: dict[int, _Worker] = {}
    self.done: list[tuple[Piece, Lap, bool]] = []  # and whether it was the first of its worker
    self.paces: dict[tuple[_World, str], _Pace] = {}

  def hear(self, world: _World, lap: Lap, now: float) -> None:
    """Takes note of a piece that begins, or has ended."""
    worker = self.workers.setdefault(lap.worker, _Worker(world))
    if worker.world != world:
      self.left[worker.world] = {}  # whatever was thought to be there
      worker.world, worker.going = world, []
    if lap.begins:
      worker.going.append((lap.name, now))
      return
    names = [name for name, _ in worker.going]
    worker.going = worker.going[: names.index(lap.name)] if lap.name in names else []
    if worker.going:  # the piece around it goes on from here
      worker.going[-1] = worker.going[-1][0], now
    self.paces.pop((world, lap.name), None)
    piece = self.left[world].pop(lap.name, None)
    if piece is not None:  # else it stood there already
      self.done.append((piece, lap, piece.kind not in worker.kinds))
      worker.kinds.add(piece.kind)

  def going(self) -> list[tuple[_World, Piece]]:
    """The pieces that are going on, of each worker the innermost."""
    inner = [(one.world, one.going[-1][0]) for one in self.workers.values() if one.going]
    return [(world, self.left[world][name]) for world, name in inner if name in self.left[world]]

  def paced(self, world: _World, piece: Piece, share: float, seconds: float, making: float) -> None:
    """Takes note of how far a piece is that is going on, as a _Pace has it."""
    self.paces[world, piece.name] = _Pace(piece, share, seconds, making)

  def seconds(self, now: float) -> _Left | None:
    """What is left; None: it is not known, for nothing was measured that most of it is like."""
    every = [piece for pieces in self.left.values() for piece in pieces.values()]
    costs = _Costs(self.done, self.paces.values(), self.kept)
    trains = any(piece.arithmetic for piece in every)
    if every and (not costs.of_kind or trains and costs.rate is None):
      return None
    ends = {pid: self._end(worker, costs, now) for pid, worker in self.workers.items()}
    known = {pid: set(worker.kinds) for pid, worker in self.workers.items()}
    for n in range(self.count - len(ends)):  # of workers that have not said a word yet
      ends[-n - 1], known[-n - 1] = 0.0, set()
    begun = {worker.world for worker in self.workers.values()}
    for world, pieces in self.left.items():
      if world not in begun:
        free = min(ends, key=ends.__getitem__)
        ends[free] += sum(costs.of(piece, known[free]) for piece in pieces.values())
    return _Left(max(ends.values(), default=0.0), whole=not costs.unknown)

  def _end(self, worker, costs, now):
    """Seconds until a worker is done with its world."""
    known, total = set(worker.kinds), 0.0
    at, since = worker.going[-1] if worker.going else ('', now)
    for name, piece in self.left[worker.world].items():
      cost, pace = costs.of(piece, known), self.paces.get((worker.world, name))
      if name == at:
        cost = (1 - pace.share) * pace.seconds if pace else max(0.0, cost - (now - since))
      total += cost
    return total


class _Costs:
  """Seconds of each kind of work, by what was done so far."""

  def __init__(self, done: Iterable[tuple[Piece, Lap, bool]], paces: Iterable[_Pace], kept: bool):
    self.kept, self.unknown = kept, set[str]()
    first_s, later_s = collections.defaultdict(list), collections.defaultdict(list)
    making_s, self.sizes = collections.defaultdict(list), {}
    for piece, lap, first in done:
      self.sizes[piece.kind] = piece.arithmetic
      if first:
        making_s[piece.kind].append(lap.compiling)
        first_s[piece.kind].append(lap.seconds - lap.compiling)
      else:
        later_s[piece.kind].append(lap.seconds)
    for pace in paces:
      if pace.piece.kind not in first_s:
        self.sizes[pace.piece.kind] = pace.piece.arithmetic
        making_s[pace.piece.kind].append(pace.making)
        later_s[pace.piece.kind].append(pace.seconds)
    # what else a worker does the first time, as imports, is in no later one
    self.of_kind = {kind: _mean(later_s.get(kind) or first_s[kind]) for kind in self.sizes}
    self.making = {kind: _mean(seconds) for kind, seconds in making_s.items()}
    trained = [kind for kind, size in self.sizes.items() if size]
    size = sum(self.sizes[kind] for kind in trained)
    self.rate = sum(self.of_kind[kind] for kind in trained) / size if size else None

  def of(self, piece: Piece, known: set[str]) -> float:
    """Seconds of a piece in a worker that has made the programs of the `known` kinds, to which its
    own is added."""
    seconds = 0.0 if piece.kind in known else self._making(piece)
    known.add(piece.kind)
    if piece.kind in self.of_kind:
      return seconds + self.of_kind[piece.kind]
    if piece.arithmetic and self.rate is not None:
      return seconds + piece.arithmetic * self.rate
    self.unknown.add(piece.kind)
    return seconds

  def _making(self, piece):
    """Seconds in which the programs of a kind are made, or found where another worker left them."""
    if piece.kind in self.making:
      return 0.0 if self.kept else self.making[piece.kind]
    alike = [
      s for kind, s in self.making.items() if bool(self.sizes[kind]) == bool(piece.arithmetic)
    ]
    return _mean(alike) if alike else 0.0


def _mean(values):
  return sum(values) / len(values)
