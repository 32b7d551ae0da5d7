"""SFT, two reward models and PPO on the shared HH-RLHF pairs, one stage after the other.

  python benchmarks/hh_chain.py --workdir=DIR [--only=sft,proxy,gold,ppo] [--sft=N] [--reward=N]
    [--ppo=N] [--seed=N]

Split a (8,000 single-turn pairs, helpful and harmless) gives the answers that stories260K is
fine-tuned on and PPO's prompts; b trains the proxy, which PPO learns from, and c the gold model,
which only looks on. All leave out what shares a prompt with the official test files; on these both
reward models are judged, and how often they agree, and PPO on their prompts. Each stage is a run of
its own in DIR/sft, DIR/proxy, DIR/gold and DIR/ppo, which goes on where it was when the command
comes again. The policy has 512 tokens and the judges have Llama-2's, so they read its text.
Figures are in docs/reward.md and in DIR/chain.json.
"""

import argparse
import dataclasses
import json
import pathlib
import resource
import sys
import time

import jax
import numpy as np
import reward_hh
from reward_hh import OFFICIAL, SHARED

from jaxalign import main, sealing
from jaxalign.config import AdamW, Logging, Saving, Schedule
from jaxalign.data import chat
from jaxalign.models import hub
from jaxalign.rl import players
from jaxalign.rl.judges import Judge
from jaxalign.stages import ppo, reward, sft
from jaxalign.stages.language import Corpus

STORIES = str(SHARED / 'stories260K/stories260K.bin')
TOKENS = str(SHARED / 'stories260K/tok512.bin')
LENGTH = 512  # positions that stories260K knows


def policy():
  return dataclasses.replace(hub.load(STORIES).cfg, remat='none')


def of_sft(work, given):

  def corpus(source):
    return (Corpus(source=source, long='drop'),)

  tests = reward_hh.tests('conversation')
  return sft.Config(
    model=policy(),
    init=STORIES,
    tokenizer=TOKENS,
    format=chat.TRANSCRIPT,
    train=corpus(reward_hh.pairs_of('a', 'conversation')),
    held_out=corpus(tests),
    length=LENGTH,
    batch=8,
    steps=given.sft,
    eval_every=given.sft,
    optim=AdamW(lr=1e-3, weight_decay=0.1, schedule=Schedule(warmup=min(20, given.sft // 2))),
    saving=Saving(every=50, keep=1),
    logging=Logging(every=20),
    seed=given.seed,
  )


def of_reward(part, seed):
  return reward_hh.configured(reward_hh.scratch, seed[1], seed[0], part)


def of_ppo(work, given):

  def adam(lr):
    return AdamW(lr=lr, eps=1e-5, schedule=Schedule(shape='constant'))

  return ppo.Config(
    model=policy(),
    init=str(work / 'sft'),
    tokenizer=TOKENS,
    format=chat.TRANSCRIPT,
    prompts=reward_hh.pairs_of('a', 'prompt'),
    held_out=reward_hh.tests('prompt'),
    judges=(Judge(by=str(work / 'proxy')),),
    gold=(Judge(by=str(work / 'gold')),),
    rules=players.Rules(
      beta=0.05, kl_target=6.0, kl_horizon=200.0, epochs=2, normalise=True, critic_first=2
    ),
    prompt=96,
    response=48,
    batch=32,
    minibatch=16,
    steps=given.ppo,
    eval_every=max(given.ppo // 4, 1),
    eval_prompts=64,
    eval_greedy=False,
    optim=adam(2e-4),
    critic_optim=adam(1e-3),
    saving=Saving(every=5, keep=1),
    logging=Logging(every=2),
    seed=given.seed,
  )


STAGES = {
  'sft': (sft, of_sft),
  'proxy': (reward, lambda work, given: of_reward('b', (given.seed, given.reward))),
  'gold': (reward, lambda work, given: of_reward('c', (given.seed + 1, given.reward))),
  'ppo': (ppo, of_ppo),
}


def last(workdir):
  return [json.loads(line) for line in (workdir / 'evals.jsonl').read_text().splitlines()][-1]


def said(work, name):
  """What a finished stage is reported by: the lines printed, and its numbers."""
  if name in ('proxy', 'gold'):
    card = json.loads((work / name / 'card.json').read_text())
    return list(reward_hh.table(card)), {n: card['subsets'][n] for n in OFFICIAL}
  if name == 'sft':
    found = last(work / name)
    return [f'held-out loss {found["held_out_loss"]:.3f} nats a token of the answers'], found
  rows = [json.loads(line) for line in (work / name / 'evals.jsonl').read_text().splitlines()]
  return list(ppo_table(rows)), rows


def ppo_table(rows):
  yield '| iteration | proxy | gold | KL, nats a sequence | tokens | distinct-2 |'
  yield '|---|---|---|---|---|---|'
  for row in rows:
    x = {name.removeprefix('held_out_'): value for name, value in row.items()}
    numbers = f'{x["reward"]:+.3f} | {x["gold"]:+.3f} | {x["kl"]:.2f} | {x["length"]:.1f}'
    yield f'| {row["step"]} | {numbers} | {x["distinct_2"]:.3f} |'


def gained(work):
  """(mean, low, high) of what proxy and gold gained by the last evaluation, prompt by prompt."""
  rows = [json.loads(line) for line in (work / 'ppo/samples.jsonl').read_text().splitlines()]
  first, final = ({r['row']: r for r in rows if r['step'] == n} for n in ends(rows))
  found = {}
  for name in ('score', 'gold'):
    gain = np.array([final[row][name] - first[row][name] for row in sorted(first)])
    half = 1.96 * gain.std(ddof=1) / len(gain) ** 0.5
    found[name] = [float(gain.mean()), float(gain.mean() - half), float(gain.mean() + half)]
  return found


def ends(rows):
  steps = [row['step'] for row in rows]
  return min(steps), max(steps)


def run():
  flags = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  flags.add_argument('--workdir', type=pathlib.Path, required=True)
  flags.add_argument('--only', default=','.join(STAGES))
  flags.add_argument('--sft', type=int, default=300, help='steps of 8 rows of 512 tokens')
  flags.add_argument('--reward', type=int, default=450, help='steps of 32 pairs')
  flags.add_argument('--ppo', type=int, default=24, help='iterations of 32 prompts')
  flags.add_argument('--seed', type=int, default=0)
  given = flags.parse_args()
  work, result = given.workdir.resolve(), {}
  for name in given.only.split(','):
    began = time.time(), sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    stage, made = STAGES[name]
    if status := main.run_stage(stage.run, sealing.seal(made(work, given)), work / name, False):
      return status
    spent = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - began[1]
    lines, result[name] = said(work, name)
    print(f'\n{name}: {spent:.0f} CPU seconds, {time.time() - began[0]:.0f} s', *lines, sep='\n')
  if 'ppo' in result:
    for name, (mean, low, high) in gained(work).items():
      print(f'{name} gained {mean:+.3f} ({low:+.3f} to {high:+.3f})')
  (work / 'chain.json').write_text(json.dumps(result, indent=1) + '\n')
  print(f'jax {jax.__version__}; {work}')
  return 0


if __name__ == '__main__':
  sys.exit(run())
