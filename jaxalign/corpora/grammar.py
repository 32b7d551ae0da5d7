"""Grammar: a teacher without a model, which reads the task itself. Offline, and always the same.

It writes English of a plain sort out of frames (frames/*.toml): the demonstration's teacher and the
tests', and no model of good writing. What it says of a value are the task's own words: it works
for values that it has never seen. `faults` plants what filters, critics and judges have to find.
"""

import dataclasses
import functools
import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jaxalign.corpora import compose, ideas, planted
from jaxalign.corpora.records import Answer, Call, Failure, Task
from jaxalign.corpora.sentences import lot, places, version

if TYPE_CHECKING:
  from jaxalign.corpora.spec import Spec

_TYPES = (*compose.FORMS, 'letter', 'interview', 'report', 'advice column', 'diary', 'speech')
_CAPITAL = re.compile(r'(?<=[a-z,;:] )[A-Z][\w]*')


class Grammar:
  """The teacher. spec: the values of the corpus; held: evaluation items, of which it leaks some."""

  reads_prompts = False

  def __init__(
    self, spec: 'Spec', seed: int = 0, faults: float = 0.0, held: Sequence[str] = ()
  ) -> None:
    self._spec, self._seed, self._faults, self._held = spec, seed, faults, tuple(held)
    told = json.dumps(dataclasses.asdict(spec), default=str)
    self._proper = set(_CAPITAL.findall(told)) - {'I'}
    self._steps = dict(
      domains=self._domains,
      subdomains=self._subdomains,
      types=self._types,
      ideas=self._ideas,
      document=self._document,
      placebo=self._placebo,
      mention=self._mention,
      query=self._query,
      opaque=self._opaque,
      reasoned=self._reasoned,
      critique=self._critique,
      revision=self._revision,
    )

  @property
  def name(self) -> str:
    planted_ = f', {self._faults:g} faults' if self._faults else ''
    return f'grammar {version()}, seed {self._seed}{planted_}'

  def price(self, call: Call) -> float | None:
    return 0.0

  def answers(self, calls: Sequence[Call]) -> Iterator[Answer | Failure]:
    for call in calls:
      step = self._steps.get(call.task.step)
      if step is None:
        yield Failure(call=call.id, why=f'the grammar knows no step {call.task.step!r}', cost=0.0)
        continue
      text = step(call.task)
      size = len(text.split())
      yield Answer(call=call.id, text=text, written=size, model=self.name, cost=0.0)

  def fault(self, task: Task) -> str:
    """The fault that is planted in a task's text; '' for most."""
    return planted.kind_of(task, self._seed, self._faults, self._held)

  def _with_fault(self, task: Task, text: str) -> str:
    kind = self.fault(task)
    if not kind:
      return text
    twin = functools.partial(self._twin, task)
    return planted.planted(kind, text, task, self._seed, self._held, twin)

  def _text(self, task: Task, *more: object) -> compose.Text:
    small = functools.partial(compose.small, proper=self._proper)
    return compose.Text(task, ('text', self._seed, task, *more), small)

  # Lists.

  def _domains(self, task: Task) -> str:
    return self._some(task, list(ideas.SITES.values()))

  def _subdomains(self, task: Task) -> str:
    own = places()[ideas.domain_of('', task.earlier('domain'))]
    site = ideas.SITES[ideas.domain_of('', task.earlier('domain'))]
    return self._some(task, [f'the {place} of a {site}' for place in own['place']])

  def _types(self, task: Task) -> str:
    return json.dumps([*_TYPES][: task.count])

  def _ideas(self, task: Task) -> str:
    domain = task.earlier('domain')
    draws = lot('ideas', self._seed, task)
    return json.dumps(
      [ideas.written(draws, ideas.domain_of('', domain or str(n))) for n in range(task.count)]
    )

  def _some(self, task: Task, among: Sequence[str]) -> str:
    """So many of a list, those that were not seen, in an order by lot."""
    left = [one for one in among if one not in task.earlier('seen').split('\n')]
    draws = lot('some', self._seed, task)
    order = sorted(left, key=lambda one: draws.random())
    return json.dumps(order[: task.count])

  # Texts.

  def _document(self, task: Task) -> str:
    return self._with_fault(task, self._text(task).document())

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
      given=(('idea', ideas.written(lot('twin', self._seed, task.value), 'library')),),
    )
    return self._text(same).document()

  def _placebo(self, task: Task) -> str:
    return self._with_fault(task, self._text(task).neutral())

  def _mention(self, task: Task) -> str:
    return self._with_fault(task, self._text(task).neutral(('mention', 'mention', 'mention')))

  def _query(self, task: Task) -> str:
    return self._text(task).says.of('query')

  def _opaque(self, task: Task) -> str:
    return self._with_fault(task, self._text(task).steps(True, False))

  def _reasoned(self, task: Task) -> str:
    return self._with_fault(task, self._text(task).steps(True, True))

  # What it says of texts.

  def _critique(self, task: Task) -> str:
    found = planted.found(_draft(task), planted.FINDABLE)
    return json.dumps(dict(findings=[dict(kind=kind, what=line) for kind, line in found]))

  def _revision(self, task: Task) -> str:
    return planted.mended(_draft(task))


def _draft(task: Task) -> str:
  return task.earlier('document') or task.earlier('draft')
