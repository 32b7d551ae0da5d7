"""Logs of inspect_ai: `.eval`, a zip with a JSON file a sample, or the same in one `.json`.

A unit is a sample's input, target and choices, known by their content: ids and order say nothing.
Its epochs are draws, and averaged. Every scorer gives a measure, of a dictionary each part does.
"""

import collections
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from etils import epath

from jaxalign import files
from jaxalign.config import UserError
from jaxalign.evals.evaluated import About, Answer, AskedSuite, Evaluated
from jaxalign.evals.item import Item, Measure, Row
from jaxalign.study.answers.zipped import Entries

_REMEDY = 'name a finished log of inspect eval'
_LARGEST = 2 << 30  # bytes of a .json
_LETTERS = dict(C=1.0, P=0.5, I=0.0, N=0.0)  # correct, partly, incorrect, no answer
_DECODE = (  # what of a configuration decides what is said
  'temperature top_p top_k max_tokens stop_seqs seed num_choices best_of frequency_penalty '
  'presence_penalty logit_bias system_message reasoning_effort reasoning_tokens'
).split()
_MOST_PARTS = 20  # of metadata by which samples are sliced
_Sample = dict[str, Any]


def is_file(path: epath.Path) -> bool:
  """Whether a file may be a log, by its ending."""
  return path.suffix in ('.eval', '.json') and path.is_file()


def found_in(directory: epath.Path) -> list[epath.Path]:
  """Logs in DIR: those that end in .eval, or else in .json."""
  for ending in ('*.eval', '*.json'):
    if found := sorted(directory.glob(ending)):
      return [epath.Path(path) for path in found]
  return []


def evaluated(paths: Sequence[epath.Path], label: str) -> Evaluated:
  """Evaluated of these logs, of one model and a task each."""
  parts = [_Log(*_read(path), path) for path in paths]
  for part in parts[1:]:
    first = parts[0]
    if part.model != first.model:
      raise UserError(
        f'{part.path.parent} holds logs of {first.model} and of {part.model}: name the files'
      )
  tasks = collections.Counter(part.task for part in parts)
  for task, count in tasks.items():
    if count > 1:
      raise UserError(f'{paths[0].parent} holds {count} logs of {task}: name one of them')
  return Evaluated(
    label=label,
    about=About(
      model=parts[0].model,
      fingerprint='',
      suites=tuple(part.suite() for part in parts),
      judges={name: mark for part in parts for name, mark in part.judges().items()},
      measures=tuple(measure for part in parts for measure in part.measures()),
      notes={
        f'{part.task}/{name}, unscored': f'{n} samples'
        for part in parts
        for name, n in part.unscored.items()
      },
    ),
    items={unit: item for part in parts for unit, item in part.items.items()},
    rows=tuple(row for part in parts for row in part.rows()),
    answers=tuple(answer for part in parts for answer in part.answers()),
  )


def _read(path: epath.Path) -> tuple[dict[str, Any], list[_Sample]]:
  """(header, samples), of which only what is needed is kept."""
  if path.suffix == '.json':
    if path.stat().length > _LARGEST:
      raise UserError(f'{path} is above {_LARGEST >> 30} GiB: write it as .eval')
    found = files.read_object(path, 'eval', 'status', 'samples', remedy=_REMEDY)
    return found, [_kept(sample, path) for sample in found['samples'] or ()]
  with Entries(path, _REMEDY) as entries:
    names = entries.names
    if 'header.json' not in names:
      raise UserError(f'{path} has no header.json, so its run did not finish: {_REMEDY}')
    header = files.parsed(entries.content('header.json'), f'{path}: header.json', _REMEDY)
    wanted = [name for name in names if name.startswith('samples/') and name.endswith('.json')]
    samples = [
      _kept(files.parsed(entries.content(name), f'{path}: {name!r}', _REMEDY), path)
      for name in dict.fromkeys(wanted)
    ]
  return header, samples


def _kept(sample: Any, path: epath.Path) -> _Sample:
  if not isinstance(sample, dict) or 'input' not in sample:
    raise UserError(f'{path} has a sample without input: {_REMEDY}')
  names = ('id', 'epoch', 'input', 'target', 'choices', 'scores', 'metadata', 'output')
  found = {name: sample.get(name) for name in names}
  attached = sample.get('attachments')
  found['input'] = _attached(found['input'], attached if isinstance(attached, dict) else {})
  return found


def _attached(given, attachments):
  """Texts that stand elsewhere in the sample, put in their places."""
  if isinstance(given, str) and given.startswith('attachment://'):
    return attachments.get(given.removeprefix('attachment://'), given)
  if isinstance(given, list):
    return [_attached(one, attachments) for one in given]
  if isinstance(given, dict):
    return {name: _attached(one, attachments) for name, one in given.items()}
  return given


class _Log:
  """One task of one model, by units."""

  def __init__(self, header: dict[str, Any], samples: list[_Sample], path: epath.Path) -> None:
    self.path, self._header, self._samples = path, header, samples
    said = header.get('eval') if isinstance(header, dict) else None
    if not isinstance(said, dict) or 'task' not in said:
      raise UserError(f'{path} says no task: {_REMEDY}')
    self._eval: dict[str, Any] = said
    if header.get('status') != 'success':
      raise UserError(
        f'{path} ended with status {header.get("status")!r}: finish it (inspect eval-retry)'
      )
    if not samples:
      raise UserError(f'{path} holds no samples (a log of scores alone?): {_REMEDY}')
    self.task, self.model = str(self._eval['task']), str(self._eval.get('model', ''))
    self._units = [_unit(sample) for sample in samples]
    self._epochs = len({sample['epoch'] for sample in samples})
    ids = collections.defaultdict(set)
    for unit, sample in zip(self._units, samples):
      ids[unit].add(str(sample['id']))
    self._times = {unit: len(many) for unit, many in ids.items()}
    self._sliced = _sliced(samples)
    self.items = {unit: self._item(unit, s) for unit, s in zip(self._units, samples)}
    scored = collections.Counter(name for sample in samples for name, _ in _scores(sample))
    self.unscored = {name: len(samples) - n for name, n in scored.items() if n < len(samples)}

  def suite(self) -> AskedSuite:
    plan = self._header.get('plan') or {}
    configs = [self._eval.get('model_generate_config') or {}, plan.get('config') or {}]
    decode = {n: v for config in configs for n, v in config.items() if n in _DECODE}
    steps = [[step.get('solver'), step.get('params')] for step in plan.get('steps') or ()]
    return AskedSuite(
      name=self.task,
      version=str(self._eval.get('task_version', '')),
      source='',
      template=_hash(steps),
      decode={**decode, 'epochs': self._epochs},
    )

  def judges(self) -> dict[str, str]:
    given = self._eval.get('scorers') or ()
    return {f'{self.task}/{one["name"]}': _hash(one.get('options')) for one in given}

  def measures(self) -> Iterator[Measure]:
    """A score in letters is better higher; of a number nobody knows."""
    letters: dict[str, bool] = {}
    for sample in self._samples:
      for name, value in _scores(sample):
        letters[name] = letters.get(name, False) or isinstance(value, str | bool)
    for name, known in letters.items():
      full = f'{self.task}/{name}'
      yield Measure(name=full, title=full, better='more' if known else '')

  def rows(self) -> Iterator[Row]:
    """A row a unit and measure, the mean over epochs; a unit that lacks one has none."""
    values = collections.defaultdict(list)
    for unit, sample in zip(self._units, self._samples):
      for name, value in _scores(sample):
        values[name, unit].append(_number(value))
    for (name, unit), many in values.items():
      times = self._times[unit]
      if len(many) == times * self._epochs:
        yield Row(
          measure=f'{self.task}/{name}',
          unit=f'{unit}x{times}' if times > 1 else unit,
          cluster=unit,
          value=math.fsum(many) / len(many),
          slices=self.items[unit].slices,
        )

  def answers(self) -> Iterator[Answer]:
    draws: dict[str, int] = collections.Counter()
    for unit, sample in zip(self._units, self._samples):
      output = sample['output']
      text = output.get('completion', '') if isinstance(output, dict) else ''
      labels = {name: str(value) for name, value in _scores(sample)}
      yield Answer(suite=self.task, item=unit, draw=draws[unit], text=str(text), labels=labels)
      draws[unit] += 1

  def _item(self, unit, sample):
    metadata = sample['metadata'] if isinstance(sample['metadata'], dict) else {}
    turns = _turns(sample['input'])
    target = sample['target']
    return Item(
      text='\n\n'.join(text if len(turns) == 1 else f'{role}: {text}' for role, text in turns),
      choices=tuple(map(str, sample['choices'] or ())),
      right=tuple(map(str, target if isinstance(target, list) else [target])),
      unit=unit,
      slices=tuple((n, metadata[n]) for n in self._sliced if isinstance(metadata.get(n), str)),
    )


def _hash(value: object) -> str:
  return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def _unit(sample: _Sample) -> str:
  return _hash([_turns(sample['input']), sample['target'], sample['choices'] or []])


def _turns(given: Any) -> list[tuple[str, str]]:
  """[(role, text)]; ids of messages are new in every run."""
  if not isinstance(given, list):
    return [('user', str(given))]
  found = []
  for message in given:
    said = message if isinstance(message, dict) else {'content': message}
    content = said.get('content', '')
    if isinstance(content, list):
      content = '\n'.join(_piece(one) for one in content)
    found.append((str(said.get('role', 'user')), str(content)))
  return found


def _piece(one: Any) -> str:
  """Text of a part of a message; of a picture or a sound what it is known by."""
  if isinstance(one, dict):
    return str(one.get('text') or f'[{one.get("type", "part")} {_hash(one)[:8]}]')
  return str(one)


def _scores(sample: _Sample) -> Iterator[tuple[str, Any]]:
  """(scorer, or scorer and part; its value), of what can be averaged."""
  given = sample['scores']
  for name, score in given.items() if isinstance(given, dict) else ():
    value = score.get('value') if isinstance(score, dict) else score
    parts = value if isinstance(value, Mapping) else {'': value}
    for part, one in parts.items():
      if _number(one) is not None:
        yield f'{name}.{part}' if part else str(name), one


def _number(value: Any) -> Any:
  """A float; None of what is none, and of NaN, with which a scorer says that it has none."""
  if isinstance(value, str):
    return _LETTERS.get(value)
  if isinstance(value, bool | int | float) and math.isfinite(value):
    return float(value)
  return None


def _sliced(samples: list[_Sample]) -> list[str]:
  """Names in the metadata whose texts part the samples into few."""
  parts = collections.defaultdict(set)
  for sample in samples:
    for name, value in (sample['metadata'] or {}).items():
      if isinstance(value, str):
        parts[name].add(value)
  return [name for name, values in parts.items() if 1 < len(values) <= _MOST_PARTS]
