"""What lies in a workdir, told from its files alone: which stage ran, how far it came, and what it
found."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath

from jaxalign import sealing
from jaxalign.config import UserError
from jaxalign.corpora import manifest
from jaxalign.doors import curves
from jaxalign.doors.curves import Curve
from jaxalign.evals import read, store
from jaxalign.files import read_json, read_object, whole_lines
from jaxalign.train import saving

_Config = Mapping[str, Any]  # config.json
_Tables = Mapping[str, tuple[Sequence[str], Sequence[Sequence[Any]]]]  # {title: (head, rows)}
_GOES_ON = 'the same command goes on'
_REMEDY = 'name another WORKDIR'
_PAGES = 'report.html', 'card.html', 'overoptimisation.html', 'corpus.html', 'compare.html'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shown:
  """What there is to see. stands: how far it came, in a sentence."""

  stage: str  # MODULE:CLASS of its config
  stands: str
  facts: Sequence[tuple[str, object]] = ()
  tables: _Tables = dataclasses.field(default_factory=dict)
  curves: Sequence[Curve] = ()
  x: str = 'step'  # what curves are over


def config_of(workdir: epath.Path) -> dict[str, Any]:
  """The config that a workdir belongs to."""
  if not workdir.is_dir():
    raise UserError(f'{workdir} is no directory: {_REMEDY}')
  if not (workdir / 'config.json').exists():
    if (workdir / 'compare.json').exists():
      raise UserError(f'{workdir} holds a comparison and no run: open {workdir}/compare.html')
    raise UserError(f'{workdir} holds no run, for it has no config.json: {_REMEDY}')
  return read_object(workdir / 'config.json', 'class', remedy=_REMEDY)


def shown(workdir: epath.Path, config: _Config) -> Shown:
  """All that the files say of a run with this config."""
  module, _, name = str(config['class']).partition(':')
  module = sealing.MOVED.get(module, module)
  find = _study if module.startswith('jaxalign.study.') else _FINDS.get(module, _training)
  try:
    found = find(workdir, config)
  except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
    if isinstance(error, UserError):
      raise
    why = f'{type(error).__name__}: {error}'
    raise UserError(f'{workdir} was not written by this release ({why}): {_REMEDY}') from error
  return dataclasses.replace(found, stage=f'{module}:{name}')


def pages_of(workdir: epath.Path) -> list[str]:
  """Pages that the run itself wrote."""
  return [str(workdir / name) for name in _PAGES if (workdir / name).exists()]


def _training(workdir: epath.Path, config: _Config) -> Shown:
  metrics = [record for _, record in whole_lines(workdir / 'metrics.jsonl')]
  evals = [record for _, record in whole_lines(workdir / 'evals.jsonl')]
  every = [one for one in curves.of_rows(metrics) if one.name != 'seconds']
  every += curves.of_rows(evals)
  last = metrics[-1]['step'] if metrics else 0
  return Shown(stage='', stands=_trained(workdir, config.get('steps'), last), curves=every)


def _trained(workdir: epath.Path, steps: Any, last: int) -> str:
  kept = saving.newest(workdir)
  held = 'no checkpoint is there' if kept is None else f'the newest checkpoint is of step {kept:,}'
  if not isinstance(steps, int):
    return f'its config says no number of steps; it wrote {last:,}, and {held}'
  if last >= steps and kept is not None and kept >= steps:
    return f'ended: step {last:,} of {steps:,}'
  if not last:
    return f'unfinished: none of {steps:,} steps was written, and {held}; {_GOES_ON}'
  return f'unfinished: step {last:,} of {steps:,}, and {held}; {_GOES_ON}'


def _study(workdir: epath.Path, config: _Config) -> Shown:
  seeds = [str(seed) for seed in config['seeds']]
  facts: list[tuple[str, object]] = [('seeds', ', '.join(seeds)), ('arms', len(config['arms']))]
  if not (workdir / 'results.json').exists():
    homes = sorted(home for home in workdir.glob('*-*') if (home / 'outcomes').is_dir())
    every = [(home.name, len(list((home / 'outcomes').glob('*.json')))) for home in homes]
    stands = f'unfinished: {len(every)} worlds were begun, and there is no verdict; {_GOES_ON}'
    asked: _Tables = {'What was asked': (('world', 'models asked'), every)} if every else {}
    return Shown(stage='', stands=stands, facts=facts, tables=asked)
  found = read_object(workdir / 'results.json', 'verdict', 'sentence', 'contrasts', remedy=_REMEDY)
  told = [
    (one['name'], one['what'], one['mean'], one['low'], one['high'], one['holds'])
    for one in found['contrasts']
  ]
  head = ('contrast', 'what', 'mean', 'low', 'high', 'holds')
  tables: _Tables = {'Contrasts, with intervals of 95 %': (head, told)} if told else {}
  return Shown(stage='', stands=f'ended: {found["sentence"]}', facts=facts, tables=tables)


def _evaluation(workdir: epath.Path, config: _Config) -> Shown:
  if not (workdir / store.EVALUATED).exists():
    there = (workdir / store.ASKED).exists()
    so_far = read.so_far(workdir) if there else 'nothing was asked'
    return Shown(stage='', stands=f'unfinished: {so_far}; {_GOES_ON}')
  about = read_object(workdir / store.EVALUATED, 'model', 'fingerprint', remedy=_REMEDY)
  path = workdir / 'summary.json'  # not there where an older release measured
  lines = read_json(path, _REMEDY) if path.exists() else ()
  told = [
    (one['measure'], one['judge'] or None, one['n'], one['mean'], one['low'], one['high'])
    for one in lines
    if not one.get('by')
  ]
  head = ('measure', 'judge', 'n', 'mean', 'low', 'high')
  return Shown(
    stage='',
    stands=f'ended: {len(told)} measures',
    facts=[('model', about['model']), ('weights', about['fingerprint'])],
    tables={'Measures, with intervals of 95 %': (head, told)},
  )


def _corpus(workdir: epath.Path, config: _Config) -> Shown:
  if not (workdir / manifest.NAME).exists():
    path = workdir / 'journal.jsonl'
    count = path.read_bytes().count(b'\n') if path.exists() else 0
    stands = f'unfinished: {count:,} lines in its journal, and no {manifest.NAME}; {_GOES_ON}'
    return Shown(stage='', stands=stands)
  about = read_object(workdir / manifest.NAME, 'files', 'documents', remedy=_REMEDY)
  files = [(name, one['rows'], one['words']) for name, one in about['files'].items()]
  figures = [*about.get('measures', {}).items(), *about.get('figures', {}).items()]
  told = about['documents']
  facts: list[tuple[str, object]] = [('spec', about['spec']['name'])]
  facts += [('variant', about['variant']['name'])] if 'variant' in about else []
  facts += [(f'texts {name}', told[name]) for name in ('written', 'kept')]
  facts += [(f'dropped, {why}', of['count']) for why, of in told['dropped'].items()]
  facts += [('gate not passed', line) for line in about.get('failing_gates', ())]
  facts += [('cost', about['paid']['cost'])]
  facts += [(name, value) for name, value in figures if isinstance(value, int | float | str)]
  tables = {'Files': (('file', 'rows', 'words'), files)}
  return Shown(stage='', stands='ended: its manifest is written', facts=facts, tables=tables)


def _best_of_n(workdir: epath.Path, config: _Config) -> Shown:
  if not (workdir / 'bon.json').exists():
    files = len(list(workdir.glob('bon-*.jsonl')))
    return Shown(stage='', stands=f'unfinished: {files:,} files of answers are there; {_GOES_ON}')
  found = read_object(workdir / 'bon.json', 'n', 'mean', 'prompts', 'answers', remedy=_REMEDY)
  named = [dict(zip(found['mean'], column)) for column in zip(*found['mean'].values())]
  points = [dict(one, n=n) for n, one in zip(found['n'], named)]
  facts = [('prompts', found['prompts']), ('answers each', found['answers'])]
  every = curves.of_rows(points, 'n')
  return Shown(stage='', stands='ended: all was asked', facts=facts, curves=every, x='n')


_FINDS = {
  'jaxalign.stages.evaluate': _evaluation,
  'jaxalign.stages.corpus': _corpus,
  'jaxalign.stages.bon': _best_of_n,
}
