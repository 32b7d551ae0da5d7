"""Several commands that share a study in one workdir, a slice of a pod each.

Worlds are independent, so each takes every so-manyth of them and none waits for another, but at the
beginning: what all worlds share is made by slice 0. Whoever ends last makes the page. What a slice
has begun and done it says in a file, with a hash of the plan, so that no file of a plan from before
counts.
"""

import dataclasses
import hashlib
import json
import sys
import time
from collections.abc import Callable

from etils import epath

from jaxalign import pod
from jaxalign.files import read_json, write_text
from jaxalign.sealing import tree
from jaxalign.study.plan.directories import own_of
from jaxalign.study.plan.guest import Study

_LOOK, _SAY = 5, 60  # seconds between two looks, and between two lines


def begin(cfg: Study, workdir: epath.Path, make: Callable[[Study, epath.Path], None]) -> None:
  """make(cfg, workdir), which makes what worlds share: by slice 0 before any other."""
  if cfg.slice:
    _wait(cfg, workdir)
  make(cfg, workdir)
  _mark(cfg, workdir, 'begun')


def undone(cfg: Study, workdir: epath.Path) -> list[int]:
  """The slices that have not done their part; this one has."""
  _mark(cfg, workdir, 'done')
  slices = range(cfg.slices) if cfg.slices > 1 else ()
  return [n for n in slices if not pod.agreed(_said(cfg, workdir, n, 'done'))]


def _wait(cfg, workdir):
  since = said = time.monotonic()
  while not pod.agreed(_said(cfg, workdir, 0, 'begun')):
    now = time.monotonic()
    if pod.writes() and (said == since or now - said > _SAY):
      print(
        f'waiting for slice 0, which makes what all worlds share ({now - since:.0f} s so far)',
        file=sys.stderr,
        flush=True,
      )
      said = now
    time.sleep(_LOOK)


def _mark(cfg, workdir, what):
  if cfg.slices > 1 and pod.writes():
    write_text(json.dumps(_plan(cfg)), own_of(cfg, workdir) / f'{what}.json')


def _said(cfg, workdir, number, what):
  path = own_of(dataclasses.replace(cfg, slice=number), workdir) / f'{what}.json'
  return path.exists() and read_json(path, 'remove it: that slice says it again') == _plan(cfg)


def _plan(cfg):
  """A hash of what all slices have in common."""
  common = tree(dataclasses.replace(cfg, slice=0, workers=0))
  return hashlib.sha256(json.dumps(common, sort_keys=True).encode()).hexdigest()
