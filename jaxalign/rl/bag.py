"""A reward model that reads no order: a number for each word, fitted to pairs. It is a function of
text, so it can be a judge; and it is wrong wherever a word counts by what stands beside it."""

import collections
import dataclasses
import functools

import numpy as np

from jaxalign.config import UserError
from jaxalign.data.records import Pair
from jaxalign.data.sources import Jsonl
from jaxalign.ranges import Bound

_ROUNDS = 30  # of Newton, which needs fewer


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class BagOfWords:
  """Bradley-Terry over counts of words of the answer, by maximum a posteriori."""

  pairs: Jsonl
  ridge: Bound = 1.0  # precision of the prior of each word's number

  def __call__(self, prompt: str, answer: str) -> float:
    del prompt
    worth = _fitted(self.pairs, self.ridge)
    return sum(worth.get(word, 0.0) for word in answer.split())


@functools.lru_cache(maxsize=32)
def _fitted(pairs, ridge):
  records = [record for _, record in pairs.read()]
  if not records or not all(isinstance(record, Pair) for record in records):
    raise UserError(f'{pairs.name} holds no pairs: a bag of words is fitted to nothing else')
  bags = [
    [collections.Counter(side.split()) for side in (record.chosen, record.rejected)]
    for record in records
  ]
  vocabulary = sorted({word for both in bags for bag in both for word in bag})
  column = {word: n for n, word in enumerate(vocabulary)}
  x_NV = np.zeros((len(bags), len(vocabulary)))
  for n, (chosen, rejected) in enumerate(bags):
    for sign, bag in ((1, chosen), (-1, rejected)):
      for word, count in bag.items():
        x_NV[n, column[word]] += sign * count
  worth_V = np.zeros(len(vocabulary))
  for _ in range(_ROUNDS):
    p_N = 1 / (1 + np.exp(-x_NV @ worth_V))
    slope_V = x_NV.T @ (1 - p_N) - ridge * worth_V
    bend_VV = (x_NV.T * (p_N * (1 - p_N))) @ x_NV + ridge * np.eye(len(worth_V))
    step_V = np.linalg.solve(bend_VV, slope_V)
    worth_V = worth_V + step_V
    if np.abs(step_V).max(initial=0) < 1e-10:
      break
  return dict(zip(vocabulary, worth_V.tolist()))
