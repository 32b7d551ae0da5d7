"""What passes between the parts of a corpus: tasks, calls, answers, and what was written.

A Task is data: what is to be written, about which value, for which reasons, in which form. A prompt
is only how a language model is told of it; the grammar reads the task itself. A Call is a task as
one teacher gets it, known by a hash of all that decides the answer. A Written is a text with its
marked spans and all that it came from.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from jaxalign.data.records import Turn
from jaxalign.ranges import Seed, Share, Slots, Temperature

Pairs = tuple[tuple[str, str], ...]  # (name, text) of each, in order: records compare and hash
STATEMENT, LIMIT = 'statement', 'limit'  # kinds of Span beside the ids of reasons


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
  """One text to be written, as the plan deals it."""

  step: str  # 'ideas', 'document', 'critique', ...: also the name of the prompt's file
  slot: str  # its place in the plan, once in a corpus: 'explain/benevolence/0012'
  spec: str = ''  # all that a teacher may know of the values: the text of a projection
  value: str = ''  # the id of a value
  statement: str = ''  # of the value, in the wording that was dealt
  reasons: Pairs = ()  # (id, text in the wording that was dealt); (): none may be given
  limit: str = ''  # what the value gives way to; '': not to be told
  facets: Pairs = ()  # ('type', 'memo'), ('register', 'plain'), ('voice', ...), ...
  words: tuple[int, int] = (0, 0)  # from so many to so many
  given: Pairs = ()  # what earlier steps gave: ('idea', ...), ('draft', ...), ('findings', ...)
  count: int = 1  # of siblings that one call lists
  options: tuple[str, ...] = ()  # the answer begins with one of these: how likely is each?
  attempt: int = 0  # of this slot: a text that was dropped is written again

  def facet(self, name: str) -> str:
    return dict(self.facets).get(name, '')

  def earlier(self, name: str) -> str:
    """What an earlier step gave by that name; '' where none did."""
    return dict(self.given).get(name, '')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampling:
  """How a teacher's answer to a step is drawn."""

  length: Slots = 2048  # tokens of an answer, at most
  temperature: Temperature = 1.0
  top_p: Share | None = None
  seed: Seed = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Call:
  """A task as a teacher gets it."""

  task: Task
  teacher: str  # its name, with all that decides what it says
  sampling: Sampling = Sampling()
  turns: tuple[Turn, ...] = ()  # the prompt; (): a teacher that reads the task itself

  @functools.cached_property
  def id(self) -> str:
    """sha256 of all that decides the answer; by it an answer is kept and never paid twice."""
    told = [(turn.role, turn.text) for turn in self.turns]
    parts = [vars(self.task), self.teacher, vars(self.sampling), told]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
  """What a teacher gave to a call: whole, and of the form asked for."""

  call: str  # the call's id
  text: str
  read: int = 0  # tokens of the prompt
  written: int = 0  # tokens of the answer
  model: str = ''  # as the server names it
  cost: float | None = None  # None: the price is not known
  logprobs: tuple[float, ...] = ()  # of the task's options, where the teacher tells

  def __post_init__(self) -> None:
    object.__setattr__(self, 'logprobs', tuple(self.logprobs))  # JSON gives a list


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failure:
  """A call that was not answered: never kept as an answer, and asked again by the next run."""

  call: str
  why: str  # one line
  read: int = 0  # what it cost all the same
  written: int = 0
  cost: float | None = None


class Teacher(Protocol):
  """Whoever writes: Http, Model or Grammar."""

  @property
  def name(self) -> str:
    """Its name, with all that decides what it says: part of each call's id."""

  @property
  def reads_prompts(self) -> bool:
    """Whether it is told by a prompt; else it reads the task."""

  def answers(self, calls: Sequence[Call]) -> Iterator[Answer | Failure]:
    """One of the two for each call, in any order, as they come."""

  def price(self, call: Call) -> float | None:
    """The most that a call may cost; None: not known."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span:
  """A marked part of a text, by its characters: text[start:end]."""

  kind: str  # STATEMENT, LIMIT, or the id of a reason
  start: int
  end: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Written:
  """A text of a corpus, and all that it came from; a line of its file."""

  slot: str
  text: str
  value: str
  spec: str  # the spec's name
  kind: str = 'explain'  # or the control that it is: 'placebo', 'mention', ...
  variant: str = ''  # the projection that its writer saw
  provenance: str = ''  # who wrote it, for which list of values
  split: str = 'train'
  reasons: tuple[str, ...] = ()  # ids of those that it was asked to give
  spans: tuple[Span, ...] = ()  # in their order, none within another
  facets: Pairs = ()
  idea: str = ''
  calls: tuple[str, ...] = ()  # ids, from idea to revision
  marks: Pairs = ()  # (what a judge looked at, what it said)

  def facet(self, name: str) -> str:
    return dict(self.facets).get(name, '')

  def row(self) -> dict[str, Any]:
    """The line of its file, which `prepare` and `value_explanations` read as it is."""
    rest = dataclasses.asdict(self)
    first = dict(id=rest.pop('slot'), text=rest.pop('text'), value=rest.pop('value'))
    first |= dict(type=self.facet('type'), spec=rest.pop('spec'), provenance=rest.pop('provenance'))
    return first | dict(split=rest.pop('split')) | rest

  @classmethod
  def of_row(cls, row: Mapping[str, Any]) -> 'Written':
    """A Written again, of its line."""
    given = {name: value for name, value in row.items() if name not in ('id', 'type')}
    for name in ('reasons', 'calls'):
      given[name] = tuple(row[name])
    for name in ('facets', 'marks'):
      given[name] = tuple((key, text) for key, text in row[name])
    return cls(**given | dict(slot=row['id'], spans=tuple(Span(**span) for span in row['spans'])))
