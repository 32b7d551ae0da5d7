"""Where a study keeps what it makes of each world, and which arms a world has."""

from etils import epath

from jaxalign.study.plan.arms import Arm, Climb
from jaxalign.study.plan.guest import Study

_CONTROL = 'rho0'  # worlds in which documents say nothing about conduct


def home_of(workdir: epath.Path, seed: int, control: bool) -> epath.Path:
  return workdir / f'{_CONTROL}-{seed}' if control else workdir / f'seed-{seed}'


def arms_of(cfg: Study, control: bool) -> tuple[Arm, ...]:
  return tuple(arm for arm in cfg.arms if arm.control or not control)


def rl_of(cfg: Study, seed: int, control: bool) -> tuple[tuple[Arm, ...], tuple[Climb, ...]]:
  """(arms that go on through PPO, climbs) of a world: the seeds for them are named."""
  return (cfg.rl_arms, cfg.climbs) if seed in cfg.rl_seeds and not control else ((), ())


def parts_of(cfg: Study, seed: int, control: bool) -> int:
  """How many things are made of a world: a base, its arms, what comes after PPO, climbs."""
  return 1 + len(arms_of(cfg, control)) + sum(map(len, rl_of(cfg, seed, control)))


def aligned_last(arm: Arm) -> bool:
  """Whether the demonstrations are the last lesson: in the order arms documents come after them,
  and what they forget over these is a result, not a fault of the instrument."""
  taught = [step.recipe for step in arm.steps if step.what]
  return bool(taught) and taught[-1] == 'align'
