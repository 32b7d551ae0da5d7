"""An evaluation's second half: judges are opened one after another, and judge what is stored."""

import contextlib
import dataclasses
import gc
import math
from collections.abc import Mapping, Sequence
from typing import Any

from jax.sharding import Mesh

from jaxalign import pod
from jaxalign.config import UserError
from jaxalign.evals import store
from jaxalign.evals.item import Asked, Item, Judge, Said, Verdict
from jaxalign.evals.judges.verdicts import ABSTAIN
from jaxalign.stages import known, opening_judges
from jaxalign.stages.asking import Put
from jaxalign.stages.contract import Workdir

_Said = Mapping[str, Sequence[Said]]  # of each suite


@dataclasses.dataclass(frozen=True)
class _Mark:
  """Which judge gave verdicts: what it is called, of what kind, and who it is."""

  name: str
  kind: str
  fingerprint: str
  labels: tuple[str, ...]  # all it can say; () where that is what its kind can


def give(
  judges: Sequence[Any],
  workdir: Workdir,
  every: Sequence[Put],
  said: _Said,
  mesh: Mesh,
  trained_by: Mapping[str, str],
) -> list[_Mark]:
  """Lets each judge give its verdicts on what it has not judged; one after another is opened.

  trained_by: {name: fingerprint} of reward models that are no evidence.
  """
  marks, failed = [], []
  for given in judges:
    if (mark := _mark_of_known(given, workdir, every, said)) is not None:
      marks.append(mark)  # its weights stay where they are
      continue
    judge = opening_judges.opened(given, workdir, mesh, trained_by)
    labels = getattr(judge, 'labels', ())
    mark = _Mark(judge.name, judge.kind, judge.fingerprint, labels)
    marks.append(mark)
    for one in every:
      if judge.kind in one.suite.needs:
        asked = _texts(one, said[one.asked.name])
        kept = _kept(workdir, one, mark, [text.key for _, text in asked])
        with contextlib.closing(kept):
          _judge(judge, one, kept, asked)
        failed += _failed(judge, one, kept)
    if (path := opening_judges.weights_at(given)) is not None:
      known.keep(workdir, f'judge {given.name}', given, path, judge.fingerprint)
    del judge
    gc.collect()
  pod.meet('judged')
  if failed:  # by now all others have judged, and nothing is lost
    more = f' (and {len(failed) - 1} more like it)' if len(failed) > 1 else ''
    raise UserError(f'{failed[0]}{more}')
  return marks


def _failed(judge: Any, one: Put, kept: store.Lines[Verdict]) -> list[UserError]:
  """Why a suite has too few verdicts, of a judge whose replies may be none."""
  if hasattr(judge, 'refuse_open') and pod.writes():
    try:
      judge.refuse_open(one.asked.name, kept.records)
    except UserError as error:
      return [error]
  return []


def needless(
  judges: Sequence[Any], workdir: Workdir, every: Sequence[Put], said: _Said
) -> frozenset[str]:
  """Names of the judges with weights that have judged all there is, and so need not be there."""
  found = [one for one in judges if _mark_of_known(one, workdir, every, said) is not None]
  return frozenset(one.name for one in found)


def _mark_of_known(judge: Any, workdir: Workdir, every: Sequence[Put], said: _Said) -> _Mark | None:
  """The mark of a judge with weights, if no verdict of its is missing; else None."""
  if (path := opening_judges.weights_at(judge)) is None:
    return None
  fingerprint = known.fingerprint(workdir, f'judge {judge.name}', judge, path)
  if not fingerprint:
    return None
  mark = _Mark(judge.name, judge.kind, fingerprint, getattr(judge, 'labels', ()))
  for one in every:
    if judge.kind in one.suite.needs:
      keys = [text.key for _, text in _texts(one, said[one.asked.name])]
      if _kept(workdir, one, mark, keys).missing:
        return None
  return mark


def _kept(workdir: Workdir, one: Put, mark: _Mark, keys: Sequence[str]) -> store.Lines[Verdict]:
  return store.verdicts(workdir, one.asked.name, mark.name, mark.fingerprint, keys)


def _texts(one: Put, said: Sequence[Said]) -> list[tuple[Item, Said]]:
  """(item, what was said to it) of what was generated: of choices there is no text to judge."""
  items = {item.id: item for item in one.items}
  return [(items[s.item], s) for s in said if not items[s.item].choices]


def _judge(
  judge: Judge, one: Put, kept: store.Lines[Verdict], asked: Sequence[tuple[Item, Said]]
) -> None:
  if hasattr(judge, 'refuse_open'):  # what such a judge left open it is asked about again
    kept.forget(lambda verdict: verdict.label == ABSTAIN)
  missing = [asked[n] for n in kept.missing]
  if missing and (pod.writes() or opening_judges.by_all(judge)):
    found = judge.verdicts(missing)
    _refuse_other_verdicts(judge, one.asked.name, missing, found)
    for verdict in found:
      kept.add(verdict)
  kept.finish()


def _refuse_other_verdicts(
  judge: Judge, suite: str, asked: Sequence[tuple[Item, Said]], found: Sequence[Verdict]
) -> None:
  """A verdict on each answer, in order and by this judge; a number is a number."""
  wanted = [(said.key, judge.fingerprint) for _, said in asked]
  if [(verdict.key, verdict.judge) for verdict in found] != wanted:
    raise UserError(
      f'judge {judge.name} gave {len(found)} verdicts on {len(wanted)} answers to {suite}, or in '
      'another order, or under another name: none of them is kept'
    )
  for verdict in found:
    if verdict.value is not None and not math.isfinite(verdict.value):
      raise UserError(f'judge {judge.name} gave {verdict.value} to an answer of {suite}')


def asked(
  workdir: Workdir,
  one: Put,
  said: Sequence[Said],
  marks: Sequence[_Mark],
  reference: Mapping[str, tuple[Said, ...]],
) -> list[Asked]:
  """What a suite measures: each item with all that was said to it, and every judge's verdicts.
  reference: what another model said to each item, {} where none is named."""
  keys = [text.key for _, text in _texts(one, said)]
  serving = [mark for mark in marks if keys and mark.kind in one.suite.needs]
  told = {
    mark.name: {verdict.key: verdict for verdict in _kept(workdir, one, mark, keys).records}
    for mark in serving
  }
  of: dict[str, list[Said]] = {item.id: [] for item in one.items}
  for answer in said:
    of[answer.item].append(answer)
  return [
    Asked(
      item=item,
      said=tuple(of[item.id]),
      verdicts={
        name: tuple(by[s.key] for s in of[item.id] if s.key in by) for name, by in told.items()
      },
      kinds={mark.name: mark.kind for mark in serving},
      labels={mark.name: mark.labels for mark in serving if mark.labels},
      reference=reference.get(item.id, ()),
    )
    for item in one.items
  ]
