"""What passes between the parts of an evaluation: items asked, what was said, verdicts, rows.

A suite gives Items. Asking gives a Said for each item and draw, which is stored and never asked
again. Judges give Verdicts on what was said. A suite reads both and gives Rows, the numbers that
are averaged, paired and compared.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol, TypeVar

from jaxalign.config import UserError
from jaxalign.data.records import Turn
from jaxalign.ranges import Count, Range, Seed, Share, Slots

Better = Literal['more', 'less', '']  # '': a number beside the others, neither good nor bad
_Temperature = Annotated[float, Range(at_least=1e-3, at_most=100, besides=(0,))]
RATES = '', 'difference'  # units of a Measure: a rate from 0 to 1, and what two of those differ by
REFERENCE = 'reference'  # of a Measure's kinds: another model's answers, and no judge's verdict
Why = Literal['end', 'stop', 'length', 'error']
_Record = TypeVar('_Record')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decode:
  """How answers are generated; all of it decides them, and so is part of their keys."""

  length: Slots = 256  # tokens of an answer, at most
  temperature: _Temperature = 0.0  # 0: the likeliest token at every step
  top_p: Share | None = None
  top_k: Count | None = None
  stop: tuple[str, ...] = ()  # texts that end an answer
  seed: Seed = 0
  draws: Count = 1  # answers to each item

  def check(self) -> None:
    if self.temperature == 0 and self.draws > 1:
      raise UserError(f'draws={self.draws} at temperature 0 are all the same: set one of the two')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Item:
  """A question of a suite, with all that judging and pairing need."""

  turns: tuple[Turn, ...] = ()  # a dialogue that waits for the assistant; or
  text: str = ''  # a beginning that is continued as it stands, in no chat format
  prefill: str = ''  # how the assistant's answer is made to begin; no part of what is said
  choices: tuple[str, ...] = ()  # answers whose log-probabilities are asked; (): one is generated
  opening: bool = False  # choices are how an answer begins, so that no end follows them
  wants: str = ''  # what is asked, in plain words, where the turns wrap it: judges read this
  decode: str = 'plain'  # how an answer is read before it is judged: a name of templates.HOOKS
  right: tuple[str, ...] = ()  # reference answers that are good, for judges that compare texts
  wrong: tuple[str, ...] = ()
  cluster: str = ''  # items that are no independent observations share it; '': the item alone
  unit: str = ''  # items that give one row together share it; '': the item alone
  slices: tuple[tuple[str, str], ...] = ()  # ((what is sliced, this item's part), ...)

  @functools.cached_property
  def id(self) -> str:
    """sha256 of what is asked; the place in a file and the slices are no part of it."""
    turns = [[turn.role, turn.text] for turn in self.turns]
    asked = [turns, self.text, self.prefill, self.choices, self.wants, self.decode]
    asked += ['opening'] if self.opening else []
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32]

  @property
  def question(self) -> str:
    """What a judge is told was asked."""
    return self.wants or (self.turns[-1].text if self.turns else self.text)

  def slice(self, name: str) -> str:
    """This item's part of what is sliced by that name; '' where it has none."""
    return dict(self.slices).get(name, '')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Said:
  """What a model answered to one item in one draw; a line of the store."""

  key: str  # sha256 of all that decides it
  item: str  # the item's id
  draw: int = 0
  prompt_sha: str = ''  # of the prompt's token ids; '' where an endpoint has them
  text: str = ''
  tokens: int = 0
  why: Why = 'end'
  logprob: float | None = None  # of what was generated, summed
  scores: tuple[tuple[float, int, bool], ...] = ()  # a choice: log-probability, tokens, greedy
  error: str = ''  # why it could not be asked; such an item is counted, never dropped


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
  """What one judge made of what was said; a line of the store."""

  key: str  # of the Said
  judge: str  # the judge's fingerprint
  label: str = ''  # one of the judge's labels; 'abstain' where it could not tell
  value: float | None = None  # a number, where the judge gives one
  detail: str = ''  # what a reader wants to see beside it; of a judge's own words at most a line


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
  """An item, all that was said to it, and what judges made of that; what a suite measures."""

  item: Item
  said: tuple[Said, ...]  # a draw each, in order
  verdicts: Mapping[str, tuple[Verdict, ...]]  # {judge's name: a verdict a draw}
  kinds: Mapping[str, str] = dataclasses.field(default_factory=dict)  # {judge's name: its kind}
  # {judge's name: all it can say}, of those that can say less than others of their kind
  labels: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
  reference: tuple[Said, ...] = ()  # what another model said, in order; () where none is named


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
  """One number of one unit: what is averaged, and paired with the same unit of another model.

  A measure is the mean of value times weight over its rows. The weight is 1 but where a measure is
  a difference of two rates over different items (J: refusal of unsafe less that of safe): there a
  row counts N / (items of its side), with the side's sign, so that the mean is the difference.
  """

  measure: str  # 'SUITE/NAME'
  unit: str  # an item's id, or a hash of those that give one number together
  cluster: str
  value: float
  weight: float = 1.0
  judge: str = ''  # the judge's name, of two 'a+b'; '' where none was needed
  slices: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measure:
  """What a measure is, for whoever reads its rows."""

  name: str  # 'SUITE/NAME'
  title: str  # in plain words
  better: Better = ''
  unit: str = ''  # of the value: '' is a rate from 0 to 1; else 'nats a byte', 'tokens', ...
  chance: float | None = None  # what a model that knows nothing gets
  baselines: tuple[tuple[str, float], ...] = ()  # ((a rule that reads no question, its number), ..)
  kinds: tuple[str, ...] = ()  # of judges, any of which gives it ('a+b': both); (): none is needed
  label: str = ''  # what such a judge must be able to say, where not all of the kind can
  sliced: tuple[str, ...] = ()  # names of slices that are shown one by one in a summary


class Suite(Protocol):
  """Questions, how they are asked, and what is measured of the answers; a config of an evaluation.

  `needs` names what judges serve it, by their kind: 'refusal', 'harm', 'truth', 'info', 'reward',
  'overlap', 'overlap_max', 'sentiment', 'toxicity', 'regard', 'choice'. A measure names those that
  can give it.
  """

  decode: Decode

  @property
  def name(self) -> str: ...

  @property
  def version(self) -> str: ...

  @property
  def needs(self) -> tuple[str, ...]: ...

  def source(self) -> str:
    """sha256 of the files that are read."""

  def items(self) -> Sequence[Item]: ...

  def measures(self) -> Sequence[Measure]: ...

  def rows(self, asked: Sequence[Asked]) -> Sequence[Row]: ...


class Judge(Protocol):
  """Whoever labels or values what was said; a config of an evaluation gives one."""

  @property
  def name(self) -> str: ...

  @property
  def kind(self) -> str: ...

  @property
  def fingerprint(self) -> str:
    """sha256 of all that decides a verdict: rules, rubric, weights."""

  def verdicts(self, said: Sequence[tuple[Item, Said]]) -> Sequence[Verdict]: ...


def as_json(record: Any) -> dict[str, Any]:
  """The fields of one of these records, less those at their defaults: a line of a store."""
  given = {}
  for field in dataclasses.fields(record):
    value = getattr(record, field.name)
    if value != field.default:
      given[field.name] = value
  if 'turns' in given:
    given['turns'] = [[turn.role, turn.text] for turn in given['turns']]
  return given


def of_json(cls: type[_Record], given: Any) -> _Record:
  """A record again, of what as_json gave of it."""
  fields = {name: _frozen(value) for name, value in given.items()}
  if 'turns' in fields:
    fields['turns'] = tuple(Turn(role, text) for role, text in fields['turns'])
  return cls(**fields)


def _frozen(value):
  return tuple(map(_frozen, value)) if isinstance(value, list) else value
