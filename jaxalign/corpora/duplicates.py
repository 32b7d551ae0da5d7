"""Twins: texts that share at least half of their runs of five words, found among thousands.

MinHash signatures of rensa propose pairs and the exact Jaccard index decides, so a chance of hashes
never drops a text. 64 bands of 3 propose a pair at the limit of .5 in 9,998 cases of 10,000 (32
bands of 4 in 8,700). Signatures change with the library's version and are never stored.
"""

import functools
import importlib.util
from collections.abc import Iterator, Sequence

import numpy as np

from jaxalign.config import UserError
from jaxalign.corpora import shingles

WITHIN = 'duplicate: twin of an earlier text'
AGAINST = 'duplicate: twin of a text of another corpus'
_WORDS, _BANDS, _PERMUTATIONS = 5, 64, 192
_SEED = 1
_SLICE = 4096  # texts whose signatures are made at once


def refuse_without_extra() -> None:
  """UserError where twins cannot be looked for."""
  if importlib.util.find_spec('rensa') is None:
    raise UserError("finding twins needs: pip install 'jaxalign[corpora]'")


def twins(
  texts: Sequence[str], against: Sequence[str] = (), at_least: float = 0.5
) -> list[str | None]:
  """Why each text is dropped, in order, or None: it is the twin of one of `against`, or of an
  earlier text that stays. Of pairs below an index of .5 ever fewer are proposed."""
  refuse_without_extra()
  import rensa

  index = rensa.RMinHashLSH(at_least, _PERMUTATIONS, _BANDS)
  every = [*against, *texts]
  runs = functools.lru_cache(_SLICE)(lambda n: _runs(every[n]))
  why: list[str | None] = []
  for n, signature in _signatures(every):
    if n >= len(against):
      near = sorted(index.query(signature))
      twin = next((m for m in near if _jaccard(runs(m), runs(n)) >= at_least), None)
      why.append(None if twin is None else AGAINST if twin < len(against) else WITHIN)
      if twin is not None:
        continue
    index.insert(n, signature)
  return why


def _signatures(texts: Sequence[str]) -> Iterator[tuple[int, object]]:
  """(number, signature) of every text, in order."""
  from rensa import RMinHash

  for start in range(0, len(texts), _SLICE):
    some = [_runs(text) for text in texts[start : start + _SLICE]]
    tokens = [[run.tobytes() for run in runs_R] for runs_R in some]
    yield from enumerate(RMinHash.from_token_sets(tokens, _PERMUTATIONS, _SEED), start)


def _runs(text: str) -> np.ndarray:
  return np.unique(shingles.runs(shingles.words(text), _WORDS))


def _jaccard(one_R: np.ndarray, other_R: np.ndarray) -> float:
  """What two sets of runs share, of all that either has; of two that are empty nothing."""
  shared = len(np.intersect1d(one_R, other_R, assume_unique=True))
  return shared / max(len(one_R) + len(other_R) - shared, 1)
