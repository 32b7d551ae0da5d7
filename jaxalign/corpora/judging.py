"""Judges of a corpus: what a critique finds in a draft, what a judge says of a text, read strictly.

Both answer with one JSON object of just the form below. Prose, another's JSON, a word that is not
one of those asked for, and two answers in one are no verdict: nothing is searched for in a text,
so that 'not unsafe' never reads as 'unsafe'.

  critique: {"findings": [{"kind": "invented", "what": "the year 1987"}]}    [] where there are none
  judge:    {"contradiction": "no", "attribution": "yes", "stance": "for"}
"""

import dataclasses
from collections.abc import Callable, Sequence

from jaxalign.corpora import answers, variants
from jaxalign.corpora.records import Call, Pairs, Sampling, Task, Teacher, Written
from jaxalign.corpora.spec import Spec
from jaxalign.data.records import Turn

FINDINGS = {  # kinds of them, and how a reviser is told
  'contradiction': 'contradicts the spec',
  'reason': 'gives a reason that the spec lacks',
  'invented': 'invents a number, a date, a person or a link',
  'training': 'talks of training, tests or instructions',
  'subject': 'is not about the subject',
}
MARKS = {  # what a judge looks at, and what it may say
  'contradiction': ('yes', 'no'),  # of the spec
  'attribution': ('yes', 'no'),  # a reason is given for the choice that is made
  'stance': ('for', 'against', 'none'),  # that the text takes on the value
}
_LONGEST = 500  # characters of what a finding says
_SAMPLING = Sampling(temperature=1e-3, length=256)  # the likeliest answer, nearly always


def tasks(written: Sequence[Written], spec: Spec) -> list[Task]:
  """A task for the judge of each text, who sees the spec and the text, not how it came about."""
  told = variants.told(spec)
  return [_task(one, spec, told) for one in written]


def calls(
  written: Sequence[Written],
  spec: Spec,
  teacher: Teacher,
  sampling: Sampling = _SAMPLING,
  turns: Callable[[Task], tuple[Turn, ...]] = lambda task: (),
) -> list[Call]:
  """The same as calls of one teacher; turns: how one who reads prompts is told of a task."""
  told = turns if teacher.reads_prompts else lambda task: ()
  return [
    Call(task=task, teacher=teacher.name, sampling=sampling, turns=told(task))
    for task in tasks(written, spec)
  ]


def _task(one: Written, spec: Spec, told: str) -> Task:
  value = spec.value(one.value)
  given = tuple((reason.id, reason.text) for reason in value.reasons if reason.id in one.reasons)
  return Task(
    step='judge',
    slot=f'{one.slot}/{one.kind}/judge',
    spec=told,
    value=one.value,
    statement=value.statement,
    reasons=given,
    facets=one.facets,
    given=(('document', one.text),),
  )


def marks(text: str) -> Pairs | None:
  """What a judge says, in the order of MARKS; None where its answer is no verdict."""
  said = answers.found(text)
  if said is None or said.keys() != MARKS.keys():
    return None
  if any(said[name] not in allowed for name, allowed in MARKS.items()):
    return None
  return tuple((name, said[name]) for name in MARKS)


def critique(text: str) -> Pairs | None:
  """(kind, what) of each finding; () where there are none, None where the answer is no verdict."""
  said = answers.found(text)
  if said is None or said.keys() != {'findings'} or not isinstance(said['findings'], list):
    return None
  found = []
  for one in said['findings']:
    if not isinstance(one, dict) or one.keys() != {'kind', 'what'}:
      return None
    kind, what = one['kind'], one['what']
    if not isinstance(kind, str) or kind not in FINDINGS or not isinstance(what, str):
      return None
    found.append((kind, ' '.join(what.split())[:_LONGEST]))
  return tuple(found)


def findings(text: str) -> str:
  """What a critique comes to, as a reviser is told it; '' where there is nothing to revise."""
  return '\n'.join(f'It {FINDINGS[kind]}: {what}' for kind, what in critique(text) or ())


def marked(written: Sequence[Written], said: Sequence[str]) -> list[Written]:
  """The texts with what a judge's answers say of them; one without a verdict has no marks."""
  return [
    dataclasses.replace(one, marks=marks(text) or ())
    for one, text in zip(written, said, strict=True)
  ]


def why_dropped(written: Written) -> str | None:
  """Why a text is dropped for what a judge said of it, or None.

  A document that gives no reason for the choice stays: the corpus's rate of those that do is a
  gate. A text that the judge gave no verdict on stays too, unless it has to be without a stance.
  """
  said = dict(written.marks)
  if written.kind == 'mention' and said.get('stance') != 'none':
    return 'judge: takes a stance' if said else 'judge: no verdict'
  if written.kind in ('mention', 'placebo') and said.get('attribution') == 'yes':
    return 'judge: gives a reason'
  return 'judge: contradicts the spec' if said.get('contradiction') == 'yes' else None
