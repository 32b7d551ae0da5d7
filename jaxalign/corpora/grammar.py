"""Grammar: a teacher without a model, which reads the task itself. Offline, and always the same.

It writes English of a plain sort out of frames (frames/*.toml): the demonstration's teacher and the
tests', and no model of good writing. What it says of a value are the task's own words: it works
for values that it has never seen. `faults` plants what filters, critics and judges have to find.
"""

import dataclasses
import functools
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jaxalign.corpora import compose, ideas, planted, replies, verdicts
from jaxalign.corpora.records import Answer, Call, Failure, Task
from jaxalign.corpora.sentences import article, lot, places, version

if TYPE_CHECKING:
  from jaxalign.corpora.spec import Spec

_TYPES = (*compose.FORMS, 'letter', 'interview', 'report', 'advice column', 'diary', 'speech')
_COMPARED = 'preference', 'verdict'
_REPLIED = (
  'draft opaque reasoned principle_revision deliberation argument rebuttal rule_document '
  'value_document contrast'
).split()
_LEAKED = 8, 40  # words of an item that is leaked into a text
_TELLS = 0.5  # of drafts, which advise by the value
_CAPITAL = re.compile(r'(?<=[a-z,;:] )[A-Z][\w]*')


class Grammar:
  """The teacher. spec: the values of the corpus; held: evaluation items, of which it leaks some."""

  reads_prompts = False

  def __init__(
    self, spec: 'Spec', seed: int = 0, faults: float = 0.0, held: Sequence[str] = ()
  ) -> None:
    self._spec, self._seed, self._faults = spec, seed, faults
    sizes = [(one, len(one.split())) for one in held]
    self._held = tuple(one for one, size in sizes if _LEAKED[0] <= size <= _LEAKED[1])
    told = json.dumps(dataclasses.asdict(spec))
    proper = set(_CAPITAL.findall(told)) - {'I'}
    self._small = functools.partial(compose.small, proper=proper)

  @functools.cached_property
  def name(self) -> str:
    if not self._faults:
      return f'grammar {version()}, seed {self._seed}'
    held = hashlib.sha256('\0'.join(self._held).encode()).hexdigest()[:8]
    return f'grammar {version()}, seed {self._seed}, {self._faults:g} faults, leaks {held}'

  def price(self, call: Call) -> float | None:
    return 0.0

  def answers(self, calls: Sequence[Call]) -> Iterator[Answer | Failure]:
    for call in calls:
      if call.task.step in _COMPARED:
        yield verdicts.better(call.task, call, self.name, self.fault(call.task) == 'first')
        continue
      text = self._said(call.task)
      if text is None:
        why = f'the grammar knows no step {call.task.step!r}: take another teacher for it'
        yield Failure(call=call.id, why=why, cost=0.0)
      else:
        size = len(text.split())
        yield Answer(call=call.id, text=text, written=size, model=self.name, cost=0.0)

  def fault(self, task: Task) -> str:
    """The fault that is planted in a task's text; '' for most."""
    return planted.kind_of(task, self._seed, self._faults, self._held)

  def _said(self, task: Task) -> str | None:
    """The answer to a step; None: the grammar does not know it."""
    for says in (self._listed, self._written, self._replied, self._judged):
      text = says(task)
      if text is not None:
        return self._with_fault(task, text)
    return None

  def _with_fault(self, task: Task, text: str) -> str:
    kind = self.fault(task)
    if not kind:
      return text
    twin = functools.partial(self._twin, task)
    return planted.planted(kind, text, task, self._seed, self._held, twin)

  def _text(self, task: Task) -> compose.Text:
    return compose.Text(task, ('text', self._seed, task), self._small)

  def _listed(self, task: Task) -> str | None:
    named = task.earlier('domain')
    match task.step:
      case 'domains':
        return self._some(task, list(ideas.SITES.values()))
      case 'subdomains':
        domain = ideas.domain_of('', named)
        site, own = ideas.SITES[domain], places()[domain]['place']
        return self._some(task, [f'the {place} of {article(site)}' for place in own])
      case 'types':
        return json.dumps(_TYPES[: task.count])
      case 'ideas':
        draws = lot('ideas', self._seed, task)
        where = [ideas.domain_of('', named or str(n)) for n in range(task.count)]
        return json.dumps([ideas.written(draws, one) for one in where])
      case 'query' | 'question' | 'situation':
        return replies.messages(task, self._seed)
    return None

  def _some(self, task: Task, among: Sequence[str]) -> str:
    """So many of a list, those that were not seen, in an order by lot."""
    left = [one for one in among if one not in task.earlier('seen').split('\n')]
    draws = lot('some', self._seed, task)
    order = sorted(left, key=lambda one: draws.random())
    return json.dumps(order[: task.count])

  def _written(self, task: Task) -> str | None:
    match task.step:
      case 'document':
        return self._text(task).document()
      case 'placebo':
        return self._text(task).neutral()
      case 'mention':
        return self._text(task).neutral(('mention', 'mention', 'mention'))
      case 'revision':
        return planted.mended(_draft(task))
    return None

  def _twin(self, task: Task) -> str:
    """A text that every twin of a value gets, about its first reason."""
    value = next((one for one in self._spec.values if one.id == task.value), None)
    given = tuple((one.id, one.text) for one in value.reasons[:1]) if value else task.reasons[:1]
    same = Task(
      step='document',
      slot='twin',
      value=task.value,
      statement=value.statement if value else task.statement,
      reasons=given,
      facets=(('type', 'memo'),),
      words=task.words,
      given=(('domain', 'library'),),  # and nobody's name, which no idea would hold
    )
    return self._text(same).document()

  def _replied(self, task: Task) -> str | None:
    if task.step not in _REPLIED:
      return None
    text, small = self._text(task), self._small
    told = replies.advice(task, self._spec, small, text)
    match task.step:
      case 'draft':
        return replies.reply(text, told if text.draws.random() < _TELLS else '', small)
      case 'opaque':
        return replies.reply(text, told, small)
      case 'reasoned':
        return replies.reply(text, told, small, reasons=True)
      case 'principle_revision':
        return f'{_draft(task)} {text.says.of("advise", S=told)}'
      case 'deliberation':
        return replies.thoughts(text, told, small)
      case 'argument' | 'rebuttal':
        return replies.speech(text, told, small)
      case 'rule_document':
        return replies.rule(text, told)
      case 'value_document':
        return replies.why(text, told, small)
    follows, departs = (replies.reply(text, one, small) for one in (told, ''))
    return json.dumps(dict(follows=follows, departs=departs))

  def _judged(self, task: Task) -> str | None:
    match task.step:
      case 'critique':
        return verdicts.critique(_draft(task))
      case 'judge':
        return verdicts.judged(task, self._spec)
      case 'contradiction':
        return verdicts.contradicts(task)
      case 'attribution':
        return verdicts.attribution(task, self._spec)
      case 'stance':
        return verdicts.stance(task)
      case 'compliance':
        return verdicts.complies(task)
      case 'opaque_judge':
        return verdicts.reasons_in(task.earlier('answer'))
      case 'principle_critique':
        return verdicts.lacking(_draft(task), self._told(task))
    return None

  def _told(self, task: Task) -> list[str]:
    """What a text may say of a value."""
    own = [one for one in self._spec.values if one.id == task.value]
    rules = [rule.text for value in own for rule in value.rules]
    wordings = [text for value in own for text in value.wordings]
    return [text for text in (task.statement, *rules, *wordings) if text]


def _draft(task: Task) -> str:
  return task.earlier('draft') or task.earlier('document')
