"""jaxalign judge sample RUN [RUN ...] --out=SHEET.csv
jaxalign judge calibrate SHEET.csv --key=KEY.json

sample draws answers for a person to label: of every run, suite and label that judges gave, in an
order that tells neither the run nor the label. The person fills the column `label`; KEY.json, which
says what each answer is, stays with you. calibrate reads both again: how far each judge agrees with
the person, and every rate as the person would find it, by labels of the same run alone.
"""

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from jaxalign.config import UserError
from jaxalign.doors.opening import Flag, flags_and_words
from jaxalign.evals.evaluated import Evaluated
from jaxalign.evals.judges import audit, sheets
from jaxalign.evals.judges.audit import Calibration
from jaxalign.files import Place, place, read_object, write_text
from jaxalign.statistics import Interval

_Read = Callable[[str], Evaluated]
_SAMPLE: tuple[Flag, ...] = (
  (flags.DEFINE_string, 'out', None, 'SHEET.csv, which a person fills'),
  (flags.DEFINE_string, 'key', None, 'KEY.json, kept apart; default: beside the sheet'),
  (flags.DEFINE_integer, 'n', 200, 'answers to be labelled'),
  (flags.DEFINE_integer, 'seed', 0, 'of what is drawn'),
  (flags.DEFINE_multi_string, 'judge', [], 'a judge to be audited; default: all that give labels'),
)
_CALIBRATE: tuple[Flag, ...] = (
  (flags.DEFINE_string, 'key', None, 'KEY.json of the sheet'),
  (flags.DEFINE_multi_string, 'arm', [], 'a run that was drawn from; default: all'),
  (flags.DEFINE_string, 'out', None, 'FILE.json of all numbers; default: they are printed alone'),
)


def run(argv: Sequence[str], read: _Read | None = None) -> int:
  """The command; argv is `judge`, then `sample` or `calibrate`. read: what an evaluation is read
  by, from its directory."""
  word = argv[1] if len(argv) > 1 else ''
  if word not in ('sample', 'calibrate'):
    raise UserError('judge takes the word sample or calibrate (jaxalign judge sample --help)')
  defined = _SAMPLE if word == 'sample' else _CALIBRATE
  given = flags_and_words([f'judge {word}', *argv[2:]], __doc__ or '', defined)
  if given is None:
    return 0
  values, words = given
  if word == 'calibrate':
    return _calibrate(values, words)
  return _sample(values, words, read or _reader())


def _reader() -> _Read:
  from jaxalign.evals.read import evaluated

  return evaluated


def _sample(values: Any, runs: Sequence[str], read: _Read) -> int:
  if not runs:
    raise UserError('judge sample takes the directories of evaluations: jaxalign judge sample RUN')
  for flag, least in (('n', 1), ('seed', 0)):
    if not least <= values[flag].value < 2**31:
      raise UserError(f'--{flag}={values[flag].value}: at least {least}')
  if not values.out:
    raise UserError(f'--out is missing: {values["out"].help}')
  out = place(values.out, '--out')
  key = place(values.key, '--key') if values.key else out.with_name(f'{out.stem}.key.json')
  for there in (out, key):
    if there.exists():
      raise UserError(f'{there} is there, and may hold labels: name another place')
  drawn = audit.sample([read(run) for run in runs], values.n, values.seed, values.judge)
  write_text(json.dumps(drawn.key, indent=1, ensure_ascii=False) + '\n', key)
  write_text(sheets.sheet(drawn.rows), out)
  print(f'{len(drawn.rows)} answers in {out}; labels: {", ".join(drawn.key["labels"])}, unclear')
  print(f'{key} says whose they are: whoever labels does not see it')
  return 0


def _calibrate(values: Any, words: Sequence[str]) -> int:
  if len(words) != 1 or not values.key:
    raise UserError('judge calibrate takes one sheet and its key: SHEET.csv --key=KEY.json')
  key = read_object(place(values.key, '--key'), 'judges', 'labels', 'strata', 'rows')
  labels = sheets.labels_of(place(words[0]), key)
  found = audit.calibrate(labels, key, values.arm)
  for one in found:
    print('\n'.join(_lines(one)))
  if values.out:
    _write(found, place(values.out, '--out'))
  return 0


def _write(found: Sequence[Calibration], out: Place) -> None:
  rows = [dataclasses.asdict(one) for one in found]
  write_text(json.dumps(_named(rows), indent=1, ensure_ascii=False) + '\n', out)


def _named(value: Any) -> Any:
  """Intervals by the names of their parts, as JSON has no others."""
  if isinstance(value, Interval):
    return value._asdict()
  if isinstance(value, dict):
    return {name: _named(part) for name, part in value.items()}
  return [_named(part) for part in value] if isinstance(value, list | tuple) else value


def _lines(one: Calibration) -> list[str]:
  kappa = 'none' if one.kappa is None else f'{one.kappa:.2f}'
  head = f'{one.judge} on {one.arm}, {one.suite}: {one.labelled} of {one.answers} answers labelled'
  lines = [f'{head}; agreement {_shown(one.agreement)}, kappa {kappa}']
  for label, rate in one.rates.items():
    lines.append(
      f'  {label}: judge {rate.judged:.3f}; person {_shown(rate.powered)}; Rogan-Gladen '
      f'{_shown(rate.rogan_gladen)}; sensitivity {_share(rate.sensitivity)}, specificity '
      f'{_share(rate.specificity)}'
    )
  lines += [f'  person {a}, judge {b}: {n} ({share:.1%})' for a, b, n, share in one.confusion]
  return lines


def _shown(interval: Interval | None) -> str:
  if interval is None:
    return 'none (the judge tells nothing)'
  return f'{interval.mean:.3f} ({interval.low:.3f} to {interval.high:.3f})'


def _share(value: float | None) -> str:
  return 'none' if value is None else f'{value:.2f}'
