"""What arms write: suites are asked of each as stage evaluate asks them, kept, and judged.

The answers of an arm lie in SEED/answers/ARM, the workdir of an evaluation, which `jaxalign judge`
and `jaxalign compare` read too. What is there is not asked again, and the arm's model is freed
before a judge is loaded. The numbers of the suites become Outcomes, paired by item.
"""

import collections
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from etils import epath

from jaxalign import pod
from jaxalign.config import Mesh, UserError
from jaxalign.data import dialogues
from jaxalign.evals import read
from jaxalign.evals.encoding import Encoding
from jaxalign.evals.evaluated import About, AskedSuite
from jaxalign.evals.item import RATES, Measure, Row
from jaxalign.evals.outcome import UNITS, Outcome
from jaxalign.files import read_json, write_text
from jaxalign.sealing import seal, tree
from jaxalign.stages import evaluate, evaluate_refusals, refusals
from jaxalign.stages.asking import Model
from jaxalign.study.plan.guest import Said
from jaxalign.study.texts.corpora import open_tokenizer
from jaxalign.study.texts.settings import Asking

DIRECTORY = 'answers'
_DONE = 'study.json'  # by which plan an arm was asked and judged: written last
_NEGATIVE = -0.5  # as BOLD's authors cut VADER's compound
_UNIT_OF = {'': 'rate', 'compound': 'sentiment'}  # of suites, as outcomes call them


class _Stage(Protocol):
  """What of a study's stages says how its models are laid out."""

  model: Any
  mesh: Mesh


def evaluation(world: Asking, stage: _Stage, model: Model) -> evaluate.Config:
  """The config by which one model is asked; its tokenizer is that of all arms where it is by
  chance, as a doctor asks it."""
  return evaluate.Config(
    model=model,
    tokenizer=None if isinstance(model, str) else world.tokenizer,
    format=world.format,
    dtype=stage.model.dtype,  # the same of the base, whatever its files hold
    suites=world.suites,
    judges=world.judges,
    rows=world.rows,
    mesh=stage.mesh,
  )


def refuse(world: Asking) -> None:
  """UserError before anything is trained: a file that is not there, a judge that is missing."""
  if not world.suites and not world.judges:
    return
  tokenizer = open_tokenizer(world)
  encoding = Encoding(tokenizer, dialogues.resolved(world.format, tokenizer))
  cfg = evaluate.Config(suites=world.suites, judges=world.judges, format=world.format)
  cfg.check()
  refusals.refuse(evaluate_refusals.ASKED, cfg, text=encoding)
  for suite in world.suites:
    for measure in suite.measures():
      if measure.name.partition('/')[0] != suite.name:
        raise UserError(f'suites: {suite.name} calls a measure {measure.name}: {suite.name}/NAME')
      if _unit(measure) not in UNITS:
        raise UserError(
          f'suites: {measure.name} is measured in {measure.unit}, and outcomes of a study in '
          f'{", ".join(UNITS)}: leave {suite.name} to stage evaluate'
        )


def ask(
  world: Asking,
  stage: _Stage,
  place: epath.Path,
  key: str,
  model: Callable[[], epath.PathLike],
) -> None:
  """Asks and judges what is missing in the answers at `place`. key: of all that made the model;
  model(): where it lies."""
  done = place / _DONE
  told = _plan(world, key)
  if pod.agreed(done.exists() and read_json(done) == told):
    return
  evaluate.run(seal(evaluation(world, stage, str(model()))), place)
  if pod.writes():
    write_text(json.dumps(told), done)
  pod.meet(f'{place.name} is judged')


def _plan(world, key):
  """What decides the numbers of an arm: its model, what it is asked, who judges."""
  asked = [(suite.source(), tree(suite)) for suite in world.suites]
  judges = [(tree(judge), getattr(judge, 'fingerprint', '')) for judge in world.judges]
  return json.loads(json.dumps(dict(key=key, suites=asked, judges=judges)))


def said(place: epath.Path) -> Said:
  """The Outcomes of an arm's answers, and how each test was asked and judged."""
  found = read.evaluated(place)
  measures = {measure.name: measure for measure in found.about.measures}
  judges: dict[str, set[str]] = collections.defaultdict(set)
  for row in found.rows:
    judges[row.measure].add(row.judge)
  tests = [_test(row, judges[row.measure]) for row in found.rows]
  how = dict(zip(tests, _how(found.about, found.rows)))
  return Said(tuple(_outcomes(found.rows, tests, measures)), how)


def _test(row: Row, judges: set[str]) -> str:
  """The measure; with the judge's name behind, where several gave it."""
  return row.measure if len(judges) == 1 else f'{row.measure}/{row.judge}'


def _how(about: About, rows: tuple[Row, ...]) -> Iterator[str]:
  """A hash for each row: of its suite as it was asked, and of who judged."""
  suites = {suite.name: suite for suite in about.suites}
  known: dict[tuple[str, str], str] = {}
  for row in rows:
    name = row.measure.partition('/')[0]
    if (name, row.judge) not in known:
      known[name, row.judge] = _hash(suites[name], about.judges.get(row.judge, ''))
    yield known[name, row.judge]


def _hash(suite: AskedSuite, judge: str) -> str:
  said = [suite.name, suite.version, suite.source, suite.template, suite.decode, judge]
  return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _outcomes(
  rows: tuple[Row, ...], tests: list[str], measures: Mapping[str, Measure]
) -> Iterator[Outcome]:
  asked: collections.Counter[str] = collections.Counter()
  for test, row in zip(tests, rows):
    measure = measures[row.measure]
    number = row.value * row.weight
    yield Outcome(
      test=test,
      item=asked[test],
      cluster=row.cluster,
      prompt=row.unit,
      margin=number,
      unit=_unit(measure),
      right=_right(measure, row),
      yes=measure.unit in RATES and row.value > 0.5,
      raw=number,
    )
    asked[test] += 1


def _unit(measure: Measure) -> Any:
  return _UNIT_OF.get(measure.unit, measure.unit)


def _right(measure: Measure, row: Row) -> bool:
  """Whether a rate is so as is wanted of its item, and a sentiment not negative; of a number that
  is neither right nor wrong, as a length, never."""
  if _unit(measure) == 'sentiment':
    return row.value > _NEGATIVE
  if measure.unit not in RATES or not measure.better:
    return False
  more = (measure.better == 'more') == (row.weight > 0)
  return row.value > 0.5 if more else row.value < 0.5
