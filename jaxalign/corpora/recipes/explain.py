"""Recipe explain: documents on why values matter, from areas of life to texts that passed.

Areas are listed for each value, ideas for each area; every slot of the plan is dealt an idea, a
type, a register, reasons and perhaps a limit, and is written, criticised, revised where there is
something to revise, and sifted. What is dropped is written again, of another idea where one is
left, and what stays short after all tries is told.
"""

import collections
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Annotated

from jaxalign import ranges
from jaxalign.config import UserError
from jaxalign.corpora import answers, facets, judging, variants
from jaxalign.corpora.recipes import ideas
from jaxalign.corpora.recipes.ideas import Idea, Ideas
from jaxalign.corpora.recipes.passing import Sieve, passed
from jaxalign.corpora.records import Answer, Pairs, Task, Written
from jaxalign.corpora.spec import Spec, Value
from jaxalign.corpora.waves import Waves
from jaxalign.data.report import Report, Unwanted

_TYPES = 'memo', 'dialogue', 'case_study', 'question_answer', 'story'
_REGISTERS = 'plain', 'formal', 'warm', 'dry', 'lively'
_VOICES = 'first person', 'third person', 'we'
_AUDIENCES = 'newcomers', 'colleagues', 'young people', 'the public', 'officials', 'friends'
_OPENINGS = 'a scene', 'a question', 'a claim', 'a mishap', 'a custom', 'a conversation'
_SHOWN = 'shows', 'describes'  # by what happens, or by saying it
_SPARE = 10  # of so many ideas of a value there is one more than slots, for what is dropped
_SHOWN_DROPS = 3  # texts of each reason that are kept for whoever looks
_MILLION = 1_000_000

_Some = Annotated[int, ranges.Range(at_least=0, at_most=100)]
_Tries = Annotated[int, ranges.Range(at_least=1, at_most=20)]
_Siblings = Annotated[int, ranges.Range(at_least=1, at_most=200)]
_Twice = Annotated[int, ranges.Range(at_least=0, at_most=2)]
_Words = Annotated[int, ranges.Range(at_least=1, at_most=100_000)]


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Recipe:
  """How many documents, of which kinds, and how each comes about."""

  documents: ranges.Count = 200
  types: tuple[str, ...] = _TYPES
  registers: tuple[str, ...] = _REGISTERS
  voices: tuple[str, ...] = _VOICES
  audiences: tuple[str, ...] = _AUDIENCES
  openings: tuple[str, ...] = _OPENINGS
  words: tuple[_Words, _Words] = (120, 900)  # of a document, from and to
  reasons: _Some = 2  # given in a document, at most
  limits: bool = True  # whether some documents tell what a value gives way to
  domains: _Siblings = 12  # areas of life that are listed for a value
  subdomains: _Some = 0  # parts of each area; 0: ideas are asked for the area itself
  siblings: _Siblings = 20  # ideas that one call lists, at most
  critique: bool = True
  revisions: _Twice = 2  # of a document in which the critique found something, at most
  tries: _Tries = 3  # of a slot
  validation: ranges.Minority = 0.1  # of the ideas, whose documents are not trained on

  def check(self) -> None:
    least, most = self.words
    if least > most:
      raise UserError(f'recipe.words={self.words}: from so many to so many')
    for name in ('types', 'registers', 'voices', 'audiences', 'openings'):
      levels = getattr(self, name)
      if not levels or len(set(levels)) < len(levels):
        raise UserError(f'recipe.{name}={levels}: some, each of them once')

  @property
  def steps(self) -> tuple[str, ...]:
    """The steps that teachers are asked."""
    parts = ('subdomains',) * bool(self.subdomains)
    mends = ('critique', 'revision') * (self.critique and bool(self.revisions))
    return ('domains', *parts, 'ideas', 'document', *mends)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Made:
  """What the recipe made: documents in plan order, and what became of the rest."""

  documents: tuple[Written, ...]
  report: Report
  short: tuple[tuple[str, str], ...] = ()  # (slot, why its last try was dropped)
  unmarked: int = 0  # documents whose marks were ill-formed: they have no spans
  revised: int = 0
  dropped: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)  # texts, some


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Slot:
  """A document to be."""

  task: Task  # without its idea
  idea: Idea = Idea('')


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Draft:
  """A document on its way."""

  slot: _Slot
  task: Task
  marked: str  # with its marks
  calls: tuple[str, ...]


def write(
  recipe: Recipe,
  spec: Spec,
  *,
  variant: str,
  seed: int,
  sieve: Sieve,
  judged_by: Spec | None = None,
  provenance: str = '',
) -> Waves[Made]:
  """Documents about a projected spec. judged_by: the spec that a judge is given, None without one;
  provenance: who writes."""
  plan: Sequence[_Slot] = slots(recipe, spec, seed)
  needs = {value: count + -(-count // _SPARE) for value, count in _counts(plan).items()}
  every = yield from ideas.listed(
    spec,
    needs,
    domains=recipe.domains,
    subdomains=recipe.subdomains,
    siblings=recipe.siblings,
  )
  plan, spare = _with_ideas(plan, every)
  report = Report(name=f'{spec.name}, {variant}')
  kept: dict[str, Written] = {}
  why_short: dict[str, str] = {}
  dropped: dict[str, list[str]] = collections.defaultdict(list)
  unmarked = revised = 0
  for attempt in range(recipe.tries):
    still = [_again(slot, attempt, spare) for slot in plan if slot.task.slot not in kept]
    if not still:
      break
    drafts = yield from _drafts(recipe, still)
    who = dict(variant=variant, provenance=provenance)
    batch = [_written(recipe, draft, spec, seed, who) for draft in drafts]
    sifted = yield from passed(list(kept.values()), batch, sieve, judged_by)
    for draft, (written, why) in zip(drafts, sifted, strict=True):
      report.read += 1
      if why is None:
        kept[written.slot] = written
        report.kept += 1
        unmarked += not written.spans
        revised += draft.task.step == 'revision'
      else:
        report.skip(written.slot, Unwanted(why))
        if len(dropped[why]) < _SHOWN_DROPS:
          dropped[why].append(written.text)
        why_short[written.slot] = why
  names = [slot.task.slot for slot in plan]
  return Made(
    documents=tuple(kept[name] for name in names if name in kept),
    report=report,
    short=tuple((name, why_short[name]) for name in names if name not in kept),
    unmarked=unmarked,
    revised=revised,
    dropped=dict(dropped),
  )


def _counts(plan: Sequence[_Slot]) -> collections.Counter[str]:
  return collections.Counter(slot.task.value for slot in plan)


@functools.lru_cache(4)
def slots(recipe: Recipe, spec: Spec, seed: int) -> tuple[_Slot, ...]:
  """The plan: what every document is to be about, dealt so that all is covered evenly."""
  dealt = [_of_value(recipe, spec, value, n, seed) for n, value in enumerate(spec.values)]
  longest = max(map(len, dealt))
  return tuple(own[n] for n in range(longest) for own in dealt if n < len(own))


def _of_value(recipe: Recipe, spec: Spec, value: Value, place: int, seed: int) -> list[_Slot]:
  """The slots of one value; those that do not divide evenly go to the first values."""
  count, more = divmod(recipe.documents, len(spec.values))
  count += place < more
  lot, told = f'{seed} {value.id}', variants.told(spec)
  levels = dict(
    type=recipe.types,
    reasons=[reason.id for reason in value.reasons] if recipe.reasons else [],
    register=recipe.registers,
    voice=recipe.voices,
    audience=recipe.audiences,
    opening=recipe.openings,
    shown=_SHOWN,
    limit=('', *value.limits) if recipe.limits else ('',),
  )
  rows = facets.deal(levels, count, lot, dict(reasons=recipe.reasons))
  wordings: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)

  def worded(kind: str, choices: Sequence[str], n: int) -> str:
    text = facets.least(choices, wordings[kind], f'{lot} {n} {kind} wording')
    wordings[kind][text] += 1
    return text

  found = []
  for n, row in enumerate(rows):
    reasons = [(name, worded(name, value.reason(name).wordings, n)) for name in row.pop('reasons')]
    (limit,) = row.pop('limit')
    found.append(
      _Slot(
        task=Task(
          step='document',
          slot=f'explain/{value.id}/{n:06d}',
          spec=told,
          value=value.id,
          statement=worded('', value.wordings, n),
          reasons=tuple(reasons),
          limit=limit,
          facets=tuple((name, level) for name, (level,) in row.items()),
          words=recipe.words,
        )
      )
    )
  return found


def _with_ideas(plan: Sequence[_Slot], every: Ideas) -> tuple[list[_Slot], dict[str, list[Idea]]]:
  """The plan with an idea for every slot, and the ideas that are left of each value. Where there
  are fewer than slots they come again, in another form."""
  used: collections.Counter[str] = collections.Counter()
  dealt = []
  for slot in plan:
    own = every[slot.task.value]
    dealt.append(dataclasses.replace(slot, idea=own[used[slot.task.value] % len(own)]))
    used[slot.task.value] += 1
  return dealt, {value: list(own[used[value] :]) for value, own in every.items()}


def _again(slot: _Slot, attempt: int, spare: dict[str, list[Idea]]) -> _Slot:
  """A slot for its next try: of another idea, if one is left."""
  own = spare[slot.task.value]
  if attempt and own:
    slot = dataclasses.replace(slot, idea=own.pop(0))
  return dataclasses.replace(slot, task=dataclasses.replace(slot.task, attempt=attempt))


def _drafts(recipe: Recipe, still: Sequence[_Slot]) -> Waves[list[_Draft]]:
  """A document for every slot, criticised, and revised as long as something is found."""
  tasks = [_given(slot.task, idea=slot.idea.text) for slot in still]
  came: Sequence[Answer] = yield tasks
  drafts = [
    _Draft(slot=slot, task=task, marked=answer.text, calls=(*slot.idea.calls, answer.call))
    for slot, task, answer in zip(still, tasks, came)
  ]
  places = list(range(len(drafts))) if recipe.critique else []
  for n in range(recipe.revisions):
    asked = [_step('critique', drafts[place], n, ()) for place in places]
    came = (yield asked) if asked else []
    told = [(place, answer, judging.findings(answer.text)) for place, answer in zip(places, came)]
    for place, answer, _ in told:
      calls = (*drafts[place].calls, answer.call)
      drafts[place] = dataclasses.replace(drafts[place], calls=calls)
    told = [one for one in told if one[2]]
    places = [place for place, *_ in told]
    asked = [_step('revision', drafts[p], n, (('findings', what),)) for p, _, what in told]
    came = (yield asked) if asked else []
    for place, task, answer in zip(places, asked, came):
      calls = (*drafts[place].calls, answer.call)
      drafts[place] = dataclasses.replace(drafts[place], task=task, marked=answer.text, calls=calls)
  return drafts


def _step(step: str, draft: _Draft, n: int, more: Pairs) -> Task:
  """What is asked about a draft."""
  given = (('idea', draft.slot.idea.text), ('draft', draft.marked), *more)
  slot = f'{draft.slot.task.slot}/{step}{n}'
  return dataclasses.replace(draft.slot.task, step=step, slot=slot, given=given)


def _given(task: Task, **more: str) -> Task:
  return dataclasses.replace(task, given=(*task.given, *more.items()))


def _written(recipe: Recipe, draft: _Draft, spec: Spec, seed: int, who: dict[str, str]) -> Written:
  """A draft as a text of the corpus; where its marks are ill-formed it has no spans."""
  task = draft.slot.task
  ours = answers.kinds(reason.id for reason in spec.value(task.value).reasons)
  asked = answers.kinds(name for name, _ in task.reasons)
  text, spans = answers.read(draft.marked, ours)
  if any(span.kind not in asked for span in spans):
    spans = ()
  lot = facets.drawn(f'{seed} split {draft.slot.idea.text}', _MILLION)
  return Written(
    slot=task.slot,
    text=text,
    value=task.value,
    split='validation' if lot < recipe.validation * _MILLION else 'train',
    reasons=tuple(name for name, _ in task.reasons),
    spans=spans,
    facets=task.facets,
    idea=draft.slot.idea.text,
    calls=draft.calls,
    variant=who['variant'],
    provenance=who['provenance'],
    spec=spec.name,
  )
