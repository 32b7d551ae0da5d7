"""What a model would leave behind of which the answers are known: states and log-odds by hand."""

import dataclasses

import numpy as np
from safetensors.numpy import save

from jaxalign.study.plan.directories import home_of
from jaxalign.study.world.probe_files import SUFFIX, Kept
from jaxalign.valueworld import battery
from tests.study import tiny

SEEDS = (0, 1, 2)
NAMES = 'explain_A-align', 'explain_B-align', 'mention_A-align', 'mention_B-align'
LEANS = dict(zip(NAMES, (4.0, -3.0, 1.0, 0.5)))  # nats of A less those of B
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


def finished(workdir):
  """A study of which only what probes need is there: its plan."""
  align = ('align', 'demonstrations')
  arms = [tiny.arm(name, ('explain', name.split('-')[0]), align, ('tail', '')) for name in NAMES]
  arms += [tiny.arm('value-align', ('explain', 'value'), ('align', 'refusals'), tests='harm')]
  cfg = tiny.plan(seeds=SEEDS, arms=tuple(arms))
  for seed in SEEDS:
    asked = battery.of(dataclasses.replace(cfg.world, seed=seed))
    store = home_of(workdir, seed) / 'outcomes'
    store.mkdir(parents=True)
    for name in ('base', *NAMES, 'value-align'):
      lean = LEANS.get(name, 0.0) + seed / 10 * (name == 'explain_A-align')
      one = kept(asked, dict(A=lean / 2, H=seed), like(name), seed=seed)
      tensors = dict(states=one.states_LND.astype(np.float16),
                     logodds=one.logodds_N.astype(np.float32),
                     mass=one.mass_N.astype(np.float32))  # fmt: skip
      (store / f'{name}{SUFFIX}').write_bytes(save(tensors, metadata=dict(key='k')))
  return cfg


def like(name):
  """explain_B holds other geometry of the common questions than the rest, in every seed."""
  rng = np.random.default_rng(5 if name == 'explain_B-align' else 4)
  return [(place, 'common', rng.normal(size=battery.COMMON)) for place in range(4)]
