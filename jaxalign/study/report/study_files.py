"""Reader of what lies beside a study's results and is shown with them."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from etils import epath

from jaxalign import files
from jaxalign.study.plan.directories import home_of
from jaxalign.study.report.contents import Contents, StudyFiles
from jaxalign.study.store import about

if TYPE_CHECKING:
  from jaxalign.study.plan.arms import Arm

POINTS = 20  # of a curve


def read(
  workdir: epath.Path,
  seeds: Iterable[int],
  contents: Contents,
  arms: Sequence['Arm'] = (),
  split: str = '',
) -> StudyFiles:
  directories = {seed: home_of(workdir, seed) for seed in seeds}
  paths = {seed: home / 'corpora' / 'sums.json' for seed, home in directories.items()}
  return StudyFiles(
    contents=contents,
    arms=arms,
    split=split,
    plan=files.read_object(plan, 'world') if (plan := workdir / 'plan.json').exists() else None,
    about=about.read(workdir) if (workdir / about.FILE).exists() else None,
    sums={seed: files.read_json(path) for seed, path in paths.items() if path.exists()},
    curves=_curves(directories, arms),
  )


def _curves(directories, arms):
  """The loss of every lesson that a run's metrics tell, once for the arms that share it."""
  found = {}
  for (tests, recipe, name), run in lesson_runs(arms).items():
    paths = {seed: home / 'runs' / run / 'metrics.jsonl' for seed, home in directories.items()}
    read = {seed: curve for seed, path in paths.items() if (curve := _curve(path))}
    if read:
      found.setdefault((tests, recipe), {})[name] = read
  return found


def lesson_runs(arms: Iterable['Arm']) -> dict[tuple[str, str, str], str]:
  """{(tests, recipe, name): run}: the base, then the arms' lessons; replay at the end is none."""
  found = {('', 'base', 'base'): 'base'}
  for arm in arms:
    for n, step in enumerate(arm.steps, 1):
      if step.what:
        recipe = 'align' if step.recipe == 'align' else 'documents'
        taught = '-'.join(one.what for one in arm.steps[:n])
        found[arm.tests, recipe, taught] = '.'.join(one.name for one in arm.steps[:n])
  return found


def _curve(path):
  """(steps, losses), means of even parts; None where there are none."""
  lines = [record for _, record in files.whole_lines(path)]
  rows = [(line['step'], line['loss']) for line in lines if line.get('loss') is not None]
  if not rows:
    return None
  parts = np.array_split(np.array(rows), min(POINTS, len(rows)))
  steps, losses = np.array([part.mean(0) for part in parts]).T
  return steps.tolist(), losses.tolist()
