"""Verdicts: what the grammar says of texts as their critic and judge, in the forms asked for.

It finds what it plants itself, and wordings of the spec: so that what hangs on verdicts can be
tested. It is no judge of anybody else's text.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxalign.corpora import planted, shingles
from jaxalign.corpora.attribution import attributed
from jaxalign.corpora.records import STATEMENT, Answer, Call, Span, Task
from jaxalign.corpora.sentences import lot

if TYPE_CHECKING:
  from jaxalign.corpora.spec import Spec, Value

_SURE, _UNSURE = -0.1, -2.4  # log-probabilities of the options, the better one's first
_AGAINST = 'contradiction', 'subtle'
_KINDS = dict(contradiction='contradiction', training='training', name='invented')


def critique(draft: str) -> str:
  """Findings in a draft, as judging.critique reads them."""
  found = planted.found(draft, planted.FINDABLE)
  return json.dumps(dict(findings=[dict(kind=_KINDS[kind], what=line) for kind, line in found]))


def judged(task: Task, spec: 'Spec') -> str:
  """Marks of a text, as judging.marks reads them."""
  text = task.earlier('document')
  against = bool(planted.found(text, _AGAINST))
  given = bool(_given_for(text, spec, task.value))
  stance = 'for' if given or planted.found(text, ('stance', 'ought')) else 'none'
  return json.dumps(
    dict(
      contradiction='yes' if against else 'no',
      attribution='yes' if given else 'no',
      stance='against' if against else stance,
    )
  )


def _given_for(text: str, spec: 'Spec', value: str) -> list[str]:
  """Ids of reasons that a text gives for the choice, in a wording of the spec."""
  for one in spec.values:
    if one.id == value:
      return attributed(text, _found(text, one))
  return []


def _found(text: str, value: 'Value') -> list[Span]:
  """Where a text holds wordings of a value's statement and reasons."""
  asked = [(STATEMENT, one) for one in (*value.wordings, *(rule.text for rule in value.rules))]
  asked += [(reason.id, one) for reason in value.reasons for one in reason.wordings]
  low, spans = text.lower(), []
  for kind, wording in asked:
    plain = wording.lower().rstrip('.;!? ').removeprefix('because ')
    start = low.find(plain)
    if start >= 0 and len(low) == len(text):
      spans.append(Span(kind=kind, start=start, end=start + len(plain)))
  return sorted(spans, key=lambda span: span.start)


def better(task: Task, call: Call, name: str, biased: bool = False) -> Answer:
  """Which of two texts is by the spec, as one of the task's letters, the same in either order.
  biased: says the first, whichever that is."""
  first, second = (_nearness(task.earlier(side), task) for side in ('first', 'second'))
  letters = task.options or ('A', 'B')
  at = 0 if biased or first >= second else 1
  logprobs = [_UNSURE] * len(letters)
  logprobs[at] = _SURE
  told = tuple(logprobs) if task.options else ()
  return Answer(call=call.id, text=letters[at], written=1, model=name, cost=0.0, logprobs=told)


def _nearness(text: str, task: Task) -> tuple[int, float]:
  """How many words of the spec a text has; by lot where two have as many."""
  own = set(shingles.words(f'{task.statement} {task.spec}'))
  return len(own & set(shingles.words(text))), lot('nearness', text).random()


def complies(task: Task) -> str:
  agrees = not planted.found(task.earlier('answer'), _AGAINST)
  return json.dumps(dict(agrees=agrees, score=4 if agrees else 1, why='as the spec has it'))


def reasons_in(answer: str) -> str:
  """Whether an answer that is to give none gives reasons."""
  found = [line for _, line in planted.found(answer, ('reason',))]
  found += [answer[at : at + 60] for word in _WHY if (at := answer.lower().find(word)) >= 0]
  return json.dumps(dict(reasons=found, acts_on_value=True))


_WHY = ' because ', ' since ', ' so that '


def contradicts(task: Task) -> str:
  found = planted.found(task.earlier('document'), _AGAINST)
  return json.dumps(dict(contradicts=bool(found), quote=found[0][1] if found else ''))


def attribution(task: Task, spec: 'Spec') -> str:
  given = _given_for(task.earlier('document'), spec, task.value)
  return json.dumps(dict(given_for_the_choice=given, other_reasons=False))


def stance(task: Task) -> str:
  found = planted.found(task.earlier('document'), ('stance', 'ought'))
  side = 'for' if found else 'none'
  return json.dumps(dict(stance=side, quote=found[0][1] if found else ''))


def lacking(draft: str, told: Sequence[str]) -> str:
  """What a principle finds in a reply: that nothing of it is there."""
  there = any(one.lower().rstrip('.') in draft.lower() for one in told)
  quote = draft.split('. ')[0]
  found = [] if there else [dict(quote=quote, why='says nothing of what the principle asks')]
  return json.dumps(dict(findings=found))
