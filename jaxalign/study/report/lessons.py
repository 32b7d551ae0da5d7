"""What lies beside a study's results and is shown with them: plan, costs, sums, training curves."""

import dataclasses

import numpy as np

from jaxalign import files
from jaxalign.study.report.contents import Contents
from jaxalign.study.store.directories import home_of

POINTS = 20  # of a curve


@dataclasses.dataclass(frozen=True, kw_only=True)
class Beside:
  """Each is empty where its file is not there: a page of the rest is better than none."""

  contents: Contents
  plan: dict
  about: dict
  sums: dict  # {seed: {corpus: sha256}}
  curves: dict  # {(tests, recipe): {name: {seed: (steps, losses)}}}


def beside(workdir, seeds, contents):
  plan = read(workdir / 'plan.json')
  sums = {s: read(home_of(workdir, s, False) / 'corpora' / 'sums.json') for s in seeds}
  return Beside(
    contents=contents, plan=plan, about=read(workdir / 'about.json'),
    sums={s: x for s, x in sums.items() if x}, curves=curves(workdir, seeds, plan),
  )  # fmt: skip


def read(path):
  return files.read_json(path) if path.exists() else {}


def curves(workdir, seeds, plan):
  """The loss of every lesson that a run's metrics tell, once for the arms that share it."""
  found = {}
  for (tests, recipe, name), run in lessons(plan).items():
    paths = {s: home_of(workdir, s, False) / 'runs' / run / 'metrics.jsonl' for s in seeds}
    read = {seed: _curve(path) for seed, path in paths.items() if path.exists()}
    read = {seed: one for seed, one in read.items() if one}
    if read:
      found.setdefault((tests, recipe), {})[name] = read
  return found


def lessons(plan):
  """{(tests, recipe, name): run}: the base, then the arms' lessons; replay at the end is none."""
  found = {('', 'base', 'base'): 'base'}
  for arm in plan.get('arms', ()):
    run, taught = '', []
    for step in arm['steps']:
      name = f'{step["recipe"]}-{step["what"]}' if step['what'] else step['recipe']
      run = f'{run}.{name}' if run else name
      taught.append(step['what'])
      if step['what']:
        recipe = 'align' if step['recipe'] == 'align' else 'documents'
        found[arm['tests'], recipe, '-'.join(taught)] = run
  return found


def _curve(path):
  """(steps, losses), means of even parts."""
  lines = [record for _, record in files.whole_lines(path)]
  rows = [(line['step'], line['loss']) for line in lines if line.get('loss') is not None]
  if not rows:
    return None
  parts = np.array_split(np.array(rows), min(POINTS, len(rows)))
  steps, losses = np.array([part.mean(0) for part in parts]).T
  return steps.tolist(), losses.tolist()
