"""How fast a teacher is asked: what a minute allows, and how many calls are on their way at once.

A server's limit may stand in no header. So what is known is kept from the start (requests and
tokens a minute), and where a server says 429 all the same, fewer ask at once for a while.
"""

import dataclasses
import threading
from collections.abc import Callable
from typing import Annotated

from jaxalign import ranges
from jaxalign.endpoint import EndpointError

_AMinute = Annotated[float, ranges.Range(at_least=1, at_most=1e12)]
_REMEMBERED, _RARE = 64, 0.05  # calls by which 429 is called rare, and up to which share
_BURST = 12  # of a minute's allowance a twelfth may go at once


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Pace:
  """What a minute allows; None: nobody said."""

  requests: _AMinute | None = None
  tokens: _AMinute | None = None  # read and written


class Bucket:
  """An allowance that fills by the clock: no minute gives more than `a_minute`."""

  def __init__(self, a_minute: float):
    self._most = max(1.0, a_minute / _BURST)
    self._rate = (a_minute - self._most + 1) / 60  # what stood ready counts too
    self._level, self._at = self._most, 0.0

  def take(self, amount: float, now: float) -> float:
    """Seconds after which so much may be used; it is taken at once, and the next waits longer."""
    self._fill(now)
    self._level -= amount
    return max(0.0, -self._level / self._rate)

  def give(self, amount: float, now: float) -> None:
    """Gives back what was taken and not used; of a negative amount: takes what was used besides."""
    self._fill(now)
    self._level = min(self._most, self._level + amount)

  def _fill(self, now: float) -> None:
    if self._at:
      self._level = min(self._most, self._level + max(0.0, now - self._at) * self._rate)
    self._at = max(self._at, now)


class Ended(EndpointError):
  """A call that is not sent, since the run ends."""


class Turnstile:
  """Calls on their way at once: one until a server has answered, so that a wrong key costs one
  call; halved where it says 429, and won back one by one.

  Where 429 is rare, each answer wins one back. Where it is not, there is a limit that no header
  told: as many answers as are on their way win one back.
  """

  def __init__(self, most: int):
    self._most, self.now = most, 1
    self._sure, self._ended = False, False
    self._inside, self._good, self._halvings = 0, 0, 0
    self._share = 0.0  # of 429 among the last calls
    self._there = threading.Condition()

  def enter(self) -> int:
    """Waits for a place; gives a mark that leave() wants to see."""
    with self._there:
      while self._inside >= self.now and not self._ended:
        self._there.wait()
      self.refuse_ended()
      self._inside += 1
      return self._halvings

  def refuse_ended(self) -> None:
    """Sends away whoever waited elsewhere while the run ended."""
    if self._ended:
      raise Ended('the run ends')

  def leave(self, mark: int, *, answered: bool, limited: bool) -> None:
    """answered: by whoever takes our calls; limited: it said that this was too much.

    Of calls that were on their way together, one halves: the others knew no better.
    """
    with self._there:
      self._inside -= 1
      self._share += (limited - self._share) / _REMEMBERED
      if answered and not self._sure:
        self._sure, self.now = True, self._most
      elif limited and mark == self._halvings:
        self.now, self._good = max(1, self.now // 2), 0
        self._halvings += 1
      elif answered:
        self._good += 1
        needed = 1 if self._share <= _RARE else self.now
        if self._good >= needed and self.now < self._most:
          self.now, self._good = self.now + 1, 0
      self._there.notify_all()

  def open(self) -> None:
    """Lets in again, after an end."""
    with self._there:
      self._ended = False

  def end(self) -> None:
    """Sends all away who wait."""
    with self._there:
      self._ended = True
      self._there.notify_all()


class Pacer:
  """The two allowances of a teacher, and its turnstile."""

  def __init__(self, pace: Pace, threads: int, now: Callable[[], float]):
    self.turnstile, self._now, self._lock = Turnstile(threads), now, threading.Lock()
    self._requests = Bucket(pace.requests) if pace.requests else None
    self._tokens = Bucket(pace.tokens) if pace.tokens else None

  def wait_for(self, tokens: float) -> float:
    """Seconds after which one more call of so many tokens may go."""
    with self._lock:
      now = self._now()
      waits = [bucket.take(1, now) for bucket in [self._requests] if bucket]
      waits += [bucket.take(tokens, now) for bucket in [self._tokens] if bucket]
    return max(waits, default=0.0)

  def used(self, taken: float, tokens: float) -> None:
    """A call that took its allowance for `taken` tokens used others."""
    if self._tokens:
      with self._lock:
        self._tokens.give(taken - tokens, self._now())
