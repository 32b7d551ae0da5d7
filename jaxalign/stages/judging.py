"""Judges made ready to be asked; and which may stand against each other: gold says nothing of a
proxy that it is itself."""

import jax

from jaxalign.config import UserError, shown
from jaxalign.rl import judges
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


def open_judges(cfg, tokenizer, mesh, listed):
  """(scorers of the policy's own tokens, judges of text, all names, all weights)."""
  readers, hosts = [], []
  ours = tokenizer, cfg.format
  for judge in listed:
    if callable(judge.by):
      hosts.append((judge, judges.by_function(judge, tokenizer, mesh)))
      continue
    scorer, *theirs = finished.scorer_of(judge.by, dtype=cfg.model.dtype, mesh=mesh)
    if theirs[0].hash == tokenizer.hash and theirs[1] and theirs[1].hash == cfg.format.hash:
      readers.append((judge, scorer))
    else:
      judges.check_readable(judge, theirs, ours)
      score = judges.by_text(judge, scorer, theirs, ours, 2 * cfg.length, mesh)
      hosts.append((judge, score))
  every = [judge for judge, _ in (*readers, *hosts)]
  names = [judge.name for judge in every]
  if len(set(names)) < len(names):
    names = [f'{name}_{n}' for n, name in enumerate(names)]
  weights = tuple(float(judge.weight) for judge in every)
  return [s for _, s in readers], [s for _, s in hosts], tuple(names), weights


def summed(cfg, tokenizer, mesh, listed):
  """seen -> the weighted sum of these judges, or None where there are none."""
  if not listed:
    return None
  readers, hosts, _, weights = open_judges(cfg, tokenizer, mesh, listed)
  read = jax.jit(lambda model, tokens_BT, segment_BT: model(tokens_BT, segment_BT))

  def score(seen):
    scores = [read(model, seen.tokens_BT, seen.segment_BT) for model in readers]
    scores += [judge(seen) for judge in hosts]
    return sum(w * s_B for w, s_B in zip(weights, scores))

  return score
