"""What is known of an evaluation that has been here before: whose weights they were, and that all
is said and judged, so that none are loaded to learn that nothing is missing.

A fingerprint is known while the files it was taken of are as they were (names, sizes, times), or
are gone. What has changed since is loaded, and looked at anew.
"""

import dataclasses
import hashlib
import importlib.metadata
import json
import os
from typing import Any

from etils import epath

from jaxalign import pod, sealing
from jaxalign.config import UserError
from jaxalign.evals import read, reading, store
from jaxalign.evals.evaluated import About, AskedSuite
from jaxalign.files import read_object, write_text
from jaxalign.models import hub
from jaxalign.stages import trained
from jaxalign.stages.asking import Put
from jaxalign.stages.contract import Workdir
from jaxalign.train import saving

_FILE = 'known.json'  # {what: {decides, files, fingerprint}}
_WHOM = 'model', 'tokenizer', 'format', 'dtype', 'seed', 'prefill'  # fields that say who is asked


def fingerprint(workdir: Workdir, what: str, decides: Any, path: object) -> str:
  """A fingerprint as it was kept; '' where none is known. Of a pod, as the first process sees it.

  what: 'model', or which judge. decides: a config, or fields of one. path: of the weights.
  """
  found = ''
  if pod.writes() and (workdir / _FILE).exists():
    kept = read_object(workdir / _FILE).get(what)
    if isinstance(kept, dict) and kept.get('decides') == _hash(decides):
      files = _files(path)
      found = str(kept.get('fingerprint', '')) if files in (kept.get('files'), '') else ''
  return pod.told(found.encode()).decode()


def keep(workdir: Workdir, what: str, decides: Any, path: object, mark: str) -> None:
  """Keeps a fingerprint that was taken of what lies at a path now."""
  if not pod.writes():
    return
  at = workdir / _FILE
  before = read_object(at) if at.exists() else {}
  one = dict(decides=_hash(decides), files=_files(path), fingerprint=mark)
  if before.get(what) != one:
    write_text(json.dumps(before | {what: one}, indent=2, sort_keys=True) + '\n', at)


def whom(cfg: Any) -> dict[str, Any]:
  """What of a config says who is asked."""
  return {name: sealing.tree(getattr(cfg, name)) for name in _WHOM}


def all_said(cfg: Any, workdir: Workdir) -> tuple[About, list[Put]] | None:
  """Whose answers are here, and to what, if the model is known and all that a config asks is
  answered; else None."""
  mark = fingerprint(workdir, 'model', whom(cfg), cfg.model)
  if not mark or not pod.agreed((workdir / store.ASKED).exists()):
    return None
  about = read.asked_of(workdir)
  if about.fingerprint != mark:
    return None
  before = {suite.name: suite for suite in about.suites}
  every = []
  for suite in cfg.suites:
    if (known := before.get(suite.name)) is None:
      return None
    now = AskedSuite(
      name=suite.name,
      version=suite.version,
      source=suite.source(),
      template=known.template,
      decode=dataclasses.asdict(suite.decode),
    )
    if not pod.agreed(_decides(now) == _decides(known)):
      return None
    items = suite.items()
    if store.answers(workdir, mark, now, items).missing:
      return None
    every.append(Put(suite=suite, items=items, asked=now))
  return about, every


def _decides(suite: AskedSuite) -> Any:
  """What of a suite decides its answers, as JSON holds it: how many draws there are does not."""
  decode = {name: value for name, value in suite.decode.items() if name != 'draws'}
  return json.loads(json.dumps(dataclasses.asdict(dataclasses.replace(suite, decode=decode))))


def _hash(decides: Any) -> str:
  version = importlib.metadata.version('jaxalign')
  told = decides if isinstance(decides, dict) else sealing.tree(decides)
  text = json.dumps([version, reading.VERSION, told], sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()


def _files(path: object) -> str:
  """A hash of the names, sizes and times of what lies at a path; '' where nothing does, or where
  weights come by chance."""
  if not isinstance(path, str | os.PathLike) or not os.fspath(path):
    return ''
  try:
    place = hub.resolve(path, weights=False)
    if trained.is_workdir(place):
      seen: Any = [saving.newest(place), trained.fingerprint_of(place)]
    else:
      seen = [_stat(one) for one in (sorted(place.iterdir()) if place.is_dir() else [place])]
  except (UserError, OSError):
    return ''
  return hashlib.sha256(json.dumps(seen).encode()).hexdigest()


def _stat(path: epath.Path) -> list[Any]:
  if '://' in os.fspath(path):
    found = path.stat()
    return [path.name, found.length, found.mtime]
  here = os.stat(path)
  return [path.name, here.st_size, here.st_mtime_ns]
