"""Waves: what is asked goes out level by level, and each level is a barrier.

A recipe is a generator. It yields the tasks of a wave, is sent an Answer to each in the same order,
decides, and yields the next; what it returns is what it made. As decisions see whole waves in plan
order, never what came first, a run that was killed makes what an unbroken one makes.

  def recipe(...) -> Waves[list[Written]]:
    ideas = yield [Task(step='ideas', ...), ...]
    texts = yield [Task(step='document', given=(('idea', idea.text),), ...) for idea in ideas]
    return [Written(text=answer.text, ...) for answer in texts]

  made = waves.through(recipe(...), desk.ask)
"""

import dataclasses
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Protocol, TypeVar

from jaxalign.config import UserError
from jaxalign.corpora.journal import Journal
from jaxalign.corpora.records import Answer, Call, Failure, Sampling, Task, Teacher
from jaxalign.data.records import Turn

_Made = TypeVar('_Made')
Waves = Generator[Sequence[Task], Sequence[Answer], _Made]
_EVERY = 10.0  # seconds between two lines of progress
_ROUNDS = 2  # in which a call that failed is asked again
_GIVEN_UP = 0.01  # of the calls of a wave may stay without an answer, and one in any case
_MANY = 10  # calls of a wave, so that one of them may


class Stopped(Exception):
  """The run was told to stop; what came is kept."""


class Purse(Protocol):
  """What may be spent, and what was."""

  @property
  def spent(self) -> float: ...


def through(recipe: Waves[_Made], ask: Callable[[Sequence[Task]], Sequence[Answer]]) -> _Made:
  """What a recipe makes, with `ask` for an answer to each of its tasks."""
  try:
    tasks = next(recipe)
    while True:
      tasks = recipe.send(ask(tasks))
  except StopIteration as end:
    return end.value


@dataclasses.dataclass(kw_only=True)
class Desk:
  """Who is asked what: makes calls of tasks, and counts them by step."""

  teachers: Mapping[str, Teacher]  # by step; '' for the steps that are not named
  journal: Journal
  turns: Callable[[Task], tuple[Turn, ...]] = lambda task: ()  # prompts.turns: how one is told
  purse: Purse | None = None
  told: Callable[[str], None] = print
  stops: Callable[[], bool] = lambda: False  # whether the run was told to stop
  calls: dict[str, Call] = dataclasses.field(default_factory=dict)  # all that were asked, by id

  def teacher(self, step: str) -> Teacher:
    return self.teachers.get(step) or self.teachers['']

  def call(self, task: Task) -> Call:
    """A task as the teacher of its step gets it."""
    teacher = self.teacher(task.step)
    turns = self.turns(task) if teacher.reads_prompts else ()
    sampling = teacher.sampling(task.step) if hasattr(teacher, 'sampling') else Sampling()
    return Call(task=task, teacher=teacher.name, sampling=sampling, turns=turns)

  def ask(self, tasks: Sequence[Task]) -> list[Answer]:
    """An Answer to each task, in their order."""
    calls = [self.call(task) for task in tasks]
    self.calls.update((call.id, call) for call in calls)
    found: dict[str, Answer] = {}
    for step in dict.fromkeys(task.step for task in tasks):
      own = [call for call in calls if call.task.step == step]
      found |= ask(own, self.teacher(step), self.journal, self.purse, self.told, self.stops)
    return [found[call.id] for call in calls]


def ask(
  calls: Sequence[Call],
  teacher: Teacher,
  journal: Journal,
  purse: Purse | None = None,
  told: Callable[[str], None] = print,
  stops: Callable[[], bool] = lambda: False,
) -> dict[str, Answer]:
  """The answer to each call by its id, in the order of the calls; only what the journal lacks is
  asked. Of many calls a few are given up, since one that a server always refuses would else end
  every run; where more stay without an answer it raises, and those that came are kept."""
  missing = {call.id: call for call in calls if journal.get(call.id) is None}
  why = ''
  for _ in range(_ROUNDS):
    if not missing:
      break
    progress = _Progress(calls[0].task.step, len(calls), len(missing), purse, told)
    why = _round(missing, teacher, journal, progress, stops)
  step = calls[0].task.step if calls else ''
  if 0 < len(missing) <= max(1, _GIVEN_UP * len(calls)) and len(calls) >= _MANY:
    told(f'{step}: {len(missing):,} of {len(calls):,} calls are given up ({why})')
    for call in missing:
      journal.give_up(call, why)
  elif missing:
    raise UserError(
      f'{len(missing):,} of {len(calls):,} calls of step {step} were not answered by '
      f'{teacher.name} ({why}); what came is kept, and the same command asks the rest'
    )
  return {call.id: journal.get(call.id) for call in calls}  # type: ignore[misc]


def _round(
  missing: dict[str, Call],
  teacher: Teacher,
  journal: Journal,
  progress: '_Progress',
  stops: Callable[[], bool],
) -> str:
  """Asks once what is missing, and takes from it what came; why the last that failed did."""
  why = 'it said nothing'
  for said in teacher.answers(list(missing.values())):
    if isinstance(said, Failure):
      why = said.why
      journal.lost(said)
    elif said.call in missing:
      journal.add(said)
      del missing[said.call]
      progress.one_more()
    if stops():
      raise Stopped
  return why


class _Progress:
  """A line now and then: how many came, how fast, what was spent, how long it will take."""

  def __init__(
    self, step: str, every: int, missing: int, purse: Purse | None, told: Callable[[str], None]
  ) -> None:
    self._step, self._every, self._missing = step, every, missing
    self._purse, self._told = purse, told
    self._came = 0
    self._began = self._said = time.monotonic()

  def one_more(self) -> None:
    self._came += 1
    now = time.monotonic()
    if now - self._said < _EVERY:
      return
    self._said = now
    rate = self._came / (now - self._began)
    done = self._every - self._missing + self._came
    left = (self._missing - self._came) / rate
    spent = '' if self._purse is None else f', {self._purse.spent:.2f} spent'
    came = f'{self._step}: {done:,} of {self._every:,} calls'
    self._told(f'{came}, {rate:.1f} a second{spent}, {left:.0f} s left')
