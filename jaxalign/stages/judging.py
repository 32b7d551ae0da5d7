"""Which judges stand against each other: gold says nothing of a proxy that it is itself."""

from jaxalign.config import UserError, shown
from jaxalign.stages import finished


def refuse_same_judge(proxy, gold):
  """{judge: fingerprint}; a gold judge that is one of the proxy's says nothing about it."""
  prints = {side: {j.name: fingerprint(j) for j in listed if j.weight} for side, listed in
            (('proxy', proxy), ('gold', gold))}  # fmt: skip
  for name, mark in prints['gold'].items():
    same = [other for other, theirs in prints['proxy'].items() if theirs == mark]
    if same:
      raise UserError(
        f'gold judge {name} is the proxy {same[0]} (fingerprint {mark[:12]}): it would agree with '
        'itself; name one that was trained on other data'
      )
  return prints


def fingerprint(judge):
  """Of the weights of a reward model; of a function, its name."""
  if callable(judge.by):
    return f'{judge.by.__module__}:{shown(judge.by)}'
  return finished.fingerprint_of(judge.by)


def refuse_absent(listed):
  """Every reward model is there, with a checkpoint."""
  for judge in listed:
    if isinstance(judge.by, str) and not finished.is_workdir(judge.by):
      raise UserError(
        f'judge {judge.by}: there is no such workdir of stage reward, with checkpoints'
      )
