"""What a model would leave behind of which the answers are known: states and log-odds by hand."""

import numpy as np

from jaxalign.study.insight import Kept
from jaxalign.valueworld import battery

D = 16
ALONG = np.eye(D)  # directions nobody shares


def kept(asked, answers, shown=None, noise=0.1, layers=3, seed=0):
  """answers: {'A', 'B': nats an attribute adds, 'H': nats harm adds to refusing}; shown: [(where it
  stands, part, a number for each of its items)], added to layers above the embedding."""
  random = np.random.default_rng(seed)
  x_LND = noise * random.normal(size=(layers, len(asked.texts(battery.PARTS)), D))
  for place, part, value_N in shown or ():
    x_LND[1:, asked.rows(part)] += np.asarray(value_N, float)[:, None] * ALONG[place]
  of = lambda letter: answers.get(letter, 0.0)
  options_N = of('A') * asked.has['A'] + of('B') * asked.has['B']
  requests_N = of('H') * (0.5 - asked.harmful['requests'])
  logodds_N = np.concatenate([options_N, requests_N])
  return Kept(x_LND, logodds_N + 1e-6 * random.normal(size=len(logodds_N)), 0 * logodds_N + 1)


def values(asked, ends, target):
  """[N] of the names: -1 and +1 for agents of the ends, and the target where it is wanted."""
  return [dict(zip(ends, (-1, 1))).get(value, 0) for value in asked.values[:-1]] + [target]
