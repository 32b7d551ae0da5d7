"""Texts made as long as others in tokens: by whole sentences, taken out or added, never by half."""

import bisect
import hashlib
import re
from collections.abc import Callable, Iterable

from jaxalign.corpora.inventions import is_nameless
from jaxalign.data.controls import sentences
from jaxalign.data.text import Tokenizer

_CLOSE = 0.01  # of a text's tokens: no further sentence is looked for
_TRIES = 4


class Tokens:
  """Tokens of texts, each text counted once and many of them at a time."""

  def __init__(self, tokenizer: Tokenizer) -> None:
    self._tokenizer = tokenizer
    self._known: dict[str, int] = {}

  def of(self, texts: Iterable[str]) -> list[int]:
    every = [*texts]
    new = [text for text in dict.fromkeys(every) if text not in self._known]
    if new:
      ids = self._tokenizer.encode_batch(new, bos=False)
      self._known.update((text, len(own)) for text, own in zip(new, ids))
    return [self._known[text] for text in every]


class Sentences:
  """Sentences of many texts with their tokens, from which those of some length are taken.

  allowed: whether a sentence may be used.
  """

  def __init__(self, texts: Iterable[str], tokens: Tokens, allowed: Callable[[str], bool]) -> None:
    every = [sentence.strip() for text in texts for sentence in sentences(text)]
    some = [one for one in dict.fromkeys(every) if _stands_alone(one) and allowed(one)]
    counts = tokens.of(some)
    order = sorted(range(len(some)), key=lambda n: (counts[n], some[n]))
    self._sizes = [counts[n] for n in order]
    self._sentences = [some[n] for n in order]

  def __len__(self) -> int:
    return len(self._sentences)

  @property
  def typical(self) -> int:
    """Tokens of the middle one."""
    return self._sizes[len(self._sizes) // 2] if self._sizes else 0

  def nearest(self, size: int, lot: str, besides: Iterable[str] = ()) -> tuple[str, int] | None:
    """(a sentence, its tokens): as near to this many as there is, and one of many by lot."""
    low, high = bisect.bisect_left(self._sizes, size), bisect.bisect_right(self._sizes, size)
    used, reach = set(besides), 8
    if high - low < reach:  # those of about this size, of which the nearest unused one is taken
      low, high = max(0, low - reach), min(len(self._sizes), high + reach)
    turn = int.from_bytes(hashlib.sha256(lot.encode()).digest()[:6], 'big') % max(high - low, 1)
    order = [*range(low + turn, high), *range(low, low + turn)]
    free = [n for n in order if self._sentences[n] not in used]
    if not free:
      return None
    best = min(free, key=lambda n: abs(self._sizes[n] - size))
    return self._sentences[best], self._sizes[best]


def _stands_alone(sentence: str) -> bool:
  """Whether a sentence reads in any text: it is whole, no speaker's line, and names nobody."""
  plain = re.fullmatch(r'[A-Z][^:"“”\n]*\.', sentence) and len(sentence.split()) > 3
  return bool(plain) and is_nameless(sentence)


def fitted(
  text: str,
  size: int,
  more: Sentences,
  tokens: Tokens,
  allowed: Callable[[str], bool],
  needed: Callable[[str], bool] = lambda sentence: False,
) -> tuple[str, int]:
  """(a text of about so many tokens, how many they are): its allowed sentences, less some that are
  not needed, or with some of `more`."""
  parts = [part for part in sentences(text) if allowed(part)]
  counts = tokens.of(parts)
  wanted, best = size, ('', 0)
  for _ in range(_TRIES):  # sentences have other tokens alone than in their text
    found = _of_size([*parts], [*counts], wanted, more, needed)
    (there,) = tokens.of([found])
    if not best[0] or abs(there - size) < abs(best[1] - size):
      best = found, there
    if abs(there - size) <= _CLOSE * size:
      break
    wanted += size - there
  return best


def _of_size(parts, counts, size, more, needed):
  _shorten(parts, counts, size, needed)
  lot = hashlib.sha256(''.join(parts).encode()).hexdigest()
  while (lack := size - sum(counts)) > _CLOSE * size:
    used = [part.strip() for part in parts]
    found = more.nearest(_step(lack, more), f'{lot} {len(parts)}', used)
    if found is None or abs(lack - found[1]) >= lack:
      break
    if parts and not parts[-1][-1:].isspace():
      parts[-1] += ' '
    parts.append(found[0])
    counts.append(found[1])
  return ''.join(parts).strip()


def _step(lack: int, more: Sentences) -> int:
  """How long the next sentence should be, so that whole ones fill what is lacking."""
  return round(lack / max(1, round(lack / max(more.typical, 1))))


def _shorten(parts, counts, size, needed):
  """Takes sentences out from the end while more than one is too much, then the one that fits."""
  while (over := sum(counts) - size) > 0:
    free = [n for n in range(1, len(parts)) if not needed(parts[n])]
    if not free:
      return
    best = min(free, key=lambda n: abs(over - counts[n]))
    n = free[-1] if over > 2 * counts[free[-1]] else best
    if abs(over - counts[n]) >= over:
      return
    del parts[n], counts[n]
