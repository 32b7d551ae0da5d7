"""Corpora on disk: KIND.jsonl, and their sha256 in sums.json; each is made once."""

import json
from collections.abc import Callable, Iterable, Iterator

from etils import epath

from jaxalign import pod
from jaxalign.files import read_json, write_text
from jaxalign.study.plan.guest import Corpora

Made = Iterator[tuple[str, bytes, str]]  # a kind of corpus, its content and its sha256


def written(kinds: Iterable[str], place: epath.Path, make: Callable[[list[str]], Made]) -> Corpora:
  """The corpora in `place`. make(kinds) gives those that are not there."""
  known = place / 'sums.json'
  if pod.writes():
    place.mkdir(parents=True, exist_ok=True)
    sums = read_json(known) if known.exists() else {}
    if missing := [kind for kind in kinds if kind not in sums]:
      for kind, content, sums[kind] in make(missing):
        write_text(content.decode(), place / f'{kind}.jsonl')
      write_text(json.dumps(sums, indent=1), known)
  pod.meet('corpora are written')
  sums = read_json(known)
  return {kind: (str(place / f'{kind}.jsonl'), sums[kind]) for kind in kinds}
