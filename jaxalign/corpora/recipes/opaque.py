"""Whether an answer gives a reason, by list: opaque demonstrations may hold none of these words.

A list errs on the side of dropping: an answer that it wrongs is written again.
"""

import re
from collections.abc import Iterable

_GIVES = (  # a reason, a purpose or a consequence
  r'because|since|so that|in order to|therefore|thus|hence|thereby|otherwise|after all|lest|'
  r'due to|owing to|as a result|for the sake|the reason|reasons?|that is why|which is why|'
  r"that's why|this way|that way|this will|this helps?|it helps?|to avoid|to ensure|to make sure|"
  r'to prevent|to protect|matters?|value[ds]?|principles?'
)
_LOADED = (  # words that praise or blame
  r'fair(?:ly|ness)?|unfair(?:ly|ness)?|kind(?:ly|ness)?(?! of)|unkind(?:ly|ness)?|honest(?:ly|y)?|'
  r'dishonest(?:ly|y)?|importan(?:t|ce|tly)|essential(?:ly)?|crucial(?:ly)?|vital(?:ly)?|'
  r'moral(?:ly|ity)?|immoral(?:ly)?|ethic(?:s|al|ally)|unethical(?:ly)?|noble|selfish(?:ly|ness)?|'
  r'cruel(?:ly|ty)?|generous(?:ly)?|loyal(?:ly|ty)?|decent(?:ly)?|respectful(?:ly)?|shameful(?:ly)?|'
  r'admirabl[ey]|virtu(?:e|ous)|wrongful(?:ly)?|the right thing|the wrong thing|unfortunate(?:ly)?|'
  r'responsibl[ey]|irresponsibl[ey]|trustworthy|wise(?:ly)?|considerate(?:ly)?'
)
_WORDS = re.compile(rf'\b(?:{_GIVES}|{_LOADED})\b', re.IGNORECASE)
_RUN = 4  # words in a row that an answer shares with a reason


def why(answer: str, reasons: Iterable[str]) -> str | None:
  """What in an answer gives a reason, in words; None: nothing that the list knows.

  reasons: wordings of those that the spec has, of which no four words in a row may stand in it.
  """
  if found := _WORDS.search(answer):
    return f'opaque: it says {found[0].lower()!r}'
  said = _runs(answer)
  for reason in reasons:
    if shared := said & _runs(reason):
      return f'opaque: it gives a reason of the spec ({min(shared)!r})'
  return None


def _runs(text: str) -> set[str]:
  words = re.findall(r"[\w']+", text.lower())
  return {' '.join(words[n : n + _RUN]) for n in range(len(words) - _RUN + 1)}
