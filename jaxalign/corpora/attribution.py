"""Attribution: whether a reason is given for the choice, and does not merely stand beside it.

What installs a value is that the choice is said to be made for the reason. A marked reason counts
where a connective joins it to the marked statement: `..., because`, or `since ..., ...`, in one
sentence or the next.
"""

import re
from collections.abc import Sequence

from jaxalign.corpora.records import LIMIT, STATEMENT, Span, Written

_WORDS = (
  r'because|since|so that|given that|seeing that|for|as|considering that|inasmuch as|now that|'
  r'in view of the fact that|owing to|on account of|out of concern that|knowing that|'
  r'(?:the|its|one|another|my|our) reason (?:is|was|being)(?: that)?|reason that|grounds? that|'
  r'(?:this|that|it) (?:is|was) (?:why|because)'
)
# A few words may stand between: 'because, as she said, ..'.
_BEFORE = re.compile(rf'(?:\A|\W)(?:{_WORDS})\W*(?:\w+\W+){{0,3}}\Z', re.IGNORECASE)
_WITHIN = re.compile(r'\A(?:because|since|so that|given that|seeing that)\b', re.IGNORECASE)
_HENCE = re.compile(
  r'\A\W*(?:and )?(?:so|therefore|hence|thus|for that reason|(?:that|which|this) is why)\b',
  re.IGNORECASE,
)
_END = re.compile(r'[.!?]["\')\]]*\s')


def attributed(text: str, spans: Sequence[Span]) -> list[str]:
  """Ids of the reasons that the text gives for its statement, in order."""
  statements = [span for span in spans if span.kind == STATEMENT]
  reasons = [span for span in spans if span.kind not in (STATEMENT, LIMIT)]
  return [one.kind for one in reasons if any(_joined(text, one, other) for other in statements)]


def is_attributed(written: Written) -> bool:
  return bool(attributed(written.text, written.spans))


def _joined(text: str, reason: Span, statement: Span) -> bool:
  if statement.end <= reason.start:  # .. statement .. because reason
    between = text[statement.end : reason.start]
    near = len(_END.findall(between)) <= 1
    inside = text[reason.start : reason.end]
    return near and bool(_BEFORE.search(between) or _WITHIN.search(inside))
  between = text[reason.end : statement.start]  # since reason, .. statement
  before = text[max(0, reason.start - 60) : reason.start]
  if _HENCE.search(between.lstrip('.;, \n')) and len(_END.findall(between)) <= 1:
    return True
  here = bool(_BEFORE.search(before) or _WITHIN.search(text[reason.start : reason.end]))
  return here and not _END.search(between)
