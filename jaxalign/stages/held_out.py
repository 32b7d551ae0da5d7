"""What a policy makes of prompts it never trains on: greedy and sampled, always by one key."""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxalign import pod
from jaxalign.data import batches
from jaxalign.data.prepared import Prepared
from jaxalign.data.text import Tokenizer
from jaxalign.rl import judges, players, ppo, watch
from jaxalign.rl import overoptimisation as over
from jaxalign.rl.players import Game, Rollout
from jaxalign.stages import judging
from jaxalign.stages.contract import Evaluation, Playing, Score, Workdir
from jaxalign.train import metrics
from jaxalign.train.feed import Feed

_Ask = Callable[..., tuple[Rollout, tuple[jax.Array, ...]]]
_WINDOW = 5  # evaluations that a warning looks back over


def evaluator(
  cfg: Playing,
  game: Game,
  ask: _Ask,
  mesh: Mesh,
  tokenizer: Tokenizer,
  workdir: Workdir,
  ready: Prepared,
  gold: Score | None,
) -> Evaluation:
  """The evaluation on held-out prompts. What was written goes to samples.jsonl, with its scores.
  ask: a batch's samples, and all scores of them; gold: of judges that nothing is trained on."""
  prompts = batches.Prompts(ready, cfg.prompt, cfg.batch, None)
  wanted = min(cfg.eval_prompts, len(ready))
  calls = -(-wanted // cfg.batch)
  feed = Feed(_rows_until(prompts.rows, cfg.batch, wanted), cfg.batch, mesh)
  key = jax.random.fold_in(jax.random.key(cfg.seed), 2)  # of no state: the same in every evaluation

  def evaluate(state):
    means, written, step = {}, [], int(state.step)
    for name, greedy in (('held_out', False), ('greedy', True))[: 1 + cfg.eval_greedy]:
      counts = None
      for n, (stacked, _) in enumerate(feed.ahead(0, calls)):
        key_B = players.row_keys(key, n, cfg.batch)
        seen, scores = ask(state.model, stacked, key_B, greedy=greedy)
        now, said = _totals(game, seen, scores, gold and gold(seen))
        counts = now if counts is None else jax.tree.map(jnp.add, counts, now)
        about = dict(step=step, greedy=greedy)
        written += [about | line for line in _lines(tokenizer, seen, said, n * cfg.batch)]
      counts = jax.device_get(counts)
      means |= {f'{name}_{k}': float(t / max(w, 1e-30)) for k, (t, w) in counts.items()}
    means['held_out_cost'] = cost(means, cfg.kl_bound)
    means |= _warned(workdir, step, means, cfg.rules.kl_target)
    metrics.append(workdir / pod.mine('samples.jsonl'), written, step)
    return means

  return Evaluation(cfg.eval_every, evaluate, at_start=True)  # gains are measured from there


def cost(means: Mapping[str, float], kl_bound: float | None) -> float:
  """By which the best policy is chosen: its reward with the sign turned, and infinite for a policy
  that went further from the reference than kl_bound nats."""
  too_far = kl_bound is not None and means['held_out_kl'] > kl_bound
  return float('inf') if too_far else -means['held_out_reward']


def _rows_until(rows, batch, wanted):
  """Rows from `wanted` on are empty: they only fill the last batch."""

  def some(step, indices):
    made = rows(step, indices)
    live = step * batch + np.asarray(indices) < wanted
    return {name: np.where(live[:, None], x, 0) for name, x in made.items()}

  return some


@functools.partial(jax.jit, static_argnames='game')
def _totals(game, seen, scores, gold_B):
  """({name: (sum, rows)}, what is said of each row)."""
  mask_BR, ours_BR, theirs_BR = seen.response_BR, seen.logprob_BR, seen.ref_logprob_BR
  reward_B = sum(w * s_B for w, s_B in zip(game.weights, scores))
  rows = dict(reward=reward_B, length=seen.length_B, finished=seen.finished_B)
  rows |= dict(gold=gold_B) if gold_B is not None else {}
  counts = {name: ppo.total(x_B, seen.live_B) for name, x_B in rows.items()}
  counts |= dict(kl=ppo.sequence_kl(ours_BR, theirs_BR, mask_BR))
  counts |= dict(entropy=ppo.total(seen.entropy_BR, mask_BR))
  counts |= dict(distinct_2=watch.distinct(seen.tokens_BR, mask_BR, 2))
  kl_B = jnp.where(mask_BR, ours_BR - theirs_BR, 0).sum(1)
  return counts, dict(score=reward_B, kl=kl_B) | (dict(gold=gold_B) if gold_B is not None else {})


def _lines(tokenizer, seen, said, first):
  """What each row that lies here says, as JSON. first: the number of row 0 among all prompts."""
  said = {name: judges.mine(x_B) for name, x_B in said.items()}
  return [
    dict(row=first + n)
    | judging.line_of(tokenizer, row)
    | {name: float(x[n]) for name, x in said.items()}
    for n, row in judges.rows_here(seen).items()
    if row.prompt
  ]


def _warned(workdir, step, means, kl_target):
  """{warn_..: 1 where over-optimisation shows}, by this evaluation and those before it."""
  before = metrics.lines_until(workdir / 'evals.jsonl', step - 1)
  history = [_as_history(row) for row in (*before, means)]
  up = over.warnings(history, kl_target=kl_target, window=_WINDOW)
  return {f'warn_{name}': float(x) for name, x in up.items()}


def _as_history(row):
  """An evaluation in the words of metrics.jsonl, which the flags read."""
  words = dict(reward_raw='reward', kl_sequence='kl')
  names = ('gold', 'length', 'entropy', 'distinct_2')
  found = {name: row.get(f'held_out_{words.get(name, name)}') for name in (*words, *names)}
  return found | dict(truncated=1 - row['held_out_finished'])
