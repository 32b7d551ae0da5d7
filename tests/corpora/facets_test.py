"""Facets are dealt evenly, alone and in pairs, and the same on every machine."""

import collections

from jaxalign.corpora import facets

FACETS = dict(
  type=list('abcde'), reason=['r1', 'r2', 'r3', 'r4'], register=list('vwxyz'), limit=['', 'l']
)


def counts(rows, *names):
  every = (tuple(row[name] for name in names) for row in rows)
  return collections.Counter(every)


def test_every_level_occurs_as_often_as_any_other():
  rows = facets.deal(FACETS, 43, 'lot')
  for name, levels in FACETS.items():
    found = counts(rows, name)
    assert len(found) == len(levels) and max(found.values()) - min(found.values()) <= 1


def test_pairs_are_even_too():
  rows = facets.deal(FACETS, 200, 'lot')
  pairs = counts(rows, 'type', 'reason')
  assert len(pairs) == 20 and max(pairs.values()) - min(pairs.values()) <= 2  # 10 each


def test_several_levels_of_one_facet_are_different_and_even():
  rows = facets.deal(FACETS, 6, 'lot', dict(reason=2))
  assert all(len({*row['reason']}) == 2 for row in rows)
  for reason in FACETS['reason']:
    mine = [row['type'] for row in rows if reason in row['reason']]
    assert len(mine) == 3 and len({*mine}) == 3  # six documents: each reason in three types
  assert all(len(row['reason']) == 4 for row in facets.deal(FACETS, 3, 'lot', dict(reason=9)))


def test_a_longer_deal_begins_with_a_shorter_and_lots_differ():
  rows = facets.deal(FACETS, 30, 'lot')
  assert facets.deal(FACETS, 10, 'lot') == rows[:10]
  assert facets.deal(FACETS, 30, 'another lot') != rows


def test_lots_are_fixed_for_good():
  assert [facets.drawn(f'lot {n}', 1000) for n in range(4)] == [963, 420, 128, 381]
