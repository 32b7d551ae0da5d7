"""Goodhart's law in the world: what proxy and gold say of a policy that climbs the proxy.

A row is a point of a climb: so many nats from where the policy began. Scores are those of held-out
prompts. Everything that is drawn or fitted comes from these rows.
"""

from jaxalign.rl import overoptimisation as over
from jaxalign.stages import overoptimisation

DRAWS = 2  # intervals over prompts are not ours: the seed is the unit


def rows(directory, climb, seed):
  """The points of a climb that is done."""
  if (directory / 'bon.json').exists():
    way, curve = over.BON, overoptimisation.best_of_n(directory, DRAWS)
  else:
    way, curve = over.RL, overoptimisation.of_ppo(directory, DRAWS)
  about = dict(seed=seed, mode=climb.mode, line=climb.line, arm=climb.arm, way=way)
  return [
    about | dict(at=at, d=float(d)) | {name: float(x[n]) for name, x in curve.means.items()}
    for n, (at, d) in enumerate(zip(curve.label, curve.d))
  ]
