"""Texts that a teacher writes beside documents, for controls: placebo, mention and general."""

import dataclasses
from collections.abc import Callable, Sequence

from jaxalign.corpora import answers
from jaxalign.corpora.recipes.passing import Sieve, passed
from jaxalign.corpora.records import Task, Written
from jaxalign.corpora.spec import Spec
from jaxalign.corpora.waves import Waves
from jaxalign.data.report import Report, Unwanted


def texts(
  documents: Sequence[Written],
  kind: str,
  spec: Spec,
  *,
  sizes: Sequence[int],
  sieve: Sieve,
  judged_by: Spec | None,
  tries: int,
  report: Report,
) -> Waves[list[Written | None]]:
  """A text of step `kind` for each document, in their order; None where no try passed.
  sizes: tokens of each document."""
  found: dict[str, Written] = {}
  plan = list(zip(documents, sizes, strict=True))
  for attempt in range(tries):
    still = [(one, size) for one, size in plan if one.slot not in found]
    if not still:
      break
    asked = [_task(one, kind, spec, size, attempt) for one, size in still]
    came = yield asked
    batch = []
    for (one, _), answer in zip(still, came, strict=True):
      calls = (*one.calls[:1], answer.call)
      ours = answers.kinds(reason.id for reason in spec.value(one.value).reasons)
      text = answers.unmarked(answer.text, ours)
      batch.append(
        dataclasses.replace(one, text=text, kind=kind, reasons=(), spans=(), marks=(), calls=calls)
      )
    sifted = yield from passed(list(found.values()), batch, sieve, judged_by)
    for one, why in sifted:
      report.read += 1
      if why is None:
        found[one.slot] = one
        report.kept += 1
      else:
        report.skip(f'{kind}/{one.slot}', Unwanted(why))
  return [found.get(one.slot) for one in documents]


def _task(one: Written, kind: str, spec: Spec, size: int, attempt: int) -> Task:
  return Task(
    step=kind,
    slot=f'{kind}/{one.slot}',
    value=one.value,
    statement=spec.value(one.value).statement,
    facets=one.facets,
    given=(('idea', one.idea), ('document', one.text), ('tokens', str(size))),
    attempt=attempt,
  )


def general(
  count: int, words: tuple[int, int], sieve: Callable[[Sequence[str]], Sequence[str | None]]
) -> Waves[list[str]]:
  """Texts on anything, which no value is about: what neutral is cut of where no corpus is named."""
  idea = Task(step='ideas', slot='general/ideas', count=count, given=())
  (listed,) = yield [idea]
  tasks = [
    Task(step='placebo', slot=f'general/{n:06d}', words=words, given=(('idea', one),))
    for n, one in enumerate(answers.listed(listed.text))
  ]
  came = yield tasks
  made = [answer.text.strip() for answer in came]
  return [text for text, why in zip(made, sieve(made), strict=True) if why is None]
