"""Judges made ready to be asked; and which may stand against each other: gold says nothing of a
proxy that it is itself."""

import jax
import jax.numpy as jnp

from jaxalign.config import UserError
from jaxalign.rl import judges
from jaxalign.sealing import shown
from jaxalign.stages import trained


def refuse_same_judge(proxy, gold):
  """{side: {judge: fingerprint}}; a gold judge that is one of the proxy's says nothing about it."""
  ours, theirs = ([(j, fingerprint(j)) for j in side if j.weight] for side in (proxy, gold))
  for judge, mark in theirs:
    for other, their_mark in ours:
      if mark == their_mark:
        _refuse_alike(judge, other, mark)
  named = lambda marked: dict(zip(unique(j.name for j, _ in marked), (mark for _, mark in marked)))
  return dict(proxy=named(ours), gold=named(theirs))


def _refuse_alike(gold, proxy, mark):
  code = lambda judge: getattr(judge.by, '__code__', judge.by)  # a module may be loaded twice
  if callable(gold.by) and code(gold) != code(proxy):
    raise UserError(
      f'gold judge {gold.name} and the proxy are two functions of one name, {mark}: give each a '
      'name of its own by def, for a judge is known by it'
    )
  raise UserError(
    f'gold judge {gold.name} is the proxy {proxy.name} (fingerprint {mark[:12]}): it would agree '
    'with itself; name one that was trained on other data'
  )


def unique(names):
  """The names; numbered where two are the same."""
  names = tuple(names)
  return names if len(set(names)) == len(names) else tuple(f'{x}_{n}' for n, x in enumerate(names))


def fingerprint(judge):
  """Of the weights of a reward model; of a function, its name."""
  if callable(judge.by):
    return f'{judge.by.__module__}:{shown(judge.by)}'
  return trained.fingerprint_of(judge.by)


def text_of(judge, cfg, tokenizer):
  """(tokenizer, format) of a reward model that reads what the policy writes: its tokens where it
  is alike, else its text."""
  raw = trained.reward_raw('judge', judge.by)
  theirs, ours = (trained.tokenizer_of(raw), trained.format_of(raw)), (tokenizer, cfg.format)
  trained.refuse_other_text(judge.by, *theirs)
  if alike(theirs, ours):
    refuse_short(f'judge {judge.name}', trained.model_config(judge.by, raw), cfg)
  else:
    judges.check_readable(judge, theirs, ours)
  return theirs


def alike(theirs, ours):
  """Whether tokens of one (tokenizer, format) can be read by the other as they are."""
  return [x.hash for x in theirs] == [x.hash for x in ours]


def refuse_other_tokens(critic, cfg, tokenizer):
  """A critic reads the policy's tokens, in every place."""
  raw = trained.reward_raw('critic', critic)
  theirs = trained.tokenizer_of(raw)
  if theirs.hash != tokenizer.hash:
    raise UserError(
      f'critic={critic} reads {theirs}, the policy writes {tokenizer}: name one that was trained '
      "with the policy's tokenizer, or none"
    )
  refuse_short(f'critic={critic}', trained.model_config(critic, raw), cfg)


def refuse_short(who, there, cfg):
  """there: the model config of one who reads the policy's tokens."""
  if there.length < cfg.length:
    raise UserError(
      f'prompt={cfg.prompt} and response={cfg.response} are {cfg.length} tokens: {who} was trained '
      f'on {there.length} positions; shorten them, or name another'
    )


def refuse_not_finite(names, scores, live_B):
  """Before anything is learned from it; what has no prompt may score anything."""
  for name, fine in zip(names, jax.device_get(_finite(scores, live_B))):
    if not fine:
      raise UserError(
        f'judge {name} gave a score that is not a finite number: look at its weights and its '
        'card.json, or let it compute in float32 (model.dtype)'
      )


@jax.jit
def _finite(scores, live_B):
  return [jnp.isfinite(jnp.where(live_B, s_B, 0)).all() for s_B in scores]


def open_judges(cfg, tokenizer, mesh, listed):
  """(scorers of the policy's own tokens, judges of text, all names, all weights), of judges that
  text_of lets pass."""
  readers, hosts = [], []
  ours = tokenizer, cfg.format
  for judge in listed:
    if callable(judge.by):
      hosts.append((judge, judges.by_function(judge, tokenizer, mesh)))
      continue
    scorer, *theirs = trained.scorer_of(judge.by, dtype=cfg.model.dtype, mesh=mesh)
    if alike(theirs, ours):
      if judge.apart:
        score = lambda seen, scorer=scorer: read(scorer, seen.tokens_BT, seen.segment_BT)
        hosts.append((judge, score))
      else:
        readers.append((judge, scorer))
    else:
      score = judges.by_text(judge, scorer, theirs, ours, 2 * cfg.length, mesh)
      hosts.append((judge, score))
  every = [judge for judge, _ in (*readers, *hosts)]
  names, weights = unique(j.name for j in every), tuple(float(j.weight) for j in every)
  return [s for _, s in readers], [s for _, s in hosts], names, weights


@jax.jit
def read(model, tokens_BT, segment_BT):
  return model(tokens_BT, segment_BT)


def summed(cfg, tokenizer, mesh, listed):
  """seen -> the weighted sum of these judges, or None where there are none."""
  if not listed:
    return None
  readers, hosts, names, weights = open_judges(cfg, tokenizer, mesh, listed)

  def score(seen):
    scores = [read(model, seen.tokens_BT, seen.segment_BT) for model in readers]
    scores += [judge(seen) for judge in hosts]
    refuse_not_finite(names, scores, seen.live_B)
    return sum(w * s_B for w, s_B in zip(weights, scores))

  return score
