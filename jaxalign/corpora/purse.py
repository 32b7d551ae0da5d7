"""What a corpus may cost: a call is refused before it is sent, not when the bill is there."""

import threading

from jaxalign import endings
from jaxalign.config import UserError
from jaxalign.endpoint import EndpointError


class Spent(EndpointError):
  """The end of the purse: what is on its way comes back and is kept, nothing more is sent.

  Whoever runs it ends with status `endings.SPENT`; with a higher limit the same command goes on.
  """

  ends = True
  ending = endings.SPENT


class Purse:
  """Money for all teachers of a run together, from any number of threads.

  A call goes where what is spent, what is reserved for calls on their way and the most that this
  one may cost stay within the limit. While others are on their way it waits: they may come cheaper.
  """

  def __init__(self, most: float | None, spent: float = 0.0):
    """most: None is no limit. spent: by earlier runs, as their journal says."""
    self.most, self.spent = most, spent
    self._reserved, self._there, self._closed = 0.0, threading.Condition(), False
    self._sent = 0  # calls on their way: sums of floats do not come back to 0

  def refuse_unpriced(self, teacher: str, price: object) -> None:
    """UserError where a limit is to be kept and nobody knows what a teacher costs."""
    if self.most is not None and price is None:
      raise UserError(
        f'max_cost={self.most:g} cannot be kept: the price of {teacher} is not known; set its '
        'price=(dollars a million tokens read, written), (0.0, 0.0) where it costs nothing, or '
        'max_cost=none'
      )

  def reserve(self, cost: float) -> None:
    """Lays the most that a call may cost aside; Spent where it does not fit."""
    with self._there:
      while self._short(cost) and self._sent and not self._closed:
        self._there.wait()
      if self._short(cost) or self._closed:
        self._closed = True
        self._there.notify_all()
        raise Spent(
          f'the purse is empty: {self.spent:.4f} of max_cost={self.most:g} are spent, and the next '
          f'call may cost {cost:.4f}; all answers are kept, and with a higher max_cost the same '
          'command goes on'
        )
      self._reserved += cost
      self._sent += 1

  def settle(self, reserved: float, cost: float) -> None:
    """What was laid aside is free again, and what the call did cost is spent."""
    with self._there:
      self._sent -= 1
      self._reserved = max(0.0, self._reserved - reserved) if self._sent else 0.0
      self.spent += cost
      self._there.notify_all()

  def _short(self, cost: float) -> bool:
    return self.most is not None and self.spent + self._reserved + cost > self.most
