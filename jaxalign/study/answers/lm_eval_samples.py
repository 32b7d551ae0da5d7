"""Logs of lm-evaluation-harness: `samples_TASK_TIME.jsonl`, or a directory that holds some.

A unit is a document with its target, known by its content: hashes that newer releases write are not
in older ones' files, and the order of a file says nothing. A filter makes measures of its own.
"""

import collections
import hashlib
import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeGuard

from etils import epath

from jaxalign import files
from jaxalign.config import UserError
from jaxalign.evals.evaluated import About, Answer, AskedSuite, Evaluated
from jaxalign.evals.item import Better, Item, Measure, Row

_NAME = re.compile(r'samples_(?P<task>.+?)(?:_\d{4}-\d\d-\d\dT[\d.:-]+)?\.jsonl')
_KNOWN = (
  'doc_id doc target arguments resps filtered_resps filter metrics doc_hash prompt_hash target_hash'
).split()
_REMEDY = 'log again: lm_eval --log_samples --output_path=DIR'
_LARGEST = 2 << 30  # bytes of a file
_Line = dict[str, Any]


def is_file(path: epath.Path) -> bool:
  """Whether its first line is a logged sample."""
  if path.suffix != '.jsonl' or not path.is_file():
    return False
  with path.open('rb') as file:
    start = file.readline(1 << 20)
  return b'"doc_id"' in start or b'"doc"' in start


def found_in(directory: epath.Path) -> list[epath.Path]:
  """Samples in DIR, or in the one directory in it that lm_eval names after the model."""
  for places in ([directory], sorted(p for p in directory.iterdir() if p.is_dir())):
    having = [sorted(place.glob('samples_*.jsonl')) for place in places]
    having = [paths for paths in having if paths]
    if len(having) > 1:
      raise UserError(f'{directory} holds the samples of several models: name one of them')
    if having:
      return [epath.Path(path) for path in having[0]]
  return []


def evaluated(paths: Sequence[epath.Path], label: str) -> Evaluated:
  """Evaluated of these files, a task each."""
  tasks: dict[str, epath.Path] = {}
  for path in paths:
    matched = _NAME.fullmatch(path.name)
    task = matched['task'] if matched else path.stem
    if task in tasks:
      raise UserError(
        f'{path.parent} holds {task} twice, as {tasks[task].name} and {path.name}: name one file'
      )
    tasks[task] = path
  rows: list[Row] = []
  items: dict[str, Item] = {}
  notes: dict[str, str] = {}
  answers: list[Answer] = []
  prompts: dict[tuple[str, str], str] = {}
  suites, measures = [], []
  for task, path in tasks.items():
    lines = _lines(path)
    units = {id(line): _unit(line) for line in lines}
    found = list(_rows(task, lines, units, path))
    rows += found
    notes |= _unscored(task, lines)
    items |= {units[id(line)]: _item(units[id(line)], line) for line in lines}
    answers += _answers(task, lines, units)
    suites.append(_suite(task, lines))
    prompts |= _put(task, lines, units)
    better = _directions(path, task)
    names = dict.fromkeys(row.measure for row in found)
    measures += [Measure(name=name, title=name, better=_better(name, better)) for name in names]
  return Evaluated(
    label=label,
    about=About(
      model=paths[0].parent.name,
      fingerprint='',
      suites=tuple(suites),
      measures=tuple(measures),
      notes=notes,
    ),
    items=items,
    rows=tuple(rows),
    answers=tuple(answers),
    prompts=prompts,
  )


def _lines(path: epath.Path) -> list[_Line]:
  if path.stat().length > _LARGEST:
    raise UserError(f'{path} is above {_LARGEST >> 30} GiB: log fewer samples')
  found = [line for _, line in files.rows(path, _REMEDY)]
  for n, line in enumerate(found, 1):
    if not isinstance(line, dict) or 'doc' not in line:
      raise UserError(f'{path}: sample {n} has no doc: {_REMEDY}')
  if not found:
    raise UserError(f'{path} holds no sample: {_REMEDY}')
  return found


def _hash(value: object) -> str:
  return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def _unit(line: _Line) -> str:
  return _hash([line['doc'], line.get('target')])


def _rows(task: str, lines: list[_Line], units: dict[int, str], path: epath.Path) -> Iterator[Row]:
  """A row a document, metric and filter; a document that is there twice counts once, as the mean,
  and says so in its unit."""
  values = collections.defaultdict(list)
  for line in lines:
    for metric in _metrics(line):
      value = line.get(metric)
      if _is_number(value):
        values[_measure(task, metric, line), units[id(line)]].append(float(value))
  if not values:
    raise UserError(
      f'{path} has no metric that is a number for each sample: metrics over a whole task, as '
      'perplexity or F1, cannot be paired'
    )
  for (measure, unit), many in values.items():
    times = f'x{len(many)}' if len(many) > 1 else ''
    yield Row(measure=measure, unit=f'{unit}{times}', cluster=unit, value=sum(many) / len(many))


def _is_number(value: object) -> TypeGuard[float]:
  """Whether a metric has a value; NaN says that it has none, as where 0 was divided by 0."""
  return isinstance(value, bool | int | float) and math.isfinite(value)


def _unscored(task: str, lines: list[_Line]) -> dict[str, str]:
  """Notes on metrics that some samples have no number of, though others have."""
  given = [
    (_measure(task, metric, line), line.get(metric)) for line in lines for metric in _metrics(line)
  ]
  scored = {name for name, value in given if _is_number(value)}
  lost = collections.Counter(name for name, value in given if not _is_number(value))
  return {f'{name}, unscored': f'{n} samples' for name, n in lost.items() if name in scored}


def _metrics(line: _Line) -> list[str]:
  named = line.get('metrics')
  return named if isinstance(named, list) else [name for name in line if name not in _KNOWN]


def _measure(task, metric, line):
  by = line.get('filter', 'none')
  return f'{task}/{metric}' if by == 'none' else f'{task}/{metric}.{by}'


def _directions(path: epath.Path, task: str) -> dict[str, bool]:
  """{metric: whether higher is better} as the results beside the samples say; {} without them."""
  for beside in sorted(path.parent.glob('results_*.json')):
    found = files.read_json(beside)
    said = found.get('higher_is_better', {}) if isinstance(found, dict) else {}
    if isinstance(said, dict) and isinstance(said.get(task), dict):
      return said[task]
  return {}


def _better(measure: str, directions: dict[str, bool]) -> Better:
  metric = measure.rpartition('/')[2].partition('.')[0]
  said = directions.get(metric)
  return '' if said is None else 'more' if said else 'less'


def _suite(task: str, lines: list[_Line]) -> AskedSuite:
  parameters = [request[1] for line in lines[:1] for request in _requests(line)[:1]]
  decode = next((one for one in parameters if isinstance(one, dict)), {})
  return AskedSuite(name=task, version='', source='', template='', decode=decode)


def _put(task: str, lines: list[_Line], units: dict[int, str]) -> dict[tuple[str, str], str]:
  """{(task, unit): hash of its prompts}: chat format, few-shot examples and wording."""
  found: dict[tuple[str, str], set[str]] = collections.defaultdict(set)
  for line in lines:
    found[task, units[id(line)]] |= _prompts(line)
  return {key: _hash(sorted(prompts)) for key, prompts in found.items()}


def _prompts(line):
  return {str(request[0]) for request in _requests(line)}


def _requests(line: _Line) -> list[list[Any]]:
  """[[context, continuation or parameters]]; in newer files both have names."""
  given = line.get('arguments', [])
  requests = given.values() if isinstance(given, dict) else given if isinstance(given, list) else []
  found = [list(one.values()) if isinstance(one, dict) else one for one in requests]
  return [one for one in found if isinstance(one, list) and len(one) >= 2]


def _item(unit: str, line: _Line) -> Item:
  prompts = sorted(_prompts(line))
  text = prompts[0] if prompts else json.dumps(line['doc'], ensure_ascii=False)
  return Item(text=text, right=(str(line.get('target', '')),), unit=unit)


def _answers(task: str, lines: list[_Line], units: dict[int, str]) -> Iterator[Answer]:
  """What was said once for a document, with the metrics of all filters as its labels."""
  said: dict[str, str] = {}
  labels: dict[str, dict[str, str]] = collections.defaultdict(dict)
  for line in lines:
    unit = units[id(line)]
    said.setdefault(unit, _said(line))
    for metric in _metrics(line):
      value = line.get(metric)
      if isinstance(value, bool | int | float):
        labels[unit][_measure(task, metric, line).rpartition('/')[2]] = f'{float(value):g}'
  for unit, text in said.items():
    yield Answer(suite=task, item=unit, draw=0, text=text, labels=labels[unit])


def _said(line: _Line) -> str:
  """The text that was generated, or the continuation that was likeliest."""
  given = line.get('resps') or []
  first = given[0] if isinstance(given, list) and given else ''
  while isinstance(first, list) and len(first) == 1:
    first = first[0]
  if isinstance(first, str):
    return first
  try:
    likely = [float(one[0][0]) for one in given]
    return str(_requests(line)[likely.index(max(likely))][1])
  except (IndexError, TypeError, ValueError):
    return json.dumps(given)
