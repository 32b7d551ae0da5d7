"""`jaxalign compare` of evaluated models: what a RUN holds is seen by its content.

A RUN is a workdir of an evaluation, a log of inspect_ai or lm-eval, a directory of such logs, or
LABEL=RUN,RUN,..: training runs of one arm that differ in their seeds.
"""

import dataclasses
import json
from collections.abc import Callable, Sequence

from etils import epath

from jaxalign import files
from jaxalign.config import UserError
from jaxalign.evals.evaluated import Evaluated
from jaxalign.study.answers import analysis, compared_text, inspect_logs, lm_eval_samples
from jaxalign.study.answers.compared import ComparedAnswers
from jaxalign.study.answers.pairs import MOST_LEFT_OUT, Arm, pair
from jaxalign.study.judge import results_file

_STUDY = 'outcomes.jsonl'
_NOTHING = (
  'holds nothing to compare: name a study or an evaluation that is done, a log of inspect_ai '
  '(.eval, .json), or samples_*.jsonl of lm-eval'
)
_Page = Callable[[ComparedAnswers, Sequence[Arm], epath.Path], None]


def studies(runs: Sequence[str]) -> bool:
  """Whether these RUNs are arms of studies; both kinds at once are a UserError."""
  holding = {run: [place for place in _places(run) if place.exists()] for run in runs}
  of_studies = [run for run in runs if any((place / _STUDY).exists() for place in holding[run])]
  others = [run for run in runs if run not in of_studies and (holding[run] or not _places(run))]
  if of_studies and others:
    raise UserError(
      f'{of_studies[0]} is a study and {others[0]} is not: compare things of one kind'
    )
  return bool(of_studies) or not runs


def _places(run: str) -> list[epath.Path]:
  """Where a study may be: DIR, or that of DIR:ARM; nowhere for a label with its runs."""
  if _label_and_paths(run)[0]:
    return []
  directory, _, name = run.rpartition(':')
  return [files.place(one) for one in (run, '' if '/' in name else directory) if one]


def compare(
  runs: Sequence[str],
  workdir: epath.Path | None = None,
  page: _Page | None = None,
  unpaired_base: bool = False,
  most_left_out: float | None = None,
) -> str:
  """The text table. compare.json goes to workdir, and what page(found, arms, path) draws."""
  most = MOST_LEFT_OUT if most_left_out is None else most_left_out
  if not 0 <= most < 1:
    raise UserError(f'--most_left_out={most}: a share of the items, from 0 to below 1')
  arms = [_arm(run) for run in runs]
  if len(arms) < 2:
    raise UserError('compare needs two evaluated models or more: jaxalign compare RUN_A RUN_B')
  pairing = pair(_told_apart(arms, runs), unpaired_base, most)
  found = analysis.analysed(pairing)
  if workdir:
    written = json.dumps(results_file.as_json(found), indent=1, allow_nan=False)
    files.write_text(f'{written}\n', workdir / 'compare.json')
    if page:
      page(found, pairing.arms, workdir / 'compare.html')
  return compared_text.text(found)


def _label_and_paths(run: str) -> tuple[str, list[str]]:
  """(label of an arm, its runs); ('', [run]) of one run, whatever letters its path has."""
  label, found, paths = run.partition('=')
  if not found or not label or '/' in label or files.place(run).exists():
    return '', [run]
  return label, [path for path in paths.split(',') if path]


def _arm(run: str) -> Arm:
  label, paths = _label_and_paths(run)
  if label and not paths:
    raise UserError(f'{run} names no run: LABEL=RUN,RUN')
  found = [_evaluated(path) for path in paths]
  if len(found) > 1:
    found = [dataclasses.replace(one, label=f'{label}, {one.label}') for one in found]
  elif label:
    found = [dataclasses.replace(found[0], label=label)]
  return Arm(label=label or found[0].label, runs=tuple(found))


def _evaluated(run: str) -> Evaluated:
  path = files.place(run)
  if not path.exists():
    raise UserError(f'{run} is not there: name a run, or a log')
  name = path.stem if path.is_file() else path.name
  if path.is_file():
    files.refuse_irregular(path)
    for reader in (lm_eval_samples, inspect_logs):
      if reader.is_file(path):
        return reader.evaluated([path], name)
    raise UserError(f'{run} {_NOTHING}')
  from jaxalign.evals import read  # jax, for what is not a log alone

  if read.is_evaluation(path):  # before its JSON is taken for a log
    return read.evaluated(path, name)
  for reader in (lm_eval_samples, inspect_logs):
    if paths := reader.found_in(path):
      return reader.evaluated(paths, name)
  raise UserError(f'{run} {_NOTHING}')


def _told_apart(arms: Sequence[Arm], runs: Sequence[str]) -> list[Arm]:
  """Arms by names that differ: what was said, what the model is called, or where it is."""
  labels = [arm.label for arm in arms]
  if len(set(labels)) < len(labels):
    models = [arm.runs[0].about.model for arm in arms]
    labels = models if len(set(models)) == len(models) else list(runs)
  for label in labels:
    if labels.count(label) > 1:
      raise UserError(f'{label} is given twice: compare it with another')
  return [
    dataclasses.replace(
      arm,
      label=label,
      runs=arm.runs if arm.runs[1:] else (dataclasses.replace(arm.runs[0], label=label),),
    )
    for arm, label in zip(arms, labels)
  ]
