"""Shingles: runs of words of a text as numbers, by which texts are held against one another.

A text is folded as decontamination folds it, so that case, Unicode form and punctuation hide no
copy. A run is a 64-bit number made of its words' hashes; it is the same in every process.
"""

import functools
import hashlib

import numpy as np

from jaxalign.data.decontaminate import normalise

_STEP = 0x9E3779B97F4A7C15  # odd, so that no word's place in a run is forgotten
_KEPT = 1 << 18  # words whose hashes are remembered


def words(text: str) -> list[str]:
  """Words of the folded text."""
  return normalise(text).split()


def runs(of: list[str], size: int) -> np.ndarray:
  """A number for every run of so many words, in order; of a shorter text one, of all its words."""
  size = min(size, len(of))
  if not size:
    return np.zeros(0, np.uint64)
  hashed_W = np.fromiter(map(_hash, of), np.uint64, len(of))
  found_R = np.zeros(len(of) - size + 1, np.uint64)
  for n in range(size):
    found_R = found_R * np.uint64(_STEP) + hashed_W[n : n + len(found_R)]
  return found_R


@functools.lru_cache(_KEPT)
def _hash(word: str) -> int:
  return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), 'big')
