"""jaxalign samples RUN --out=DIR

Writes an evaluation of ours as lm-evaluation-harness logs its own: samples_SUITE_TIME.jsonl, a line
a document, and results_TIME.json. They come of what RUN holds, and are no second store: whoever
asks or judges anew writes them again.
"""

import collections
import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags
from etils import epath

from jaxalign.config import UserError
from jaxalign.doors.opening import Flag, flags_and_words
from jaxalign.evals import read, store
from jaxalign.evals.evaluated import AskedSuite, Evaluated
from jaxalign.evals.item import Item, Row, Said, as_json
from jaxalign.files import place, write_text

_FLAGS: tuple[Flag, ...] = (
  (flags.DEFINE_string, 'out', None, 'directory for samples_*.jsonl and results_*.json'),
)


def run(argv: Sequence[str]) -> int:
  """The command; argv[0] is `samples`."""
  given = flags_and_words(argv, __doc__ or '', _FLAGS)
  if given is None:
    return 0
  values, words = given
  if len(words) != 1:
    raise UserError('samples takes one RUN, the directory of an evaluation: jaxalign samples RUN')
  if not values.out:
    raise UserError(f'--out is missing: {values["out"].help}')
  written = write(words[0], values.out)
  print(f'{", ".join(path.name for path in written)} in {values.out}')
  return 0


def write(run: str, directory: str) -> list[epath.Path]:
  """Paths of what was written: a file of samples a suite, and the results."""
  found, out = read.evaluated(run), place(directory, '--out')
  when = _when(place(run))
  texts = {
    f'samples_{suite.name}_{when}.jsonl': _text(found, suite, place(run))
    for suite in found.about.suites
  }
  there = sorted(path.name for path in out.glob('samples_*.jsonl')) if out.exists() else []
  if strange := [name for name in there if name not in texts]:
    raise UserError(f'{out} holds {strange[0]} already: name another --out, or remove those')
  texts[f'results_{when}.json'] = json.dumps(_results(found), indent=2, ensure_ascii=False) + '\n'
  out.mkdir(parents=True, exist_ok=True)
  for name, text in texts.items():
    write_text(text, out / name)
  return [out / name for name in texts]


def _when(run: epath.Path) -> str:
  """The time of an evaluation, as the harness writes it into names."""
  at = datetime.datetime.fromtimestamp((run / store.EVALUATED).stat().mtime, datetime.UTC)
  return at.strftime('%Y-%m-%dT%H-%M-%S.%f')


def _text(found: Evaluated, suite: AskedSuite, run: epath.Path) -> str:
  items = read.items_of(run, suite.name)
  said = collections.defaultdict(list)
  for one in read.said_of(run, found.about.fingerprint, suite, items):
    said[one.item].append(one)
  metrics = _metrics(found, items)
  lines = [
    json.dumps(_line(n, item, said[item.id], suite, metrics[item.id]), ensure_ascii=False) + '\n'
    for n, item in enumerate(items)
  ]
  return ''.join(lines)


def _line(
  n: int, item: Item, said: Sequence[Said], suite: AskedSuite, metrics: Mapping[str, float]
) -> dict[str, Any]:
  doc, target = as_json(item), str((item.right or item.choices or ('',))[0])
  prompt = _prompt(item, suite)
  if item.choices:
    asked: list[list[Any]] = [[prompt, choice] for choice in item.choices]
    filtered: list[Any] = [[str(logprob), str(greedy)] for logprob, _, greedy in said[0].scores]
    resps = [[one] for one in filtered]
  else:
    asked = [[prompt, _parameters(suite)]]
    resps, filtered = [[one.text for one in said]], [one.text for one in said]
  line: dict[str, Any] = dict(
    doc_id=n,
    doc=doc,
    target=target,
    arguments={f'gen_args_{k}': dict(arg_0=a, arg_1=b) for k, (a, b) in enumerate(asked)},
    resps=resps,
    filtered_resps=filtered,
    filter='none',
    metrics=list(metrics),
    doc_hash=_hash(json.dumps(doc, indent=2, ensure_ascii=False)),
    prompt_hash=_hash(prompt),
    target_hash=_hash(target),
  )
  return line | dict(metrics)


def _prompt(item: Item, suite: AskedSuite) -> str:
  """What was asked, in words: a dialogue with the hash of its chat format, for its ids are of the
  model's own tokens."""
  if not item.turns:
    return item.text + item.prefill
  turns = [f'{turn.role}: {turn.text}' for turn in item.turns]
  head = f'[chat format {suite.template[:12]}]'
  return '\n\n'.join([head, *turns, f'assistant: {item.prefill}'])


def _parameters(suite: AskedSuite) -> dict[str, Any]:
  """How it was asked, in the harness's words; what has none keeps ours."""
  how: dict[str, Any] = dict(suite.decode)
  until, most, heat = how.pop('stop', ()), how.pop('length', None), how.pop('temperature', 0.0)
  named = dict(until=list(until), max_gen_toks=most, do_sample=bool(heat), temperature=heat)
  return named | {name: value for name, value in how.items() if value is not None}


def _metrics(found: Evaluated, items: Sequence[Item]) -> dict[str, dict[str, float]]:
  """{item: {metric: its part}}, so that a metric's mean over documents is its measure. Of items
  that give one number together the first has it."""
  first: dict[str, str] = {}
  for item in items:
    first.setdefault(item.unit or item.id, item.id)
    first.setdefault(item.id, item.id)
  of: dict[str, dict[str, float]] = collections.defaultdict(dict)
  for row, metric in _named(found):
    if row.unit in first:
      of[first[row.unit]][metric] = row.value * row.weight
  return of


def _named(found: Evaluated) -> list[tuple[Row, str]]:
  """Each row with its metric's name, in which the judge stands where several gave it."""
  judges: dict[str, set[str]] = collections.defaultdict(set)
  for row in found.rows:
    judges[row.measure].add(row.judge)
  metric = {one: one.partition('/')[2] for one in judges}
  return [
    (row, metric[row.measure] + f'@{row.judge}' * (len(judges[row.measure]) > 1))
    for row in found.rows
  ]


def _results(found: Evaluated) -> dict[str, Any]:
  """Means, and in which direction each is better, by suite."""
  values: dict[tuple[str, str], list[float]] = collections.defaultdict(list)
  for row, metric in _named(found):
    values[row.measure, metric].append(row.value * row.weight)
  results: dict[str, dict[str, Any]] = {s.name: dict(alias=s.name) for s in found.about.suites}
  better: dict[str, dict[str, bool]] = {s.name: {} for s in found.about.suites}
  sides = {one.name: one.better for one in found.about.measures}
  for (measure, metric), many in values.items():
    suite = measure.partition('/')[0]
    if suite in results:
      results[suite][f'{metric},none'] = sum(many) / len(many)
      if side := sides.get(measure):
        better[suite][metric] = side == 'more'
  return dict(
    results=results,
    higher_is_better=better,
    model_name=found.about.model,
    model_fingerprint=found.about.fingerprint,
  )


def _hash(text: str) -> str:
  return hashlib.sha256(text.encode()).hexdigest()
