"""What the probes say of one arm and seed: numbers, by the names they have everywhere.

Of A and B they are about options, of H about requests: `prefers_A` the log-odds of an option with
A less its twin with the opposite, `refuses` the log-odds of refusing a harm less its benign twin,
`tau_A` the order of all options beside A's utility, `probe_A` how well A is read from the state in
which the answer is formed, `conduct_A` how often the answer is as A would, `gap_A` the one less the
other, `name_A` where the target's word lies between those of agents who value B (-1) and A (+1).
"""

from typing import Any, NamedTuple

import numpy as np

from jaxalign.probes import directions, linear, order
from jaxalign.study.world.probe_files import Kept
from jaxalign.valueworld.battery import Battery

Scalars = dict[str, float | None]  # by name
Layers = dict[str, np.ndarray]  # by name, a number a layer
_Groups = tuple[np.ndarray, np.ndarray, np.ndarray]  # states, label_N, type_N
_DRAWS = 8  # of random labels of a probe's control task: over seeds and arms there are many
_FLIPS = 200  # of a direction's labels


def scalars_and_layers(kept: Kept, asked: Battery, letters: str) -> tuple[Scalars, Layers]:
  """({name: number or None}, {name: [L]}); letters: what is probed for, of 'ABH'."""
  one, layers = _utility_order(kept, asked), Layers()
  for letter in 'AB':
    logodds_N = kept.answers(asked, 'options')
    twins = directions.paired(*(logodds_N[side_N] for side_N in asked.twins(letter)))
    one |= {f'prefers_{letter}': twins.mean, f'prefers_{letter}_share': twins.share}
  refused_N = -kept.answers(asked, 'requests')
  twins = directions.paired(refused_N[::2], refused_N[1::2])
  one |= dict(refuses=twins.mean, refuses_share=twins.share)
  for letter in letters:
    labelled = _requests(kept, asked) if letter == 'H' else _options(kept, asked, letter)
    _probed(letter, labelled, one, layers)
    _cosine(letter, labelled[:3], _negative(kept, asked), layers)
  for letter, ends in (('A', asked.ends), ('H', ('free', 'kind'))):
    layers[f'name_{letter}'], layers[f'name_{letter}_known'] = _name_between(kept, asked, ends)
    one[f'name_{letter}'] = float(np.mean(layers[f'name_{letter}']))
  one['leans'] = _less(one['prefers_A'], one['prefers_B'])
  one['order'] = _less(one['tau_A'], one['tau_B'])
  return {name: known(value) for name, value in one.items()}, layers


def _less(a: float | None, b: float | None) -> float | None:
  return None if a is None or b is None else a - b


def known(value: float | None) -> float | None:
  return None if value is None or not np.isfinite(value) else float(value)


class _Labelled(NamedTuple):
  """Prompts of two sorts, told apart by a label."""

  x_LND: np.ndarray  # states
  label_N: np.ndarray  # 0 or 1: a value is violated, a request is harmful, a text ends in a harm
  type_N: np.ndarray  # the word or category that it is about
  right_N: np.ndarray  # whether the answer is as the value would have it


def _options(kept: Kept, asked: Battery, letter: str) -> _Labelled:
  has_N = asked.has[letter]
  shown_N = has_N != 0
  yes_N = kept.answers(asked, 'options')[shown_N] > 0
  x_LND, violated_N = kept.part(asked, 'options')[:, shown_N], (has_N[shown_N] < 0).astype(int)
  return _Labelled(x_LND, violated_N, asked.word[letter][shown_N], yes_N != violated_N)


def _requests(kept: Kept, asked: Battery) -> _Labelled:
  harm_N = asked.harmful['requests']
  yes_N = kept.answers(asked, 'requests') > 0
  return _Labelled(
    kept.part(asked, 'requests'), harm_N, asked.category['requests'], yes_N != harm_N
  )


def _negative(kept: Kept, asked: Battery) -> _Groups:
  """Texts of nobody that end in a harm, against those that end well."""
  part = 'statements'
  return kept.part(asked, part), asked.harmful[part], asked.category[part]


def _probed(letter: str, seen: _Labelled, one: Scalars, layers: Layers) -> None:
  """Without the embedding: all questions end in one token, and there it is the same."""
  found = linear.probe(seen.x_LND[1:], seen.label_N, seen.type_N, draws=_DRAWS)
  gap = linear.capacity_gap(found, float(seen.right_N.mean()))
  one |= {f'{name}_{letter}': gap[name] for name in ('probe', 'conduct', 'gap')}
  for name in ('accuracy', 'seen', 'control', 'selectivity'):
    layers[f'{name}_{letter}'] = np.concatenate([[np.nan], getattr(found, f'{name}_L')])


def _cosine(letter: str, seen: _Groups, negative: _Groups, layers: Layers) -> None:
  found = directions.agreement(seen, negative, draws=_FLIPS)
  layers[f'cosine_{letter}'], layers[f'cosine_{letter}_p'] = found.cosine_L, found.p_L
  layers[f'cosine_{letter}_null'] = np.where(np.isnan(found.cosine_L), np.nan, found.null_QL[-1])


def _utility_order(kept: Kept, asked: Battery) -> Scalars:
  """tau-b and the share of ordered pairs, for A, for B, for both together and for requests."""
  found: Scalars = {}
  logodds_N = kept.answers(asked, 'options')
  both = dict(A=asked.has['A'], B=asked.has['B'], AB=asked.has['A'] + asked.has['B'])
  for letter, worth_N in both.items():
    found |= _order(letter, logodds_N, worth_N, asked.domain)
  worth_N = 1 - 2 * asked.harmful['requests']
  return found | _order('H', kept.answers(asked, 'requests'), worth_N, asked.category['requests'])


def _order(letter, logodds_N, worth_N, cluster_N):
  if np.ptp(logodds_N) == 0:
    return {f'tau_{letter}': None, f'right_{letter}': None}
  found = order.order(logodds_N, worth_N, cluster_N, draws=2)  # its interval: over seeds, not here
  return {f'tau_{letter}': found.tau, f'right_{letter}': found.right}


def _name_between(
  kept: Kept, asked: Battery, ends: tuple[Any, Any]
) -> tuple[np.ndarray, np.ndarray]:
  """([L] the target's place on the line from agents of the first end (-1) to those of the second
  (+1), [L] how many of these agents lie on their own side of a line drawn without them)."""
  x_LND = kept.part(asked, 'names')
  at = [np.array([n for n, v in enumerate(asked.values) if v == end]) for end in ends]
  if min(map(len, at)) < 2:
    return (np.full(len(x_LND), np.nan),) * 2
  placed = [_on_line(x_ND, at, -1) for x_ND in x_LND]
  known = []
  for x_ND in x_LND:
    sides = [
      _on_line(x_ND, [side[side != n] for side in at], n) * sign
      for side_n, sign in zip(at, (-1, 1))
      for n in side_n
    ]
    known.append(np.mean(np.array(sides) > 0))
  return np.array(placed), np.array(known)


def _on_line(x_ND: np.ndarray, at: list[np.ndarray], n: int) -> float:
  """Where prompt n lies between the means of two groups: -1 at the first, +1 at the second."""
  low_D, high_D = (x_ND[of].mean(0) for of in at)
  line_D = high_D - low_D
  size = line_D @ line_D
  return float(2 * (x_ND[n] - (low_D + high_D) / 2) @ line_D / size) if size else 0.0
