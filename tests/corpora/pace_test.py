"""Pace: what a minute allows is kept, and a turnstile gives way and wins back."""

import bisect
import threading

import pytest

from jaxalign.corpora.pace import Bucket, Ended, Pace, Pacer, Turnstile


@pytest.mark.parametrize('a_minute, amount', [(1, 1), (3, 1), (60, 1), (5000, 1), (90_000, 700)])
def test_no_minute_gives_more(a_minute, amount):
  """As many come as can, at once: in any minute no more go than it allows, and nearly as many."""
  bucket, now = Bucket(a_minute), 100.0
  gone = [now + bucket.take(amount, now) for _ in range(int(3 * a_minute / amount) + 2)]
  assert gone == sorted(gone)
  for n, start in enumerate(gone):
    within = bisect.bisect_left(gone, start + 60 - 1e-6) - n
    assert within * amount <= max(a_minute, amount)
  assert (gone[-1] - gone[0]) <= 60 * len(gone) * amount / a_minute * 1.12 + 1e-6


def test_what_was_not_used_is_given_back():
  bucket = Bucket(600)
  assert bucket.take(50, 1.0) == 0 and bucket.take(50, 1.0) > 5
  bucket.give(50, 1.0)
  assert bucket.take(1, 1.0) < 0.2
  bucket.give(-100, 1.0)
  assert bucket.take(1, 1.0) > 10


def test_idle_time_saves_up_no_more_than_a_burst():
  bucket = Bucket(600)
  bucket.take(50, 1.0)
  assert bucket.take(50, 1000.0) == 0 and bucket.take(1, 1000.0) > 0


def test_the_slower_of_two_allowances_counts():
  pacer = Pacer(Pace(requests=600.0, tokens=6000.0), 4, lambda: 7.0)
  assert pacer.wait_for(500) == 0
  wait = pacer.wait_for(500)
  assert wait == pytest.approx(500 / (5501 / 60))
  pacer.used(500, 0)
  assert pacer.wait_for(500) == pytest.approx(wait)
  assert Pacer(Pace(), 4, lambda: 7.0).wait_for(1e9) == 0


def test_one_call_goes_ahead_and_429_halves():
  gate = Turnstile(64)
  first = gate.enter()
  assert gate.now == 1
  gate.leave(first, answered=True, limited=False)
  assert gate.now == 64
  together = [gate.enter() for _ in range(10)]
  for mark in together:
    gate.leave(mark, answered=False, limited=True)
  assert gate.now == 32  # of calls on their way together, one halves
  for _ in range(9):
    gate.leave(gate.enter(), answered=False, limited=True)
  assert gate.now == 1
  seen = []
  for _ in range(10):
    gate.leave(gate.enter(), answered=True, limited=False)
    seen.append(gate.now)
  assert seen == [2, 2, 3, 3, 3, 4, 4, 4, 4, 5]
  for _ in range(3000):
    gate.leave(gate.enter(), answered=True, limited=False)
  assert gate.now == 64
  gate.leave(gate.enter(), answered=False, limited=True)  # one among thousands
  assert gate.now == 32
  for _ in range(32):
    gate.leave(gate.enter(), answered=True, limited=False)
  assert gate.now == 64


def test_a_limit_that_no_header_tells_is_found():
  """Of calls beyond ten at once each is a 429: few calls are lost to that."""
  gate, limited, sent = Turnstile(64), 0, 0
  gate.leave(gate.enter(), answered=True, limited=False)
  for _ in range(2000):
    marks = [gate.enter() for _ in range(gate.now)]
    for n, mark in enumerate(marks):
      gate.leave(mark, answered=n < 10, limited=n >= 10)
      limited, sent = limited + (n >= 10), sent + 1
  assert limited < 0.12 * sent and sent > 2000 * 7 and gate.now <= 16


def test_who_waits_is_sent_away_at_the_end():
  gate, found = Turnstile(4), []
  gate.enter()

  def waits():
    try:
      gate.enter()
    except Ended as error:
      found.append(error)

  thread = threading.Thread(target=waits)
  thread.start()
  gate.end()
  thread.join(30)
  assert len(found) == 1
