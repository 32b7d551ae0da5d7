"""Which of some texts pass: filters first, then what a judge says of those that are left."""

import dataclasses
from collections.abc import Callable, Sequence

from jaxalign.corpora import judging
from jaxalign.corpora.records import Written
from jaxalign.corpora.spec import Spec
from jaxalign.corpora.waves import Waves

# Why each of some texts is dropped, or None: (those that were kept, these).
Sieve = Callable[[Sequence[Written], Sequence[Written]], Sequence[str | None]]
_Passed = list[tuple[Written, str | None]]  # each with what was said of it, and why it is dropped


def passed(
  kept: Sequence[Written], batch: Sequence[Written], sieve: Sieve, judged_by: Spec | None
) -> Waves[_Passed]:
  """judged_by: the spec that a judge holds texts against; None: nobody judges."""
  whys = list(sieve(kept, batch))
  every = list(batch)
  left = [n for n, why in enumerate(whys) if why is None]
  if judged_by is not None and left:
    said = yield judging.tasks([every[n] for n in left], judged_by)
    marked = judging.marked([every[n] for n in left], [answer.text for answer in said])
    for n, one, answer in zip(left, marked, said, strict=True):
      every[n] = dataclasses.replace(one, calls=(*one.calls, answer.call))
      whys[n] = judging.why_dropped(one)
  return list(zip(every, whys))
