"""Where a study keeps what it makes of each world, and which arms a world has."""

_CONTROL = 'rho0'  # worlds in which documents say nothing about conduct


def home_of(workdir, seed, control):
  return workdir / f'{_CONTROL}-{seed}' if control else workdir / f'seed-{seed}'


def arms_of(cfg, control):
  return [arm for arm in cfg.arms if arm.control] if control else cfg.arms


def rl_of(cfg, seed, control):
  """(arms that go on through PPO, climbs) of a world: the seeds for them are named."""
  return (cfg.rl_arms, cfg.climbs) if seed in cfg.rl_seeds and not control else ((), ())


def parts_of(cfg, seed, control):
  """How many things are made of a world: a base, its arms, what comes after PPO, climbs."""
  return 1 + len(arms_of(cfg, control)) + sum(map(len, rl_of(cfg, seed, control)))


def aligned_last(arm):
  """Whether the demonstrations are the last lesson: in the order arms documents come after them,
  and what they forget over these is a result, not a fault of the instrument."""
  taught = [step.recipe for step in arm.steps if step.what]
  return bool(taught) and taught[-1] == 'align'
