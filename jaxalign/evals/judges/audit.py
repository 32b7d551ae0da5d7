"""A person's look at judges: answers drawn for labelling, and what the labels say of each judge.

The sheet that a person fills tells neither which model answered nor what a judge thought; the key
file, which is kept apart, does. Answers are drawn from every stratum (arm, suite, labels of all
judges), so that rare labels are seen, and every rate is corrected by labels of its own arm: judges
err differently on different models.
"""

import collections
import dataclasses
import hashlib
import random
from collections.abc import Mapping, Sequence
from typing import Any

from jaxalign import statistics
from jaxalign.config import UserError
from jaxalign.evals.evaluated import Answer, Evaluated
from jaxalign.evals.item import Said
from jaxalign.evals.judges import calibration
from jaxalign.evals.judges.calibration import Corrected, Stratum
from jaxalign.evals.judges.sheets import UNCLEAR, cell
from jaxalign.evals.judges.verdicts import ABSTAIN, VOCABULARIES
from jaxalign.evals.reading import as_read
from jaxalign.statistics import Interval

_LEAST = 2  # labels of a stratum, or all of it: one has no spread

_Stratum = tuple[str, str, tuple[str, ...]]  # (arm, suite, label of each judge)


@dataclasses.dataclass(frozen=True)
class _Sample:
  """rows: of the sheet, without labels; key: what is needed to read it, as JSON holds it."""

  rows: tuple[dict[str, str], ...]
  key: dict[str, Any]


def sample(
  evaluated: Sequence[Evaluated], n: int, seed: int = 0, judges: Sequence[str] = ()
) -> _Sample:
  """n answers, as many of each stratum as can be, in an order that tells nothing.

  judges: those who are held against a person; none: all who give labels.
  """
  arms = [one.label for one in evaluated]
  if not arms or len(set(arms)) < len(arms):
    raise UserError(f'runs to be judged have labels of their own, not {", ".join(arms) or "none"}')
  judges, words = _judges(evaluated, judges)
  strata: dict[_Stratum, list[tuple[Evaluated, Answer]]] = collections.defaultdict(list)
  for one in evaluated:
    for answer in one.answers:
      labels = tuple(answer.labels.get(judge, '') for judge in judges)
      if any(labels):
        strata[one.label, answer.suite, labels].append((one, answer))
  taken = _allotted({at: len(found) for at, found in sorted(strata.items())}, n)
  rng, drawn = random.Random(seed), []
  for place, (at, count) in enumerate(taken.items()):
    drawn += [(place, *pair) for pair in rng.sample(strata[at], count)]
  rng.shuffle(drawn)
  width = len(str(len(drawn)))
  ids = [f'{number:0{width}}' for number in range(1, 1 + len(drawn))]
  rows = tuple(_row(id, one, answer) for id, (_, one, answer) in zip(ids, drawn))
  key = dict(
    seed=seed,
    judges={judge: _print(evaluated, judge) for judge in judges},
    labels=list(words),
    strata=[
      dict(arm=arm, suite=suite, labels=list(labels), size=len(strata[arm, suite, labels]))
      for arm, suite, labels in taken
    ],
    rows=[
      dict(id=id, stratum=place, item=answer.item, draw=answer.draw, sha=_sha(answer))
      for id, (place, _, answer) in zip(ids, drawn)
    ],
  )
  return _Sample(rows, key)


def _judges(evaluated, wanted):
  """Judges that answer one question in labels; a value has no stratum and nothing to be held to."""
  seen: dict[str, set[str]] = {}
  for one in evaluated:
    for answer in one.answers:
      for judge, label in answer.labels.items():
        seen.setdefault(judge, set()).add(label)
  found = {name: seen[name] for name in sorted(seen) if not any(map(_is_number, seen[name]))}
  if lost := [name for name in wanted if name not in found]:
    raise UserError(f'no judge {", ".join(lost)} gave labels: take of {", ".join(found) or "none"}')
  found = {name: found[name] for name in wanted or found}
  if not found:
    raise UserError('no judge of these runs gave labels: judge them first (jaxalign judge RUN)')
  questions = {name: _vocabulary(labels) for name, labels in found.items()}
  if len(set(questions.values())) > 1:
    each = '; '.join(f'{name}: {", ".join(labels)}' for name, labels in questions.items())
    raise UserError(f'one label cannot answer several questions ({each}): name judges of one')
  return list(found), next(iter(questions.values()))


def _vocabulary(labels):
  """All labels of the question that a judge answers, those that it never gave too."""
  given = labels - {'', ABSTAIN}
  known = [words for words in VOCABULARIES if given <= set(words)]
  return known[0] if known and given else tuple(sorted(given))


def _is_number(label):
  try:
    float(label)
  except ValueError:
    return False
  return True


def _print(evaluated, judge):
  """The fingerprint that all runs know a judge by."""
  found = {one.about.judges[judge] for one in evaluated if judge in one.about.judges}
  if len(found) > 1:
    raise UserError(f'judge {judge} differs between the runs: judge all of them by the same one')
  return next(iter(found), '')


def _allotted(sizes: Mapping[_Stratum, int], n: int) -> dict[_Stratum, int]:
  """How many are drawn of each stratum: the same of each, and all of a small one."""
  least = sum(min(_LEAST, size) for size in sizes.values())
  if n < least:
    raise UserError(
      f'n={n} is too few: {len(sizes)} strata (arm x suite x labels of the judges) need {least}; '
      'draw more, or audit fewer runs at a time'
    )
  taken = {at: min(_LEAST, size) for at, size in sizes.items()}
  while sum(taken.values()) < n:
    open_ = [at for at in sizes if taken[at] < sizes[at]]
    for at in sorted(open_, key=lambda at: (taken[at], at))[: n - sum(taken.values())]:
      taken[at] += 1
    if not open_:
      break
  return taken


def _sha(answer: Answer) -> str:
  return hashlib.sha256(answer.text.encode()).hexdigest()


def _row(id: str, one: Evaluated, answer: Answer) -> dict[str, str]:
  item = one.items[answer.item]
  text = as_read(item, Said(key='', item=answer.item, text=answer.text))
  cells = dict(suite=answer.suite, question=item.question, answer=text)
  return dict(id=id) | {name: cell(text) for name, text in cells.items()} | dict(label='')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Calibration:
  """What the labels say of one judge on the answers of one arm to one suite."""

  judge: str
  arm: str
  suite: str
  answers: int
  labelled: int
  agreement: Interval
  kappa: float | None
  confusion: tuple[tuple[str, str, int, float], ...]  # (person, judge, labelled, share of answers)
  rates: Mapping[str, Corrected]  # {label: its rate}


def calibrate(
  labelled: Mapping[str, str], key: Mapping[str, Any], arms: Sequence[str] = ()
) -> list[Calibration]:
  """One for each judge, arm and suite; arms: of these alone, all where none is named."""
  drawn = {stratum['arm'] for stratum in key['strata']}
  for arm in arms:
    if arm not in drawn:
      raise UserError(
        f'{arm} has no labels of its own, and a judge errs differently on each model: those of '
        f'{", ".join(sorted(drawn))} say nothing of it; draw answers of it too (judge sample)'
      )
  given: dict[int, list[str]] = collections.defaultdict(list)
  for row in key['rows']:
    given[row['stratum']].append(labelled[row['id']])
  places = collections.defaultdict(list)
  for place, stratum in enumerate(key['strata']):
    if not arms or stratum['arm'] in arms:
      places[stratum['arm'], stratum['suite']].append(place)
  return [
    _calibration(name, n, arm, suite, [(key['strata'][p], given[p]) for p in found])
    for n, name in enumerate(key['judges'])
    for (arm, suite), found in sorted(places.items())
    if any(key['strata'][p]['labels'][n] for p in found)
  ]


def _calibration(judge, n, arm, suite, found):
  """found: [(a stratum of the key, the person's labels of it)]."""
  counts: dict[tuple[str, str], int] = collections.Counter()
  shares: dict[tuple[str, str], float] = collections.Counter()
  total = sum(stratum['size'] for stratum, _ in found)
  for stratum, labels in found:
    for label in labels:
      counts[label, stratum['labels'][n]] += 1
      shares[label, stratum['labels'][n]] += stratum['size'] / len(labels) / total

  def strata(says, holds):
    return [
      Stratum(
        size=stratum['size'],
        judged=says(stratum['labels'][n]),
        labelled=len(labels),
        found=sum(holds(label, stratum['labels'][n]) for label in labels),
      )
      for stratum, labels in found
    ]

  def of(target):
    return strata(lambda said: said == target, lambda label, _: label == target)

  named = sorted({label for pair in counts for label in pair} - {'', ABSTAIN, UNCLEAR})
  agreed = strata(lambda said: True, lambda label, said: label == said)
  return Calibration(
    judge=judge,
    arm=arm,
    suite=suite,
    answers=total,
    labelled=sum(counts.values()),
    agreement=calibration.prediction_powered(agreed),
    kappa=statistics.kappa(shares),
    confusion=tuple((*pair, counts[pair], shares[pair]) for pair in sorted(counts)),
    rates={target: calibration.corrected(of(target)) for target in named},
  )
