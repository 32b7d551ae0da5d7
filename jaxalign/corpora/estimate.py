"""What a corpus will ask and cost: its recipe is walked with answers that nobody paid for.

Three times: as little as it can be (nothing is found, nothing dropped, texts are short), what is to
be expected, and at most (every list is topped up, every draft revised, every try but the last in
vain, every answer as long as it may be and tried as often as it may be). Of each step some prompts
are really written; the grammar, which is free, is really asked.
"""

import collections
import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any, Literal

from jaxalign.corpora import facets
from jaxalign.corpora.judging import FINDINGS, MARKS
from jaxalign.corpora.recipes import pretended
from jaxalign.corpora.records import Answer, Call, Sampling, Task, Written
from jaxalign.data.records import Turn

Case = Literal['low', 'expected', 'at most']
CASES: tuple[Case, ...] = ('low', 'expected', 'at most')
_LOOKED_AT = 16  # tasks of a wave and step whose prompts are written; the others are as long
_TOKEN = 4  # characters of a token of English
_PER_TURN, _PER_CALL = 16, 16  # tokens of a chat template
_REVISED = 0.3  # of a language model's drafts
_DROPPED = 0.05  # of its texts
_LETTERS = 5  # of a word of English, rounded up
_STATED = 'document', 'revision'  # steps whose texts state the value, marked
_SAMPLED = 'document', 'placebo', 'mention'  # steps of which texts of the grammar stand for others
_LISTED = dict(domains=5, subdomains=5, types=1)  # words of an entry; of other lists:
_ENTRY = 25
_REPLY = 120  # words of an answer to a person
_ROUNDS = 2  # of a wave: see waves.ask


@dataclasses.dataclass(frozen=True, kw_only=True)
class Load:
  """What a step comes to."""

  calls: int = 0
  read: float = 0.0  # tokens
  written: float = 0.0
  cost: float | None = 0.0  # None: the price is not known

  def __add__(self, other: 'Load') -> 'Load':
    unknown = self.cost is None or other.cost is None
    return Load(
      calls=self.calls + other.calls,
      read=self.read + other.read,
      written=self.written + other.written,
      cost=None if unknown else self.cost + other.cost,  # type: ignore[operator]
    )


_Sampled = tuple[float, float, list[str]]  # words of an answer, at most, and some answers


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
  """A teacher as an estimate needs it."""

  sampling: Callable[[str], Sampling] = lambda step: Sampling()
  price: tuple[float, float] | None = None  # dollars a million tokens read, written
  tries: int = 1  # of a call, all of which are paid for
  really: Any = None  # the grammar, which answers
  faults: float = 0.0  # of what it writes


class Pretended:
  """Answers that nobody wrote, and what the real ones would come to, by step."""

  def __init__(
    self,
    case: Case,
    teacher: Callable[[str], Asked],
    turns: Callable[[Task], tuple[Turn, ...]],
    *,
    tries: int,
    judged: bool,
    known: 'dict[tuple[Any, ...], _Sampled] | None' = None,
  ) -> None:
    """tries: of a text, after which a slot stays empty; judged: whether a judge drops texts too;
    known: what the grammar was asked for another case."""
    self.case, self.loads = case, dict[str, Load]()
    self._teacher, self._turns, self._tries, self._judged = teacher, turns, tries, judged
    self._seen: collections.Counter[str] = collections.Counter()
    self._samples: dict[str, list[str]] = {}
    self._known = {} if known is None else known
    self.times = 1.0  # as many of what is asked as are walked through

  def ask(self, tasks: Sequence[Task]) -> list[Answer]:
    """An answer to each task, as waves.through wants them."""
    for step in dict.fromkeys(task.step for task in tasks):
      self._count(step, [task for task in tasks if task.step == step])
    return [Answer(call=f'{n}', text=self._text(task)) for n, task in enumerate(tasks)]

  def sieve(self, kept: Sequence[Written], batch: Sequence[Written]) -> list[str | None]:
    """Why texts are dropped: at most all that can be written again are."""
    if self.case == 'at most' and self._judged:  # the judge drops them, which costs more
      return [None] * len(batch)
    return [None if self._passes(f'{one.kind} {one.slot}') else 'dropped' for one in batch]

  def _passes(self, name: str) -> bool:
    self._seen[name] += 1
    teacher, times = self._teacher('document'), self._seen[name]
    if self.case != 'expected':
      return self.case == 'low' or times >= self._tries
    share = _DROPPED if teacher.really is None else teacher.faults
    return facets.drawn(f'passes {name} {times}', 1000) >= 1000 * share

  def _count(self, step: str, tasks: Sequence[Task]) -> None:
    teacher = self._teacher(step)
    if teacher.really is not None:
      read, written, own = self._grammar(step, tasks, teacher)
    else:
      read, written, own = self._model(step, tasks, teacher)
    cost = None if teacher.price is None else 0.0
    if teacher.price is not None:
      cost = len(tasks) * (read * teacher.price[0] + written * teacher.price[1]) / 1e6
    count = len(tasks) * self.times
    cost = None if cost is None else cost * self.times
    load = Load(calls=round(count), read=read * count, written=written * count, cost=cost)
    self.loads[step] = self.loads.get(step, Load()) + load
    self._samples[step] = own

  def _grammar(
    self, step: str, tasks: Sequence[Task], teacher: Asked
  ) -> tuple[float, float, list[str]]:
    key = step, tasks[0].words, bool(tasks[0].earlier('document')), tasks[0].count
    if key not in self._known:
      calls = [Call(task=task, teacher='') for task in _some(tasks)]
      said = [one for one in teacher.really.answers(calls) if isinstance(one, Answer)]
      mean = sum(one.written for one in said) / max(1, len(said))
      most = 3.0 * max((one.written for one in said), default=0)
      self._known[key] = mean, most, [one.text for one in said]
    mean, most, texts = self._known[key]
    return 0.0, most if self.case == 'at most' else mean, texts

  def _model(
    self, step: str, tasks: Sequence[Task], teacher: Asked
  ) -> tuple[float, float, list[str]]:
    some = _some(tasks)
    told = [self._turns(task) for task in some]
    if self.case == 'at most':
      read = max(sum(_bytes(turn) + _PER_TURN for turn in turns) + _PER_CALL for turns in told)
      paid = teacher.tries * _ROUNDS
      return paid * read, paid * teacher.sampling(step).length, []
    characters = sum(len(turn.text) for turns in told for turn in turns)
    texts = [self._fake(task) for task in some]
    return characters / _TOKEN / len(some), sum(map(len, texts)) / _TOKEN / len(some), []

  def _text(self, task: Task) -> str:
    own = self._samples.get(task.step)
    if own and task.step in _SAMPLED:
      return own[facets.drawn(task.slot, len(own))]
    return self._fake(task)

  def _fake(self, task: Task) -> str:
    """An answer of the form and about the length that a step asks for."""
    if task.options:
      return task.options[0]
    size = _ENTRY if _lists(task) else self._length(task)
    if (own := pretended.answer(task, size, worst=self.case == 'at most')) is not None:
      return own
    if task.step == 'critique':
      found = [dict(kind=next(iter(FINDINGS)), what='word ' * 12)] if self._found(task) else []
      return json.dumps(dict(findings=found))
    if task.step == 'judge':
      said = {name: allowed[-1] for name, allowed in MARKS.items()}
      worst = self.case == 'at most' and not self._passes(task.slot)
      return json.dumps(said | dict(contradiction='yes') if worst else said)
    if _lists(task):
      short = self.case == 'at most' and not task.attempt and task.count > 1
      size, lot = _LISTED.get(task.step, _ENTRY), f'{task.slot} {task.attempt}'
      return json.dumps([_words(size, f'{lot} {n}') for n in range(task.count - short)])
    return self._fake_text(task)

  def _fake_text(self, task: Task) -> str:
    parts = [f'<statement>{task.statement}</statement>'] if task.step in _STATED else []
    parts += [f'<{name}>{text}</{name}>' for name, text in task.reasons]
    parts += [f'<limit>{task.limit}</limit>'] if task.limit else []
    told = ' '.join(parts)
    return f'{told} {_words(self._length(task) - len(told.split()), task.slot)}.'

  def _length(self, task: Task) -> int:
    """Words of a text."""
    before = task.earlier('draft') or task.earlier('document')
    if before:
      return len(before.split())
    least, most = task.words if any(task.words) else (_REPLY, _REPLY)
    if self.case == 'at most':  # in characters, each of which counts as a token where it is read
      teacher = self._teacher(task.step)
      long = teacher.really is None and task.step in _STATED
      return max(most, teacher.sampling(task.step).length // _LETTERS) if long else most
    return least if self.case == 'low' else (least + most) // 2

  def _found(self, task: Task) -> bool:
    """Whether a critique finds something in its draft."""
    if self.case != 'expected':
      return self.case == 'at most'
    teacher = self._teacher('document')
    share = _REVISED if teacher.really is None else teacher.faults
    return facets.drawn(f'found {task.slot}', 1000) < 1000 * share


def _some(tasks: Sequence[Task]) -> Sequence[Task]:
  """Some of many tasks, from everywhere among them."""
  step = max(1, len(tasks) // _LOOKED_AT)
  return tasks[::step]


def _lists(task: Task) -> bool:
  return task.count > 1 or task.step in ('domains', 'subdomains', 'ideas', 'query', 'situation')


def _words(count: int, lot: str) -> str:
  """So many words that nobody else says, about as long as English ones."""
  text, n = '', 0
  while len(text) < _LETTERS * count:
    text += hashlib.sha256(f'{lot} {n}'.encode()).hexdigest()
    n += 1
  return ' '.join(text[_LETTERS * k : _LETTERS * (k + 1)] for k in range(max(1, count)))


def _bytes(turn: Turn) -> int:
  return len(turn.text.encode(errors='replace'))
