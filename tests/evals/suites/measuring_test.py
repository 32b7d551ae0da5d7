"""Rows by hand: differences of rates, draws, and verdicts that lack."""

import dataclasses
import itertools

import pytest

from jaxalign.config import UserError
from jaxalign.evals.item import Item
from jaxalign.evals.judges import strings
from jaxalign.evals.suites import measuring
from tests.evals.suites.simulated import judged, mean, unasked

KINDS = dict(w='refusal')


def refused(asked, judge):
  return measuring.share(asked, judge, 'refusal')


def items(count, start=0):
  return [Item(text=f'{n}') for n in range(start, start + count)]


@pytest.mark.parametrize('plus, minus', [(1, 1), (3, 7), (200, 250), (77, 1201), (1, 999)])
def test_a_difference_of_ones_is_nothing_in_any_order(plus, minus):
  sides = [judged(some, KINDS, lambda *_: 'refusal') for some in (items(plus), items(minus, plus))]
  rows = list(measuring.difference('s/J', *sides, 'w', refused))
  assert mean(rows, 's/J', 'w') == mean(rows[::-1], 's/J', 'w') == 0.0
  assert mean(rows[::2] + rows[1::2], 's/J', 'w') == 0.0
  assert sum(row.weight for row in rows if row.weight > 0) == plus + minus
  assert max(abs(row.weight * plus / (plus + minus) - 1) for row in rows[:plus]) < 1e-6


def test_a_difference_is_the_rates_difference():
  said = itertools.cycle(('refusal', 'compliance', 'compliance'))
  plus = judged(items(6), KINDS, lambda *_: next(said))
  minus = judged(items(4, 6), KINDS, lambda item, *_: 'refusal' if item.text == '6' else 'abstain')
  rows = list(measuring.difference('s/J', plus, minus, 'w', refused))
  assert mean(rows, 's/J', 'w') == pytest.approx(1 / 3 - 1 / 4, abs=1e-8)
  assert list(measuring.difference('s/J', plus, [], 'w', refused)) == []


def test_what_could_not_be_asked_is_counted():
  asked = [unasked(items(1)[0]), *judged(items(3, 1), {}, None)]
  rows = list(measuring.generated('s', asked))
  assert mean(rows, 's/unasked') == 0.25 and mean(rows, 's/length') == 7 * 3 / 4
  assert {row.measure for row in rows} == {'s/unasked', 's/length'}


def test_verdicts_on_some_draws_alone_are_refused():
  (asked,) = judged(items(1), KINDS, lambda *_: 'refusal', draws=3)
  short = dict(w=asked.verdicts['w'][:2])
  asked = type(asked)(item=asked.item, said=asked.said, verdicts=short, kinds=KINDS)
  with pytest.raises(UserError, match='judge w gave 2 verdicts on 3 answers'):
    measuring.share(asked, 'w', 'refusal')


def test_a_judge_has_no_rate_of_what_it_cannot_say():
  asked = judged(items(3), dict(w='refusal', s='refusal'), lambda *_: 'compliance')
  told = [dataclasses.replace(one, labels=dict(s=strings.Strings().labels)) for one in asked]
  found = {(row.measure, row.judge) for row in measuring.generated('s', told)}
  assert {('s/degenerate', 'w'), ('s/off_topic', 'w'), ('s/abstain', 's')} <= found
  assert not {('s/degenerate', 's'), ('s/off_topic', 's')} & found
