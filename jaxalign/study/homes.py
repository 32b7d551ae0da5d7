"""Where a study keeps what it makes of each world, and which arms a world has."""

CONTROL = 'rho0'  # worlds in which documents say nothing about conduct


def home_of(workdir, seed, control):
  return workdir / f'{CONTROL}-{seed}' if control else workdir / f'seed-{seed}'


def arms_of(cfg, control):
  return [arm for arm in cfg.arms if arm.control] if control else cfg.arms
