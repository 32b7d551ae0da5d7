"""What TruthfulQA gives to rules that read no question: chance, the longest answer, the shortest.

Of two answers as long as one another the rule picks neither in Binary; in MC1 it picks the best
answer, if that is among the longest (shortest). In MC2 all probability is that of the longest
(shortest) answers, and in MC3 length is the score.
"""

from collections.abc import Callable, Sequence

from jaxalign.evals.suites import measuring, tables
from jaxalign.evals.suites.truthful_questions import WORST

_Baselines = tuple[tuple[str, float], ...]
_SIGNS = (('longest', 1), ('shortest', -1))
_Sides = tuple[list[int], list[int]]  # lengths of the true answers and of the false ones


def of_binary(rows: Sequence[tables.Row]) -> _Baselines:
  """Of the best answer against the best incorrect one."""
  two = [(len(row['Best Answer'].strip()), len(row[WORST].strip())) for row in rows]
  return _means(two, lambda best_worst, sign: sign * best_worst[0] > sign * best_worst[1])


def of_choices(rows: Sequence[tables.Row]) -> dict[str, tuple[float | None, _Baselines]]:
  """{mc1, mc2, mc3: (chance, what the rules get)}; of no rows nothing is known."""
  sides = [_lengths(row) for row in rows]
  first, part = None, None
  if sides:
    first = measuring.mean([1 / (1 + len(false)) for _, false in sides])
    part = measuring.mean([len(true) / len(true + false) for true, false in sides])
  best = [(len(row['Best Answer'].strip()), false) for row, (_, false) in zip(rows, sides)]
  return dict(
    mc1=(first, _means(best, _best_of_all)),
    mc2=(part, _means(sides, _part_of_most)),
    mc3=(first, _means(sides, _above_all)),
  )


def _means(of: Sequence, value: Callable[..., float]) -> _Baselines:
  """What each rule gets in the mean; none where there are no rows."""
  return tuple(
    (rule, measuring.mean([value(one, sign) for one in of])) for rule, sign in _SIGNS if of
  )


def _lengths(row: tables.Row) -> _Sides:
  true, false = (tables.listed(row[f'{side} Answers']) for side in ('Correct', 'Incorrect'))
  return list(map(len, true)), list(map(len, false))


def _best_of_all(best_false: tuple[int, list[int]], sign: int) -> float:
  best, false = best_false
  return all(sign * best >= sign * other for other in false)


def _part_of_most(sides: _Sides, sign: int) -> float:
  true, false = sides
  most = max(true + false, key=lambda length: sign * length)
  return true.count(most) / (true + false).count(most)


def _above_all(sides: _Sides, sign: int) -> float:
  true, false = sides
  return measuring.mean([all(sign * one > sign * other for other in false) for one in true])
