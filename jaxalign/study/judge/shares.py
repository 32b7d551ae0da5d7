"""Contrasts on V, which is not linear in rows: the share that an arm's margins make of their sizes.

V of an arm and seed is the sum of its tests' mean margins, as the plan weighs them, over the sum of
their sizes: (T3A - T3B) / (|T3A| + |T3B|). It is 0 where every margin is. Where the rules name a
floor it is added to the sizes, lest two margins that are next to nothing make a whole lean. Beside
V stand that sum in nats, in rates, and over twice the arm's own margin on what was demonstrated.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxalign import statistics
from jaxalign.statistics import Interval
from jaxalign.study.plan.rules import Planned, Rules, Weights
from jaxalign.study.store.table import Table

_DRAWS = 500  # of a seed's items, among which every draw of the seed takes one


def share(means: Mapping[str, np.ndarray], tests: Weights, floor: float = 0.0) -> np.ndarray:
  """V of arrays of mean margins, a test each. floor: nats added to the sum of their sizes."""
  signed = [weight * means[test] for test, weight in tests]
  total, sizes = sum(signed), sum(map(np.abs, signed)) + floor
  return np.divide(total, sizes, out=np.zeros_like(total), where=sizes > 0)


def values(
  planned: Planned, tables: Sequence[Table], shown: Table, floor: float = 0.0
) -> dict[str, np.ndarray]:
  """{scale: a value a seed}. tables: a Table a test; shown: of what was demonstrated.

  An arm whose margin there is not above 0 has not learnt it, and nothing to be relative to: then
  that scale is left out, and no claim is made of the contrast."""
  margin = {seen.test: seen.margin_ASN.mean(-1) for seen in tables}
  rate = {seen.test: seen.right_ASN.mean(-1) for seen in tables}
  steered_AS = _total(margin, planned.tests)
  own_AS = 2 * shown.margin_ASN.mean(-1)
  found = dict(share=share(margin, planned.tests, floor), margin=steered_AS)
  found['rate'] = _total(rate, planned.tests)
  if (own_AS > 0).all():
    found['relative'] = steered_AS / own_AS
  return {scale: _contrasted(planned, x_AS) for scale, x_AS in found.items()}


def _total(means, tests):
  return sum(weight * means[test] for test, weight in tests)


def _contrasted(planned, x_A):
  return sum(weight * x for (_, weight), x in zip(planned.arms, x_A, strict=True))


def bootstrap(planned: Planned, tables: Sequence[Table], rules: Rules, seed: int = 0) -> Interval:
  """Of V: seeds, then clusters in the seed, then items in the cluster, the same for all arms.

  V is computed anew of each draw of items. They are drawn once, 500 times a seed, and each draw of
  a seed takes one of these: another 10,000 of each would tell the same at twenty times the cost.
  """
  random, seeds = np.random.default_rng(seed), tables[0].seeds
  whole = {seen.test: seen.margin_ASN.mean(-1) for seen in tables}
  value_S = _contrasted(planned, share(whole, planned.tests, rules.share_floor))
  if len(seeds) < statistics.LEAST_DRAWN:
    return Interval(float(value_S.mean()), None, None)
  floor = rules.share_floor
  pool_SK = np.array([_of_items(planned, tables, s, random, floor) for s in range(len(seeds))])
  size = rules.draws, len(seeds)
  seed_NS, item_NS = random.integers(len(seeds), size=size), random.integers(_DRAWS, size=size)
  return statistics.around_t(value_S, pool_SK[seed_NS, item_NS].mean(1), rules.level)


def _of_items(planned, tables, s, random, floor):
  """[K] values of the contrast of one seed, with its items drawn anew."""
  means = {}
  for seen in tables:
    weight_KN = _weights(seen.cluster_SN[s], random)
    means[seen.test] = seen.margin_ASN[:, s] @ weight_KN.T / weight_KN.sum(1)
  return _contrasted(planned, share(means, planned.tests, floor))


def _weights(label_N, random):
  """[K, N]: how often each item is drawn: clusters with replacement, then items in each."""
  clusters = [np.flatnonzero(label_N == label) for label in dict.fromkeys(label_N)]
  count = len(clusters)
  times_KC = random.multinomial(count, [1 / count] * count, size=_DRAWS)
  weight_KN = np.zeros((_DRAWS, len(label_N)))
  for c, at in enumerate(clusters):
    even = np.full(len(at), 1 / len(at))
    weight_KN[:, at] = random.multinomial(times_KC[:, c] * len(at), even)
  return weight_KN
