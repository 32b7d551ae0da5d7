"""Evaluation: a model is asked once, judged as often as one likes, and compared with others.

Suites are asked of a workdir, a Hugging Face directory or hub name, a .gguf, or an endpoint. Every
answer is kept as it comes and never asked again: a run that was stopped goes on, and one with other
judges asks nothing. The model is freed before a judge is loaded.
"""

import dataclasses
import gc
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from jaxalign import pod, sealing
from jaxalign.config import Mesh, UserError
from jaxalign.data.chat import ChatFormat, Own
from jaxalign.evals import read, store, summary
from jaxalign.evals.evaluated import About, Margin
from jaxalign.evals.item import Row, Said
from jaxalign.ranges import Rows, Seed
from jaxalign.sealing import YOUNG
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import (
  asking,
  earlier,
  evaluate_refusals,
  known,
  loading,
  opening_judges,
  reference,
  refusals,
  verdicts,
)
from jaxalign.stages.asking import Model, Put
from jaxalign.stages.contract import Workdir
from jaxalign.stages.doctors import evaluate_doctor

_JUDGED = 'judge.json'  # by which config; config.json stays that of what was asked
_REWARDS = 'trained by'  # of About's notes: the reward models of a policy, as JSON


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Config:
  """Whom to ask, what, and who judges what was said."""

  # A workdir, a Hugging Face directory or hub name, a .gguf; http://HOST/v1#NAME; or by chance.
  model: Model = ''
  tokenizer: str | None = None  # of a model by chance: 'shipped', or a directory
  format: str | ChatFormat | Own | None = None  # of dialogues, or its name; None: the model's own
  dtype: Literal['float32', 'bfloat16', 'float16'] | None = None  # None: as the file has it
  prefill: bool = False  # whether an endpoint is sent how its answer begins
  suites: tuple[Any, ...]
  judges: tuple[Any, ...] = ()
  primaries: tuple[str, ...] = ()  # measures that claims will be made of: named before the run
  margins: tuple[Margin, ...] = ()  # how much of a measure may be lost
  # The workdir of an evaluation of what the model began as: implicit rewards are gained on that.
  reference: str | None = dataclasses.field(default=None, metadata=YOUNG)
  rows: Rows = 16  # answers that are written at once
  mesh: Mesh = dataclasses.field(default_factory=Mesh)
  seed: Seed = 0  # of a model by chance

  def is_done(self, workdir: Workdir) -> bool:
    return (workdir / store.EVALUATED).exists()  # written last

  def check(self) -> None:
    if not self.suites:
      raise UserError('suites: there is none, so nothing would be asked')
    for what, listed in (('suites', self.suites), ('judges', self.judges)):
      names = [one.name for one in listed]
      if again := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f'{what}: two are called {again[0]}: give one of them another name')
    if isinstance(self.format, str) and self.format not in loading.FORMATS:
      raise UserError(f'format={self.format}: one of {", ".join(loading.FORMATS)}')
    asking.endpoint_of(self.model)


def run(cfg: Config, workdir: Workdir) -> None:
  """Asks, judges, and writes what was measured."""
  if (before := known.all_said(cfg, workdir)) is not None:
    about, every = before
    _judge_what_is_said(cfg, workdir, about, every)
  else:
    about, every = _asked(cfg, workdir)
    _judged(cfg, workdir, about, every)


def _asked(cfg: Config, workdir: Workdir) -> tuple[About, list[Put]]:
  """Whose answers there are now, and to what."""
  mesh = make_mesh(cfg.mesh.data, cfg.mesh.fsdp, cfg.mesh.tensor)
  found = refusals.refuse(evaluate_refusals.EVALUATE, cfg, mesh=mesh)
  base, seed = asking.lineage(cfg, mesh)
  gc.collect()
  asker = asking.asker_of(cfg, mesh)
  every = [asking.put(asker, *one) for one in zip(cfg.suites, found['data'])]
  about = About(
    model=asker.name,
    fingerprint=asker.fingerprint,
    base=asker.fingerprint if base is None else base,
    seed=seed,
    suites=tuple(one.asked for one in every),
    primaries=cfg.primaries,
    margins=cfg.margins,
    notes=_notes(cfg, mesh, found),
  )
  reference.answers_of(cfg.reference, every, asker.fingerprint)  # refuses before anything is asked
  asking.asked(workdir, asker, every, about)
  known.keep(workdir, 'model', known.whom(cfg), cfg.model, asker.fingerprint)
  del asker
  gc.collect()  # judges may need all the room there is
  return about, every


def judge(cfg: Config, workdir: Workdir) -> None:
  """`jaxalign judge`: judges stored answers, by whatever judges the config has now, and writes anew
  what was measured; no model is asked, and no data is needed. Suites that it does not name, and
  what judges said who judge no more, stay as they were measured."""
  about = read.asked_of(workdir)
  there = {suite.name: suite for suite in about.suites}
  every = []
  for suite in cfg.suites:
    if suite.name not in there:
      raise UserError(f'{workdir} holds no answers to {suite.name}: it has {", ".join(there)}')
    if suite.version != there[suite.name].version:
      theirs = there[suite.name].version
      raise UserError(
        f'{workdir} holds answers to version {theirs} of {suite.name}, and this is {suite.version}'
      )
    items = read.items_of(workdir, suite.name)
    every.append(Put(suite=suite, items=items, asked=there[suite.name]))
  _refuse_judges(cfg, workdir, about, every)
  if pod.writes():
    sealing.write(cfg, workdir / _JUDGED)
  about = dataclasses.replace(
    about,
    suites=tuple(one.asked for one in every),
    primaries=cfg.primaries or about.primaries,
    margins=cfg.margins or about.margins,
  )
  _judged(cfg, workdir, about, every)


def _judge_what_is_said(cfg: Config, workdir: Workdir, about: About, every: list[Put]) -> None:
  """Of a model all of whose answers are here: neither it nor a judge that has judged all of them is
  loaded, or need be there."""
  _refuse_judges(cfg, workdir, about, every)
  about = dataclasses.replace(
    about,
    suites=tuple(one.asked for one in every),
    primaries=cfg.primaries,
    margins=cfg.margins,
  )
  store.claim(workdir, about)
  _judged(cfg, workdir, about, every)


def _refuse_judges(cfg: Config, workdir: Workdir, about: About, every: Sequence[Put]) -> None:
  said = _said(workdir, about, every)
  needless = verdicts.needless(cfg.judges, workdir, every, said)
  measured = {row.measure for row in earlier.of(workdir, about).rows}
  refusals.refuse(evaluate_refusals.JUDGING, cfg, needless=needless, measured=measured)


def _said(workdir: Workdir, about: About, every: Sequence[Put]) -> dict[str, Sequence[Said]]:
  """{suite: all that was said to it}."""
  return {
    one.asked.name: read.said_of(workdir, about.fingerprint, one.asked, one.items) for one in every
  }


doctor = evaluate_doctor.examine


def _notes(cfg: Config, mesh: Any, there: Mapping[str, Any]) -> dict[str, str]:
  """What is told of a run beside all that decides its answers. there: what its rules found."""
  found = dict(asking.devices(mesh), rows=str(cfg.rows), dtype=cfg.dtype or "the file's")
  if there['model'] is not None:  # not of an endpoint
    tokenizer = there['text'].tokenizer
    found |= dict(dtype=cfg.dtype or there['model'].dtype, bos=str(tokenizer.bos))
    found |= dict(eos=str(tokenizer.eos))
  if rewards := opening_judges.trained_by(cfg.model):
    found[_REWARDS] = json.dumps(rewards)
  return found


def _judged(cfg: Config, workdir: Workdir, about: About, every: Sequence[Put]) -> None:
  references = reference.answers_of(cfg.reference, every, about.fingerprint)
  before = earlier.of(workdir, about)
  named = (judge for judge in cfg.judges if hasattr(judge, 'fingerprint'))  # others: once open
  before.refuse_two_of_a_name({judge.name: judge.fingerprint for judge in named})
  mesh = make_mesh(cfg.mesh.data, cfg.mesh.fsdp, cfg.mesh.tensor)
  said = _said(workdir, about, every)
  rewards = json.loads(about.notes.get(_REWARDS, '{}'))
  marks = verdicts.give(cfg.judges, workdir, every, said, mesh, rewards)
  told = [
    verdicts.asked(workdir, one, said[name], marks, references.get(name, {}))
    for one in every
    for name in (one.asked.name,)
  ]
  if not pod.writes():
    return
  judges = {mark.name: mark.fingerprint for mark in marks}
  before.refuse_two_of_a_name(judges)
  rows = [row for one, asked in zip(every, told) for row in one.suite.rows(asked)]
  measures = [measure for one in every for measure in one.suite.measures()]
  about, rows = before.joined(about, judges, measures, rows)
  store.write_rows(workdir, rows)
  store.write_about(about, workdir)
  _summarise(workdir, about, rows)
  declared = [*about.primaries, *(margin.measure for margin in about.margins)]
  if lacking := sorted({*declared} - {row.measure for row in rows}):
    asking.note(
      f'declared and not measured: {", ".join(lacking)}; no judge here gives it: name one that '
      'does, and jaxalign judge asks no model'
    )
  asking.note(_ending(workdir, said))


def _summarise(workdir: Workdir, about: About, rows: Sequence[Row]) -> None:
  """What it all comes to is printed, and kept."""
  whole = list(summary.lines(about.measures, rows))
  parts = list(summary.parts(about.measures, rows))
  tables = summary.table(about.measures, whole), summary.parts_table(parts)
  text = '\n\n'.join('\n'.join(lines) for lines in tables if lines)
  print(text)
  summary.write(text + '\n', [*whole, *parts], workdir)


def _ending(workdir: Workdir, said: Mapping[str, Sequence[Any]]) -> str:
  every = [one for own in said.values() for one in own]
  errors = sum(bool(one.error) for one in every)
  lost = f', of which {errors:,} could not be asked' if errors else ''
  return f'done: {len(every):,} answers{lost}, in {workdir}'
