"""A small reward model on real HH-RLHF pairs, judged on the official test files.

  python benchmarks/reward_hh.py [--part=b|c] [--start=scratch|stories] [--steps=N] [--seed=N]
    [--workdir=DIR]

Trains on split b of the shared single-turn pairs, or on c (8,000 each, as many helpful as harmless
ones; those that share a prompt with a test file are left out), and reports accuracy on helpful-base
and harmless-base with Wilson intervals, beside longer wins. scratch: a Llama of width 64 and depth
2 by chance, under Llama-2's tokenizer. stories: stories260K under its own 512 tokens; a test pair
longer than the 512 positions it knows is dropped, and the table says how many are left. card.html
in the workdir has the rest. benchmarks/hh_chain.py is the whole way from SFT to PPO.
"""

import argparse
import json
import pathlib
import resource
import sys
import tempfile
import time

import jax

from jaxalign import main, sealing
from jaxalign.config import AdamW, Logging, Saving, Schedule
from jaxalign.data import chat
from jaxalign.data.decontaminate import Decontaminated
from jaxalign.data.sources import HH
from jaxalign.models import hub, llama2
from jaxalign.stages import reward

SHARED = pathlib.Path(__file__).resolve().parents[2] / 'shared/data'
OFFICIAL = {'helpful-base': 2354, 'harmless-base': 2312}  # rows of the test files


def scratch():
  """Words are worth more than depth here: a large vocabulary costs a scorer only its lookup."""
  model = llama2.tiny(
    width=64, heads=4, kv_heads=4, mlp=172, depth=2, vocab=32000, length=1024, remat='none'
  )
  tokenizer = SHARED / 'tokenizers/llama2/tokenizer.model'
  return dict(model=model, tokenizer=str(tokenizer), length=1024, optim=adamw(1e-3))


def stories():
  path = str(SHARED / 'stories260K/stories260K.bin')
  tokenizer = SHARED / 'stories260K/tok512.bin'
  made = dict(model=hub.load(path).cfg, init=path, tokenizer=str(tokenizer))
  return made | dict(length=512, optim=adamw(5e-4))


def adamw(lr):
  return AdamW(lr=lr, weight_decay=0.1, schedule=Schedule(warmup=20))


def tests(as_='pair'):
  return HH(path=str(SHARED / 'hh-rlhf'), subsets=tuple(OFFICIAL), split='test', as_=as_)


def pairs_of(part, as_='pair'):
  """Both kinds of one of the three splits, without the prompts of the test files."""
  place = SHARED / 'hh-rlhf/single-turn'
  files = tuple(str(place / f'{kind}_train_{part}.jsonl.gz') for kind in ('helpful', 'harmless'))
  return Decontaminated(source=HH(path=files, as_=as_), against=(tests(),))


def configured(start, steps, seed, part='b'):
  return reward.Config(
    **start(),
    format=chat.TRANSCRIPT,
    train=(pairs_of(part),),
    held_out=(tests(),),
    batch=32,
    steps=steps,
    eval_every=steps,
    saving=Saving(every=50, keep=1),
    logging=Logging(every=50),
    seed=seed,
  )


def table(card):

  def share(s):
    return f'{s["value"]:.1%} ({s["low"]:.1%} to {s["high"]:.1%})'

  yield '| test file | pairs | accuracy | longer wins (tokens) |'
  yield '|---|---|---|---|'
  for name, rows in OFFICIAL.items():
    s = card['subsets'][name]
    n = f'{s["accuracy"]["n"]:,} of {rows:,} rows'
    yield f'| {name} | {n} | {share(s["accuracy"])} | {share(s["longer"])} |'


def run():
  flags = argparse.ArgumentParser()
  flags.add_argument('--part', choices=('b', 'c'), default='b')
  flags.add_argument('--start', choices=('scratch', 'stories'), default='scratch')
  flags.add_argument('--steps', type=int, default=500)
  flags.add_argument('--seed', type=int, default=0)
  flags.add_argument('--workdir')
  given = flags.parse_args()
  began = time.time()
  work = pathlib.Path(given.workdir or tempfile.mkdtemp())
  start = dict(scratch=scratch, stories=stories)[given.start]
  cfg = sealing.seal(configured(start, given.steps, given.seed, given.part))
  if status := main.run_stage(reward.run, cfg, work, False):
    return status
  card = json.loads((work / 'card.json').read_text())
  spent = resource.getrusage(resource.RUSAGE_SELF)
  print('\n'.join(table(card)))
  print(
    f'{given.part}, {given.start}, {given.steps} steps of {cfg.batch} pairs, seed {given.seed}; '
    f'ECE {card["ece"]:.3f}; '
    f'correlation of reward and length {card["reward_and_length"]["value"]:+.2f}; '
    f'{spent.ru_utime + spent.ru_stime:.0f} CPU seconds, {time.time() - began:.0f} s; '
    f'jax {jax.__version__}; {work}'
  )
  return 0


if __name__ == '__main__':
  sys.exit(run())
