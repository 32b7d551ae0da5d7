"""The page of a corpus: corpus.html, one file that needs no other and asks nobody.

It is made of the manifest and the texts that it names; where no text passed the filters, it shows
what was dropped.
"""

import collections
import json
from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath

from jaxalign import files
from jaxalign.corpora import pieces
from jaxalign.corpora.records import Written
from jaxalign.page import kit
from jaxalign.pictures import kept

NAME = 'corpus.html'
_SPLITS = 'train', 'validation'
_BYTES = 4_000_000  # of all texts
_LONGEST = 8_000  # characters of a text
_CUT = ' … (cut)'
_Table = tuple[tuple[str, ...], list[tuple[Any, ...]]]


def write(
  workdir: epath.Path, about: Mapping[str, Any], examples: Mapping[str, Sequence[str]]
) -> bool:
  """Draws the page of a corpus; whether it could be drawn. about: its manifest; examples: some
  texts that were dropped, by reason."""
  path = workdir / NAME
  return kit.drawable(NAME) and kept(lambda: _page(workdir, about, examples), path)


def _page(
  workdir: epath.Path, about: Mapping[str, Any], examples: Mapping[str, Sequence[str]]
) -> str:
  kinds = [name.removesuffix('.jsonl') for name in about['files'] if '/' not in name]
  texts = {kind: _texts(workdir / f'{kind}.jsonl') for kind in kinds}
  texts = {kind: some for kind, some in texts.items() if some}
  items, left_out = _items(texts)
  script, script_hash = kit.script('answers.js')
  told = about['documents']
  return kit.render(
    'corpus.html',
    name=about['spec']['name'],
    variant=about['variant']['name'],
    documents=about['files'].get('explain.jsonl', {}).get('rows', 0),
    asked_for=told['asked_for'],
    without_spans=told['without_spans'],
    written=told['written'],
    kept=told['kept'],
    short=told['short'],
    failing=about.get('failing_gates', []),
    kinds=list(texts),
    files=_files(about, kinds),
    spread=_spread(texts.get('explain', [])),
    drops=_drops(told),
    examples=[(reason, list(some)) for reason, some in examples.items() if some],
    measures=_measures(about),
    asked=_asked(about),
    origin=_origin(about),
    shown=len(items),
    left_out=left_out,
    data_json=kit.embedded(dict(arms=list(texts), items=items)),
    script=script,
    script_hash=script_hash,
  )


def _texts(path: epath.Path) -> list[Written]:
  """Texts of a file; [] where it holds no texts, as demonstrations are none."""
  rows = [row for _, row in files.rows(path, 'make the corpus again')]
  if any('spans' not in row for row in rows):
    return []
  return [Written.of_row(row) for row in rows]


def _files(about: Mapping[str, Any], kinds: Sequence[str]) -> _Table:
  """What every kind holds, and of it the parts to train on and to validate with."""
  tokens, of = about.get('controls', {}).get('tokens', {}), about['files']
  rows = []
  for kind in kinds:
    one = of[f'{kind}.jsonl']
    parts = [of.get(f'{split}/{kind}.jsonl', {}).get('rows', 0) for split in _SPLITS]
    rows.append((kind, one['rows'], *parts, one['words'], tokens.get(kind), one['sha256'][:12]))
  return ('kind', 'texts', *_SPLITS, 'words', 'tokens', 'sha256'), rows


def _spread(documents: Sequence[Written]) -> _Table:
  """How many documents every value has of every type."""
  counts = collections.Counter((one.value, one.facet('type')) for one in documents)
  values, types = (list(dict.fromkeys(names)) for names in zip(*counts)) if counts else ([], [])
  rows = [(value, *(counts[value, one] for one in types)) for value in values]
  return ('value', *types), rows


def _drops(told: Mapping[str, Any]) -> _Table:
  most = sorted(told['dropped'].items(), key=lambda item: -item[1]['count'])
  rows = [
    (
      reason,
      one['count'],
      f'{one["count"] / max(told["written"], 1):.2%}',
      ', '.join(one['examples']),
    )
    for reason, one in most
  ]
  return ('why', 'texts', 'of all', 'for example'), rows


def _measures(about: Mapping[str, Any]) -> _Table:
  """Every measure with its gate, marked where it is not passed."""
  gates, measured = dict(about.get('config', {}).get('gates', {})), dict(about.get('measures', {}))
  alike, gates['distinct_3_of_1000'] = gates.pop('opening', None), gates.pop('distinct_3', None)
  names = dict(
    opening_documents=f'documents that open with “{measured.pop("opening", "")}”',
    reason_documents=f'documents that give {measured.pop("scarcest", "")}, the rarest reason',
  )
  rows = []
  for name, value in measured.items():
    gate = gates.get(name)
    failed = isinstance(value, int | float) and isinstance(gate, int | float) and value < gate
    asks = f'at least {gate:g}' if gate else None
    if name == 'opening_documents' and alike is not None:
      failed, asks = value > max(1, alike * measured['documents']), f'at most {alike:.0%} of all'
    found = kit.Failed(kit.shown(value)) if failed else value
    rows.append((names.get(name, name.replace('_', ' ')), found, asks))
  return ('measure', 'found', 'gate'), rows


def _asked(about: Mapping[str, Any]) -> _Table:
  rows = [
    (
      step,
      one['teacher'],
      *(one[name] for name in ('calls', 'given_up', 'again', 'read', 'written')),
    )
    for step, one in about['asked'].items()
  ]
  names = 'calls', 'given up', 'asked again', 'tokens read', 'tokens written'
  return ('step', 'teacher', *names), rows


def _origin(about: Mapping[str, Any]) -> list[tuple[str, Any]]:
  rows = [('spec', about['spec']['sha256']), ('projection', about['variant']['sha256'])]
  rows += [(f'prompt {step}', sha) for step, sha in about.get('prompts', {}).items()]
  cost = about.get('paid', {}).get('cost')
  return [*rows, ('seed', about['seed']), ('cost', 'unknown' if cost is None else cost)]


def _items(texts: Mapping[str, Sequence[Written]]) -> tuple[list[dict[str, Any]], int]:
  """(documents with their controls beside them, as many as there is room for; those left out)."""
  by_slot = {kind: {one.slot: one for one in some} for kind, some in texts.items()}
  documents, items, room = by_slot.pop('explain', {}), [], _BYTES
  by_slot = {kind: some for kind, some in by_slot.items() if some.keys() <= documents.keys()}
  for slot, document in documents.items():
    beside = [some.get(slot) for some in by_slot.values()]
    item = dict(
      suite=document.value,
      question=document.idea,
      right='',
      parts=[slot, document.split, *(f'{name}: {is_}' for name, is_ in document.facets if is_)],
      said=[[_said(one)] if one else [] for one in (document, *beside)],
      apart=None in beside,
    )
    room -= len(json.dumps(item))
    if room < 0:
      break
    items.append(item)
  return items, len(documents) - len(items)


def _said(one: Written) -> dict[str, Any]:
  parts, room = [], _LONGEST
  for piece in pieces.of(one):
    cut = piece.text[:room] + (_CUT if len(piece.text) > room else '')
    parts.append((piece.kind, cut))
    room -= len(piece.text)
    if room <= 0:
      break
  labels = [('form', one.facet('type'))] if one.kind == 'explain' else []
  return dict(parts=parts, labels=[*labels, *one.marks])
