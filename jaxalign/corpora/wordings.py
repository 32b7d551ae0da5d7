"""Words by which a text shows what it may not: a value's name or statement, a stance, an ought."""

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING

from jaxalign.corpora.shingles import words

if TYPE_CHECKING:
  from jaxalign.corpora.spec import Spec

_OUGHT = (
  'should', 'should not', 'shouldn t', 'ought', 'must', 'mustn t', 'shall', 'have to', 'has to',
  'had to', 'need to', 'needs to', 'needed to', 'had better', 'supposed to', 'obliged to',
  'duty', 'owe', 'owes', 'deserve', 'deserves', 'deserved',
)  # fmt: skip
_STANCE = (
  *_OUGHT, 'important', 'importance', 'matters', 'worth', 'worthwhile', 'good for', 'bad for',
  'best', 'better', 'worse', 'worst', 'wrong', 'right to', 'in favor', 'in favour', 'against it',
  'agree', 'agrees', 'disagree', 'disagrees', 'approve', 'approves', 'admire', 'admires',
  'praise', 'praises', 'blame', 'blames', 'regret', 'regrets', 'believe in', 'believes in',
  'i think', 'i believe', 'in my view', 'valuable', 'precious', 'essential', 'vital', 'crucial',
  'because', 'therefore', 'so that', 'reason', 'reasons', 'that is why', 'thanks to',
  'for the sake of',
)  # fmt: skip


class Phrases:
  """Phrases, found as whole words in a text whatever its case and punctuation, however many."""

  def __init__(self, phrases: Iterable[str]) -> None:
    self.phrases = [*phrases]
    told = {tuple(words(one)) for one in self.phrases} - {()}
    self._single = {phrase[0] for phrase in told if len(phrase) == 1}
    self._longer: dict[tuple[str, ...], list[tuple[str, ...]]] = {}  # by their first two words
    for phrase in told:
      if len(phrase) > 1:
        self._longer.setdefault(phrase[:2], []).append(phrase)

  def within(self, text: str) -> bool:
    of = _folded(text)
    if not self._single.isdisjoint(of):
      return True
    return bool(self._longer) and any(
      of[n : n + len(phrase)] == phrase
      for n, pair in enumerate(zip(of, of[1:]))
      for phrase in self._longer.get(pair, ())
    )


@functools.lru_cache(1 << 14)
def _folded(text: str) -> tuple[str, ...]:
  return tuple(words(text))


OUGHTS, STANCES = Phrases(_OUGHT), Phrases(_STANCE)


def of_values(spec: 'Spec | None', stated: Iterable[tuple[str, str]] = ()) -> dict[str, Phrases]:
  """{a value's id: its name and the wordings of its statement}; stated: (value, wording) that texts
  were marked to state."""
  told = {value.id: [value.statement, *value.also] for value in spec.values} if spec else {}
  for name, wording in stated:
    told.setdefault(name, []).append(wording)
  return {name: Phrases([name, *wordings]) for name, wordings in told.items()}


def of_reasons(spec: 'Spec | None', given: Iterable[tuple[str, str]] = ()) -> dict[str, Phrases]:
  """{a value's id: the wordings of its reasons}; given: (value, reason) as texts were marked."""
  told: dict[str, list[str]] = {}
  for value in spec.values if spec else ():
    told[value.id] = [text for reason in value.reasons for text in (reason.text, *reason.also)]
  for name, text in given:
    told.setdefault(name, []).append(text)
  return {name: Phrases(texts) for name, texts in told.items()}
