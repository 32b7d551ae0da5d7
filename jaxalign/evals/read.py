"""An evaluation that is done, read back from its workdir: no model, data or judge is needed."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath

from jaxalign.config import UserError
from jaxalign.evals import store
from jaxalign.evals.evaluated import About, Answer, AskedSuite, Evaluated, Margin
from jaxalign.evals.item import Item, Measure, Row, Said, Verdict, of_json
from jaxalign.evals.reading import as_read
from jaxalign.files import place, read_object, rows

_REMEDY = 'run that evaluation again with the same command: what is there is not asked again'


def is_evaluation(path: str | os.PathLike[str]) -> bool:
  """Whether answers of an evaluation are in a directory, all of them or not."""
  where = place(path)
  return (where / store.EVALUATED).exists() or (where / store.ASKED).exists()


def evaluated(path: str | os.PathLike[str], label: str = '') -> Evaluated:
  """All of a finished evaluation. label: what tells it from others; '': the directory's name."""
  workdir = place(path)
  about = _about_of(workdir)
  items: dict[str, Item] = {}
  answers: list[Answer] = []
  for suite in about.suites:
    own = items_of(workdir, suite.name)
    items |= {item.id: item for item in own}
    said = said_of(workdir, about.fingerprint, suite, own)
    labels = {
      judge: _verdicts_of(workdir, suite.name, judge, mark) for judge, mark in about.judges.items()
    }
    by_id = {item.id: item for item in own}
    for one in said:
      if not by_id[one.item].choices:  # of what was scored there is no text
        answers.append(_answer(suite.name, by_id[one.item], one, labels))
  measures = _lines(store.rows_at(workdir), Row)
  return Evaluated(
    label=label or workdir.name,
    about=about,
    items=items,
    rows=tuple(measures),
    answers=tuple(answers),
  )


def _about_of(workdir: epath.Path) -> About:
  """Who was evaluated; an evaluation that is not done is refused, with what it lacks."""
  if not (workdir / store.EVALUATED).exists():
    if (workdir / store.ASKED).exists():
      raise UserError(f'the evaluation in {workdir} is not done ({so_far(workdir)}): {_REMEDY}')
    raise UserError(f'{workdir} holds no evaluation: name the --workdir of one')
  return _about_in(workdir / store.EVALUATED)


def measured(workdir: epath.Path) -> tuple[About, list[Row]] | None:
  """What was measured of a store so far; None where nothing was."""
  if not (workdir / store.EVALUATED).exists():
    return None
  return _about_in(workdir / store.EVALUATED), _lines(store.rows_at(workdir), Row)


def asked_of(workdir: epath.Path) -> About:
  """Whose answers are in a store, and to what, whether all are there or not."""
  if not (workdir / store.ASKED).exists():
    raise UserError(f'{workdir} holds no answers: name the --workdir of an evaluation')
  return _about_in(workdir / store.ASKED)


def _about_in(path: epath.Path) -> About:
  raw = read_object(path, 'model', 'fingerprint', 'suites', remedy=_REMEDY)
  try:
    parts: dict[str, Any] = dict(
      suites=tuple(AskedSuite(**one) for one in raw['suites']),
      measures=tuple(of_json(Measure, one) for one in raw.get('measures', ())),
      margins=tuple(Margin(**one) for one in raw.get('margins', ())),
      primaries=tuple(raw.get('primaries', ())),
    )
    return About(**raw | parts)
  except (TypeError, ValueError, AttributeError) as error:
    raise UserError(f'{path} is of another version ({error}): {_REMEDY}') from error


def items_of(workdir: epath.Path, suite: str) -> list[Item]:
  """The items of a suite as they were asked."""
  return _lines(store.items_at(workdir, suite), Item)


def said_of(
  workdir: epath.Path, fingerprint: str, suite: AskedSuite, items: Sequence[Item]
) -> list[Said]:
  """What was said to each item in each draw, in order; all of it must be there."""
  kept = store.answers(workdir, fingerprint, suite, items)
  if lost := kept.missing:
    total = len(lost) + len(kept.records)
    raise UserError(f'{workdir}: {len(lost)} of {total} answers to {suite.name} lack: {_REMEDY}')
  return kept.records


def _verdicts_of(
  workdir: epath.Path, suite: str, judge: str, fingerprint: str
) -> dict[str, Verdict]:
  """{key of an answer: what a judge made of it}; none where it judged another suite."""
  path = store.verdicts_at(workdir, suite, judge)
  found = _lines(path, Verdict) if path.exists() else []
  return {one.key: one for one in found if one.judge == fingerprint}


def _answer(
  suite: str, item: Item, said: Said, labels: Mapping[str, Mapping[str, Verdict]]
) -> Answer:
  told = {judge: of[said.key] for judge, of in labels.items() if said.key in of}
  heard = as_read(item, said)
  return Answer(
    suite=suite,
    item=said.item,
    draw=said.draw,
    text=said.text,
    labels={judge: _shown(verdict) for judge, verdict in told.items()},
    read='' if heard == said.text else heard,
    error=said.error,
  )


def _shown(verdict: Verdict) -> str:
  if verdict.label or verdict.value is None:
    return verdict.label
  return f'{verdict.value:.4g}'


def so_far(workdir: epath.Path) -> str:
  """How many answers to each suite there are."""
  said = []
  for suite in asked_of(workdir).suites:
    path = store.answers_at(workdir, suite.name)
    count = path.read_bytes().count(b'\n') if path.exists() else 0
    said.append(f'{suite.name}: {count:,} answers')
  return ', '.join(said) or 'nothing was asked'


def _lines(path: epath.Path, cls: Any) -> list[Any]:
  try:
    return [of_json(cls, given) for _, given in rows(path, _REMEDY)]
  except (TypeError, ValueError, AttributeError) as error:
    if isinstance(error, UserError):
      raise
    raise UserError(f'{path} is of another version ({error}): {_REMEDY}') from error
