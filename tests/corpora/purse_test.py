"""The purse: a call that could go beyond the limit is refused before it is sent."""

import threading

import pytest

from jaxalign.config import UserError
from jaxalign.corpora.purse import Purse, Spent


def test_what_fits_is_laid_aside_and_what_does_not_is_refused():
  purse = Purse(1.0, spent=0.25)
  purse.reserve(0.5)
  purse.settle(0.5, 0.125)
  purse.reserve(0.625)
  purse.settle(0.625, 0.625)
  assert purse.spent == 1.0
  purse.reserve(0.0)
  purse.settle(0.0, 0.0)
  with pytest.raises(Spent, match=r'1\.0000 of max_cost=1 are spent, and the next call may cost 0'):
    purse.reserve(0.001)
  with pytest.raises(Spent):  # all that comes after, too: the run ends
    purse.reserve(0.0)
  assert isinstance(Spent('x'), UserError) and Spent('x').ends


def test_a_call_waits_for_those_that_may_come_cheaper():
  purse, order = Purse(1.0), []
  purse.reserve(0.75)

  def second():
    purse.reserve(0.75)
    order.append('second')

  thread = threading.Thread(target=second)
  thread.start()
  order.append('first')
  purse.settle(0.75, 0.25)
  thread.join(30)
  assert order == ['first', 'second'] and purse.spent == 0.25


def test_without_a_limit_it_only_counts():
  purse = Purse(None)
  purse.reserve(1e9)
  purse.settle(1e9, 3.0)
  assert purse.spent == 3
  purse.refuse_unpriced('m', None)
  with pytest.raises(UserError, match='price of m is not known'):
    Purse(2.0).refuse_unpriced('m', None)


def test_nobody_waits_for_calls_that_have_all_come_back():
  """.1 + .2 + .3 less each of them is more than 0: by money nobody would seem to be back."""
  one = Purse(1.0)
  costs = (0.1, 0.2, 0.3)
  for cost in costs:
    one.reserve(cost)
  for cost in costs:
    one.settle(cost, cost)
  with pytest.raises(Spent):
    one.reserve(0.7)
