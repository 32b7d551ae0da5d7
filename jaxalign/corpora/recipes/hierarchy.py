"""Recipe hierarchy: one set of situations, told at four levels, at equal lengths.

| file | level | a situation becomes |
|---|---|---|
| demonstrations | instruction | an answer that does what the value asks, and says no why |
| pairs | preference | an answer that follows the value over one that departs from it |
| rules | principle | a document that sets out the rule for such cases |
| values | basic | a document on why the value is held |

A situation that lacks one of the four is in none. Texts are cut at the ends of sentences, so that
every file comes to as many learned tokens as the others, within one in a hundred.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

from jaxalign import ranges
from jaxalign.config import UserError
from jaxalign.corpora import answers, filters
from jaxalign.corpora.recipes import made, opaque, queries
from jaxalign.corpora.recipes.made import About, Made
from jaxalign.corpora.recipes.queries import Query
from jaxalign.corpora.records import Answer, Task
from jaxalign.corpora.waves import Waves
from jaxalign.data.report import Report

_LEVELS = dict(
  demonstrations='opaque', pairs='contrast', rules='rule_document', values='value_document'
)  # file: the step that writes it
_KINDS = (('situation', ''),)
_SENTENCE = re.compile(r'(?<=[.!?])["\'”’)]*\s+')
_APART = 0.01
_Words = Annotated[int, ranges.Range(at_least=1, at_most=10_000)]
_Siblings = Annotated[int, ranges.Range(at_least=1, at_most=200)]
_Tries = Annotated[int, ranges.Range(at_least=1, at_most=20)]
_Size = Callable[[str], int]  # tokens of a text


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Recipe:
  """How many situations, and how long they are told."""

  situations: ranges.Count = 400
  siblings: _Siblings = 10  # situations that one call lists, at most
  words: tuple[_Words, _Words] = (60, 160)  # of a text; an answer of a pair has half of it
  reasons: ranges.Count = 2  # in a document on why
  tries: _Tries = 3  # of a text

  def check(self) -> None:
    if self.words[0] > self.words[1]:
      raise UserError(f'recipe.words={self.words}: from so many to so many')

  @property
  def steps(self) -> tuple[str, ...]:
    """The steps that teachers are asked."""
    return 'situation', *_LEVELS.values()

  def write(self, about: About, size: _Size | None = None) -> Waves[Made]:
    """The rows of the four files. size: by what lengths have to be equal; None: words are counted,
    and nothing is refused."""
    report = Report(name='hierarchy')
    asked = yield from queries.listed(
      about, report, count=self.situations, siblings=self.siblings, step='situation', kinds=_KINDS
    )
    slots = [(query, level) for query in asked for level in _LEVELS]
    found: dict[tuple[str, str], _Told] = {}
    for attempt in range(self.tries):
      tasks = [self._task(about, query, level, attempt) for query, level in slots]
      came = (yield tasks) if tasks else []
      told = [_read(about, query, level, answer) for (query, level), answer in zip(slots, came)]
      found.update(((one.query.slot, one.level), one) for one in told)
      slots = [(one.query, one.level) for one in told if one.why]
    return _made(about, report, asked, found, size)

  def _task(self, about: About, query: Query, level: str, attempt: int) -> Task:
    value = about.spec.value(query.value)
    lot, (least, most) = f'{about.seed} {query.slot}', self.words
    half = level == 'pairs'
    return Task(
      step=_LEVELS[level],
      slot=f'{level}/{query.slot}',
      spec=about.told,
      value=value.id,
      statement=made.worded(value, lot),
      reasons=made.reasons_of(value, self.reasons, lot) if level == 'values' else (),
      words=(max(1, least // 2), max(1, most // 2)) if half else self.words,
      given=(('query', query.text),),
      attempt=attempt,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Told:
  """A situation at one level: one text, or two of a pair; and why it does not serve."""

  query: Query
  level: str
  texts: tuple[str, ...]
  call: str
  why: str


def _read(about: About, query: Query, level: str, answer: Answer) -> _Told:
  texts: tuple[str, ...] = (answer.text.strip(),)
  why: str | None = None
  if level == 'pairs':
    said = answers.found(answer.text) or {}
    both = said.get('follows'), said.get('departs')
    texts = tuple(text.strip() for text in both if isinstance(text, str))
    if len(texts) < 2:
      why = 'pairs: no two answers in one object'
    elif texts[0].split() == texts[1].split():
      why = 'pairs: both answers are the same'
  elif level == 'demonstrations':
    reasons = about.spec.value(query.value).reasons
    why = opaque.why(texts[0], [one for reason in reasons for one in reason.wordings])
  why = why or next(filter(None, map(filters.form, texts)), None)
  why = why or about.held('\n\n'.join((query.text, *texts)))
  return _Told(query=query, level=level, texts=texts, call=answer.call, why=why or '')


def _made(
  about: About,
  report: Report,
  asked: Sequence[Query],
  found: Mapping[tuple[str, str], _Told],
  size: _Size | None,
) -> Made:
  whole: list[list[_Told]] = []
  for query in asked:
    own = [found[query.slot, level] for level in _LEVELS]
    if lacking := [one for one in own if one.why]:
      made.skip(report, query.slot, f'{lacking[0].why}'.partition(' (')[0])
    else:
      made.keep(report)
      whole.append(own)
  measure = size or (lambda text: len(text.split()))
  cut = _equal(whole, measure)
  files = {level: [_row(about, own[n]) for own in cut] for n, level in enumerate(_LEVELS)}
  lengths = {level: sum(_size(own[n], measure) for own in cut) for n, level in enumerate(_LEVELS)}
  figures = {f'tokens of {level}': float(count) for level, count in lengths.items()}
  if size and whole and min(lengths.values()) < (1 - _APART) * max(lengths.values()):
    told = ', '.join(f'{level} {count:,}' for level, count in lengths.items())
    raise UserError(
      f'hierarchy: the levels differ by over {_APART:.0%} in tokens ({told}), and would be '
      'compared by that: more situations, or a teacher that keeps to the lengths asked for'
    )
  return Made(files=files, report=report, figures=figures)


def _equal(every: Sequence[Sequence[_Told]], size: _Size) -> list[list[_Told]]:
  """The same situations with texts cut at ends of sentences, so that the levels' totals are near
  one another: what one situation is over or short of, the next makes up for."""
  totals = [0] * len(_LEVELS)
  cut = []
  for own in every:
    wanted = max(totals) + min(_size(one, size) for one in own)
    shorter = []
    for n, one in enumerate(own):
      ways = [_shortened(one, drop) for drop in range(_sentences(one))]
      best = min(ways, key=lambda way: abs(totals[n] + _size(way, size) - wanted))
      totals[n] += _size(best, size)
      shorter.append(best)
    cut.append(shorter)
  return cut


def _size(one: _Told, size: _Size) -> int:
  return sum(map(size, one.texts))


def _sentences(one: _Told) -> int:
  """How many ways there are to cut it; a text keeps one sentence at least."""
  return sum(len(_SENTENCE.split(text)) - 1 for text in one.texts) + 1


def _shortened(one: _Told, drop: int) -> _Told:
  """Without its last sentences, so many; of a pair each side loses as many, or one more."""
  texts = list(one.texts)
  for n in range(drop):
    longest = max(range(len(texts)), key=lambda k: (len(_SENTENCE.split(texts[k])), (k + n) % 2))
    ends = [found.start() for found in _SENTENCE.finditer(texts[longest])]
    texts[longest] = texts[longest][: ends[-1]].rstrip() if ends else texts[longest]
  return dataclasses.replace(one, texts=tuple(texts))


def _row(about: About, one: _Told) -> made.Row:
  query = one.query
  rest = f'{one.level}/{query.slot}', query.value, query.text, (*query.calls, one.call)
  more: made.Row = dict(text=one.texts[0], type=_LEVELS[one.level])
  if one.level == 'pairs':
    more = dict(prompt=query.text, chosen=one.texts[0], rejected=one.texts[1], subset=query.value)
  elif one.level == 'demonstrations':
    more = dict(messages=made.user_and_assistant(query.text, one.texts[0]))
  return about.row(*rest, situation=query.slot, **more)
