"""Where a study keeps what it makes of each world, and which arms a world has.

A world is of a seed and of a control: '' is the study itself; 'rho', 'kappa' and the like name what
is 0 in it, and which its guest knows (Guest.CONTROLS).
"""

from etils import epath

from jaxalign.study.plan.arms import Arm, Climb
from jaxalign.study.plan.guest import Study


def worlds_of(cfg: Study) -> list[tuple[int, str]]:
  """[(seed, control)] of all that a study runs in."""
  controlled = [(seed, control) for control in cfg.controls for seed in cfg.control_seeds]
  return [(seed, '') for seed in cfg.seeds] + controlled


def mine_of(cfg: Study) -> list[tuple[int, str]]:
  """Those of them that this slice runs."""
  return worlds_of(cfg)[cfg.slice :: cfg.slices]


def own_of(cfg: Study, workdir: epath.Path) -> epath.Path:
  """The place of this command alone: the workdir, or where several share it a part of it."""
  return workdir if cfg.slices == 1 else workdir / 'slices' / str(cfg.slice)


def home_of(workdir: epath.Path, seed: int, control: str = '') -> epath.Path:
  return workdir / (f'{control}0-{seed}' if control else f'seed-{seed}')


def arms_of(cfg: Study, control: str) -> tuple[Arm, ...]:
  return tuple(arm for arm in cfg.arms if arm.control or not control)


def rl_of(cfg: Study, seed: int, control: str) -> tuple[tuple[Arm, ...], tuple[Climb, ...]]:
  """(arms that go on through PPO, climbs) of a world: the seeds for them are named."""
  return (cfg.rl_arms, cfg.climbs) if seed in cfg.rl_seeds and not control else ((), ())


def parts_of(cfg: Study, seed: int, control: str) -> int:
  """How many things are made of a world: a base, its arms, what comes after PPO, climbs."""
  return 1 + len(arms_of(cfg, control)) + sum(map(len, rl_of(cfg, seed, control)))


def aligned_last(arm: Arm) -> bool:
  """Whether the demonstrations are the last lesson: in the order arms documents come after them,
  and what they forget over these is a result, not a fault of the instrument."""
  taught = [step.recipe for step in arm.steps if step.what]
  return bool(taught) and taught[-1] == 'align'
