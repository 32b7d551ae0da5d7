"""Interactions with a control: a contrast less the same in the control's worlds, seed by seed.

That a contrast is not found in the control says little, for it may have been missed there; that it
is smaller there, in worlds of the same seeds, is a test of its own.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from jaxalign import statistics
from jaxalign.study.judge.contrasts import needed_scales, numbers
from jaxalign.study.judge.results import Contrast, Gate, InteractionResult
from jaxalign.study.plan.rules import Claim, Rules

_Controls = Mapping[str, Iterable[Contrast]]  # of each control: its contrasts


def measured(
  contrasts: Iterable[Contrast],
  controls: _Controls,
  rules: Rules,
  gates: Mapping[str, Iterable[Gate]] | None = None,
) -> tuple[InteractionResult, ...]:
  """The interactions that the claim names, of the seeds that both have; without any, none.
  gates: those of each control's worlds."""
  ours = {one.name: one for one in contrasts}
  found = []
  for planned in (rules.claim or Claim()).interactions:
    of_control = {one.name: one for one in controls.get(planned.control, ())}
    if planned.contrast in ours and planned.contrast in of_control:
      one, other = ours[planned.contrast], of_control[planned.contrast]
      if one.seeds.keys() & other.seeds.keys():
        those = [
          gate for gate in (gates or {}).get(planned.control, ()) if gate.name in planned.bars
        ]
        found.append(_interaction(one, other, planned, tuple(those), rules))
  return tuple(found)


def _interaction(one, other, planned, gates, rules):
  by_scale = {scale: _by_seed(one, other, scale) for scale in one.scales if scale in other.scales}
  seeds = by_scale[one.scale]
  scales = {
    scale: numbers(np.array([*of_seed.values()]), scale, rules)
    for scale, of_seed in by_scale.items()
  }
  p = statistics.sign_flip_above([*seeds.values()])
  agree = statistics.agree(scales.values()) and needed_scales(one.scale) <= scales.keys()
  sound = len(gates) == len(planned.bars) and all(gate.ok for gate in gates)
  return InteractionResult(
    contrast=one.name,
    control=planned.control,
    scale=one.scale,
    p=p,
    agree=agree,
    holds=p < rules.alpha and agree and len(seeds) >= rules.least_seeds and sound,
    seeds=seeds,
    scales=scales,
    gates=gates,
  )


def _by_seed(one, other, scale):
  ours, theirs = (
    dict(zip(side.seeds, side.scales[scale].differences or (), strict=True))
    for side in (one, other)
  )
  return {seed: x - theirs[seed] for seed, x in ours.items() if seed in theirs}
