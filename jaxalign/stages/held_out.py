"""What a policy makes of prompts it never trains on: greedy and sampled, always by one key."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxalign.data import batches
from jaxalign.rl import judges, players, ppo
from jaxalign.stages import training
from jaxalign.train import metrics
from jaxalign.train.feed import Feed

SCORES = (
  'held_out_cost', 'held_out_reward', 'held_out_kl', 'held_out_length', 'held_out_finished',
  'greedy_reward', 'greedy_kl', 'greedy_length', 'greedy_finished',
)  # fmt: skip


def evaluator(cfg, game, collect, given, hosts, mesh, tokenizer, workdir):
  """(period, state -> scores) on held-out prompts, or None without any. What was written goes to
  samples.jsonl, with its scores."""
  if cfg.held_out is None:
    return None
  corpus = training.Corpus(source=cfg.held_out, long='drop')
  ready = training.open_data(cfg, (corpus,), 'held_out', tokenizer, workdir, cfg.prompt)
  prompts = batches.Prompts(ready[0], cfg.prompt, cfg.batch, None)
  wanted = min(cfg.eval_prompts, len(ready[0]))
  calls = -(-wanted // cfg.batch)
  feed = Feed(rows_until(prompts.rows, cfg.batch, wanted), cfg.batch, mesh)
  key = jax.random.fold_in(jax.random.key(cfg.seed), 2)  # of no state: the same in every evaluation
  sums = jax.jit(lambda seen, scores: totals(game, seen, scores))

  def evaluate(state):
    means, written = {}, []
    for name, greedy in (('held_out', False), ('greedy', True)):
      counts = None
      for n, (stacked, _) in enumerate(feed.ahead(0, calls)):
        key_B = players.row_keys(key, n, cfg.batch)
        seen = collect(state.model, stacked, key_B, given, greedy=greedy)
        scores = (*seen.said.scores, *(judge(seen) for judge in hosts))
        now, reward_B = sums(seen, scores)
        counts = now if counts is None else jax.tree.map(jnp.add, counts, now)
        written += lines(int(state.step), tokenizer, seen, reward_B, greedy)
      counts = jax.device_get(counts)
      means |= {f'{name}_{k}': float(t / max(w, 1e-30)) for k, (t, w) in counts.items()}
    over = cfg.kl_bound is not None and means['held_out_kl'] > cfg.kl_bound
    means['held_out_cost'] = float('inf') if over else -means['held_out_reward']
    name = 'samples.jsonl' if jax.process_index() == 0 else f'samples{jax.process_index()}.jsonl'
    metrics.append(workdir / name, written, int(state.step))
    return means

  return cfg.eval_every, evaluate


def rows_until(rows, batch, wanted):
  """Rows from `wanted` on are empty: they only fill the last batch."""

  def some(step, indices):
    made = rows(step, indices)
    live = step * batch + np.asarray(indices) < wanted
    return {name: np.where(live[:, None], x, 0) for name, x in made.items()}

  return some


def totals(game, seen, scores):
  """({name: (sum, rows)}, the reward of each row)."""
  reward_B = sum(w * s_B for w, s_B in zip(game.weights, scores))
  rows = dict(reward=reward_B, length=seen.length_B, finished=seen.finished_B)
  counts = {name: ppo.total(x_B, seen.live_B) for name, x_B in rows.items()}
  said = seen.said
  counts |= dict(kl=ppo.sequence_kl(said.logprob_BR, said.ref_logprob_BR, seen.response_BR))
  return counts, reward_B


def lines(step, tokenizer, seen, reward_B, greedy):
  """What each row that lies here says, as JSON."""
  made, score = [], {n: float(x) for n, x in judges.mine(reward_B).items()}
  for n, row in judges.rows_here(seen).items():
    if row.prompt:
      prompt, answer = judges.texts(tokenizer, row)
      made.append(
        dict(step=step, greedy=greedy, row=n, prompt=prompt, answer=answer, score=score[n],
             tokens=len(row.answer), finished=row.finished)
      )  # fmt: skip
  return made
