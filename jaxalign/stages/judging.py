"""Judges made ready to be asked; and which gold may stand against which proxy."""

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxalign.config import UserError
from jaxalign.data import dialogues
from jaxalign.data.text import Tokenizer
from jaxalign.models.heads import Scorer
from jaxalign.rl import judges
from jaxalign.rl.judges import Judge
from jaxalign.rl.overoptimisation import distinct_2
from jaxalign.sealing import shown
from jaxalign.stages import trained
from jaxalign.stages.contract import Answering, Score, Text

_Prints = dict[str, dict[str, str]]  # of the sides proxy and gold: the fingerprint of each judge


def refuse_same_judge(proxy: Sequence[Judge], gold: Sequence[Judge]) -> _Prints:
  """The fingerprints; a gold judge that is one of the proxy's says nothing about it."""
  ours, theirs = ([(j, fingerprint(j)) for j in side if j.weight] for side in (proxy, gold))
  for judge, mark in theirs:
    for other, their_mark in ours:
      if mark == their_mark:
        _refuse_alike(judge, other, mark)
  sides = dict(proxy=ours, gold=theirs).items()
  names = {side: unique(judge.name for judge, _ in marked) for side, marked in sides}
  return {side: dict(zip(names[side], (mark for _, mark in marked))) for side, marked in sides}


def _refuse_alike(gold, proxy, mark):
  codes = {getattr(judge.by, '__code__', judge.by) for judge in (gold, proxy)}
  if callable(gold.by) and len(codes) == 2:  # a module may be loaded twice, its code is the same
    raise UserError(
      f'gold judge {gold.name} and the proxy are two functions of one name, {mark}: give each a '
      'name of its own by def, for a judge is known by it'
    )
  raise UserError(
    f'gold judge {gold.name} is the proxy {proxy.name} (fingerprint {mark[:12]}): it would agree '
    'with itself; name one that was trained on other data'
  )


def unique(names: Iterable[str]) -> tuple[str, ...]:
  """The names; numbered where two are the same."""
  names = tuple(names)
  return names if len(set(names)) == len(names) else tuple(f'{x}_{n}' for n, x in enumerate(names))


def fingerprint(judge: Judge) -> str:
  """Of the weights of a reward model; of a function, its name."""
  if callable(judge.by):
    return f'{judge.by.__module__}:{shown(judge.by)}'
  return trained.fingerprint_of(judge.by)


def text_of(judge: Judge, cfg: Answering, tokenizer: Tokenizer) -> Text:
  """The text side of a reward model that can read what the policy writes."""
  workdir = str(judge.by)
  raw = trained.reward_raw('judge', workdir)
  theirs = trained.text_of_run(workdir, raw)
  ours = tokenizer, dialogues.resolved(cfg.format, tokenizer)
  trained.refuse_other_text(workdir, *theirs)
  if alike(theirs, ours):
    refuse_short(f'judge {judge.name}', trained.model_config(workdir, raw), cfg)
  else:
    judges.check_readable(judge, theirs, ours)
  return theirs


def alike(theirs: Text, ours: Text) -> bool:
  """Whether tokens of one side can be read by the other as they are."""
  return [x.hash for x in theirs] == [x.hash for x in ours]


def refuse_other_tokens(critic: str, cfg: Answering, tokenizer: Tokenizer) -> None:
  """A critic reads the policy's tokens, in every place."""
  raw = trained.reward_raw('critic', critic)
  theirs = trained.tokenizer_of_run(critic, raw)
  if theirs.hash != tokenizer.hash:
    raise UserError(
      f'critic={critic} reads {theirs}, the policy writes {tokenizer}: name one that was trained '
      "with the policy's tokenizer, or none"
    )
  refuse_short(f'critic={critic}', trained.model_config(critic, raw), cfg)


def refuse_short(who: str, there: Any, cfg: Answering) -> None:
  """there: the model config of one who reads the policy's tokens."""
  if there.length < cfg.length:
    raise UserError(
      f'prompt={cfg.prompt} and response={cfg.response} are {cfg.length} tokens: {who} was trained '
      f'on {there.length} positions; shorten them, or name another'
    )


def refuse_not_finite(names: Sequence[str], scores: Sequence[jax.Array], live_B: jax.Array) -> None:
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


def open_judges(
  cfg: Answering, tokenizer: Tokenizer, mesh: Mesh, listed: Sequence[Judge]
) -> tuple[list[Scorer], list[Score], tuple[str, ...], tuple[float, ...]]:
  """(scorers of the policy's own tokens, judges of text, all names, all weights)."""
  readers, hosts, ours = [], [], (tokenizer, dialogues.resolved(cfg.format, tokenizer))
  for judge in listed:
    if callable(judge.by):
      hosts.append((judge, judges.by_function(judge, tokenizer, mesh)))
      continue
    scorer, its_tokenizer, its_format = trained.scorer_of(
      judge.by, dtype=cfg.model.dtype, mesh=mesh
    )
    theirs = its_tokenizer, its_format
    if not alike(theirs, ours):
      hosts.append((judge, judges.by_text(judge, scorer, theirs, ours, 2 * cfg.length, mesh)))
    elif judge.apart:
      hosts.append((judge, functools.partial(_of_tokens, scorer)))
    else:
      readers.append((judge, scorer))
  every = [judge for judge, _ in (*readers, *hosts)]
  names, weights = unique(j.name for j in every), tuple(float(j.weight) for j in every)
  return [s for _, s in readers], [s for _, s in hosts], names, weights


def _of_tokens(scorer, seen):
  return read(scorer, seen.tokens_BT, seen.segment_BT)


@jax.jit
def read(model: Scorer, tokens_BT: jax.Array, segment_BT: jax.Array) -> jax.Array:
  return model(tokens_BT, segment_BT)


def line_of(tokenizer: Tokenizer, row: judges.Row) -> dict[str, Any]:
  """A prompt and its answer as JSON."""
  prompt, answer = judges.texts(tokenizer, row)
  numbers = dict(tokens=len(row.answer), finished=row.finished, distinct_2=distinct_2(row.answer))
  return dict(prompt=prompt, answer=answer) | numbers


def summed(
  cfg: Answering, tokenizer: Tokenizer, mesh: Mesh, listed: Sequence[Judge]
) -> Score | None:
  """The weighted sum of these judges, or None where there are none."""
  if not listed:
    return None
  readers, hosts, names, weights = open_judges(cfg, tokenizer, mesh, listed)

  def score(seen):
    scores = [_of_tokens(model, seen) for model in readers] + [judge(seen) for judge in hosts]
    refuse_not_finite(names, scores, seen.live_B)
    return sum(w * s_B for w, s_B in zip(weights, scores))

  return score
