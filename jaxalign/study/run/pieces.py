"""The work of a world as pieces, in the order in which the runner does them.

A piece has a name in its world, which whoever does it tells (store/clock.py), and a kind: pieces of
one kind cost alike, whichever world and arm they are of. What stands on the disk is no piece.
"""

import dataclasses

from etils import epath

from jaxalign.study.plan.arms import Arm, Climb, Stage
from jaxalign.study.plan.directories import arms_of, home_of, rl_of
from jaxalign.study.plan.guest import Study
from jaxalign.study.run import guests

CORPORA = 'corpora and tests'  # name and kind of what comes first
_FROZEN = 2 / 3  # of the arithmetic: an adapter's base has no gradient of its own


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
  name: str  # runs/NAME of what is trained, outcomes/NAME of what is asked
  kind: str
  arithmetic: float = 0.0  # of what is trained: FLOP; else there is nothing to compare by
  steps: int = 0


def arithmetic(stage: Stage) -> float:
  """FLOP of a step's whole training."""
  flops = stage.tokens * stage.model.flops(stage.length) * stage.passes
  return flops * (_FROZEN if getattr(stage, 'lora', None) else 1)


def trained(name: str) -> str:
  """Name of a piece that trains."""
  return f'runs/{name}'


def asked(arm: Arm | Climb | None) -> str:
  """Name of the piece that asks an arm or reads a climb; None: the base."""
  if arm is None:
    return 'outcomes/base'
  return f'{"goodhart" if isinstance(arm, Climb) else "outcomes"}/{arm.stored}'


def probed(name: str) -> str:
  """Name of the piece that keeps what probes need."""
  return f'probes/{name}'


def written(name: str) -> str:
  """Name of the piece in which an arm writes and is judged."""
  return f'written/{name}'


def left_of(cfg: Study, workdir: epath.Path, seed: int, control: str) -> list[Piece]:
  """All that is still to be done of a world."""
  home, guest = home_of(workdir, seed, control), guests.of(cfg.world).at(seed, control)
  measured = {f'{of}/{name}' for of in ('outcomes', 'goodhart') for name in _there(home, of)}
  found = {CORPORA: Piece(name=CORPORA, kind=CORPORA)}
  begun = set(_there(home, 'runs'))
  for piece, stage in _every(cfg, guest, seed, control, measured):
    run = piece.name.removeprefix('runs/')
    if stage is None or run not in begun or not stage.is_done(home / piece.name):
      found.setdefault(piece.name, piece)
  return [*found.values()]


def _there(home, of):
  """Names of what a directory of a world holds: runs, or arms that are measured."""
  if not (home / of).exists():
    return []
  names = [path.name for path in (home / of).iterdir()]
  return names if of == 'runs' else [name[:-5] for name in names if name.endswith('.json')]


def _every(cfg, guest, seed, control, measured):
  """(piece, stage that it trains or None) of what is not measured; what arms share comes again."""
  rl_arms, climbs = rl_of(cfg, seed, control)
  if cfg.base is not None and not guest.SHARED:
    yield _training('base', 'base', cfg.base)
  if asked(None) not in measured:
    yield Piece(name=asked(None), kind='asking the base'), None
    yield from _probes(guest, 'base')
  for arm in (*arms_of(cfg, control), *rl_arms, *climbs):
    if asked(arm) in measured:  # with its steps and all that is kept beside it
      continue
    for n, step in enumerate(arm.steps, 1):
      run = '.'.join(one.name for one in arm.steps[:n])
      yield _training(run, step.recipe, cfg.stage_of(step))
    yield from _after(guest, arm)


def _training(run, kind, stage):
  steps = getattr(stage, 'steps', 0)  # best-of-n takes none
  return Piece(name=trained(run), kind=kind, arithmetic=arithmetic(stage), steps=steps), stage


def _after(guest, arm):
  """What is done with an arm that is trained."""
  if isinstance(arm, Climb):
    yield Piece(name=asked(arm), kind='reading climbs'), None
    return
  kind = f'asking {arm.tests} in context' if arm.context else f'asking {arm.tests}'
  yield Piece(name=asked(arm), kind=kind), None
  if arm.context:
    return
  if arm.after == 'sft':
    yield from _probes(guest, arm.name)
  if guest.answers_at(epath.Path(), arm.stored) is not None:
    yield Piece(name=written(arm.stored), kind='writing'), None


def _probes(guest, name):
  if guest.keeps:
    yield Piece(name=probed(name), kind='probes'), None
