"""A real tiny language model learns to write happier stories, and they stay stories.

  python benchmarks/ppo_vader.py [--steps=32] [--seed=0] [--workdir=DIR]

stories260K (shared data) by PPO against the compound of VADER (pip install vaderSentiment), a
sentiment from -1 to 1, of what it writes after an opening. Measured before and after on openings of
other people in other trouble, by sampling at temperature 1 with the same keys: compound, KL and its
bound, how much repeats itself within an answer and between answers, perplexity under the model it
began as, and length. 95 % intervals come from resampling openings.
Expected, and the exit status: compound up by .3 at fewer than 8 nats a sequence; the other numbers
within BOUNDS of those before. Figures are in docs/ppo.md, and in DIR/vader.json.
"""

import argparse
import dataclasses
import functools
import itertools
import json
import pathlib
import resource
import sys
import tempfile
import time

import jax
import numpy as np

import jaxalign
from jaxalign import main, sealing
from jaxalign.config import AdamW, Logging, Saving, Schedule, UserError
from jaxalign.data import chat, dialogues
from jaxalign.data.records import Turn
from jaxalign.data.sources import Jsonl
from jaxalign.data.text import Tokenizer
from jaxalign.models import hub
from jaxalign.rl import bon, players
from jaxalign.rl import overoptimisation as over
from jaxalign.rl.judges import Judge
from jaxalign.rl.sample import Sampling, generate, left_pad
from jaxalign.stages import ppo

STORIES = pathlib.Path(__file__).resolve().parents[2] / 'shared/data/stories260K'
PLAIN = chat.ChatFormat(name='plain', user='{user}', system='{system} {user}', answer='{answer}')
PROMPT, RESPONSE, ANSWERS = 32, 48, 16  # tokens, tokens, answers to each opening when measured
KL = 8.0  # nats a sequence, at most
RISE = 0.3  # of the mean compound, at least
BOUNDS = dict(distinct_2=(0.9, 1.1), between=(0.5, 1.5), perplexity=(0.5, 1.5), length=(0.7, 1.4))

TRAIN = (
  ('Lily', 'Tim', 'Sue', 'Ben', 'Mia', 'Max', 'Anna', 'Tom'),
  (
    'Once upon a time there was a little girl or boy named {}.',
    '{} went to the park to play with a friend.',
    '{} was sad because the toy was lost.',
    'One day {} fell down and began to cry.',
    '{} had a big red ball and a dog.',
    'It was dark and {} was scared.',
    '{} did not want to eat the soup.',
    'One day {} saw a bird in a tree.',
  ),
)
HELD_OUT = (
  ('Sara', 'Jack', 'Lucy', 'Bob'),
  (
    'Once upon a time, {} lived in a small house.',
    '{} was angry because the car was broken.',
    'One day {} went to the beach with mom.',
    '{} found a box in the garden.',
    'It was raining and {} had to stay home.',
    '{} was sick and had to lie in bed.',
    '{} had a cat who liked to hide.',
    'One day {} got lost in the forest.',
  ),
)


def openings(people, lines):
  return [line.format(who) for line, who in itertools.product(lines, people)]


@functools.cache
def analyzer():
  from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

  return SentimentIntensityAnalyzer()


def compound(prompt, answer):
  return analyzer().polarity_scores(answer)['compound']


def configured(work, steps, seed):
  def written(name, texts):
    path = work / f'{name}.jsonl'
    path.write_text(''.join(json.dumps(dict(prompt=text)) + '\n' for text in texts))
    return Jsonl(path=str(path), kind='prompt')

  model = str(STORIES / 'stories260K.bin')

  def adam(lr):
    return AdamW(lr=lr, eps=1e-5, schedule=Schedule(shape='constant'))

  return ppo.Config(
    model=dataclasses.replace(hub.load(model).cfg, remat='none'),
    init=model,
    tokenizer=str(STORIES / 'tok512.bin'),
    format=PLAIN,
    prompts=written('train', openings(*TRAIN)),
    held_out=written('held_out', openings(*HELD_OUT)),
    judges=(Judge(by=compound),),
    rules=players.Rules(
      beta=0.05, kl_target=5.0, kl_horizon=200.0, epochs=2, lam=0.97, critic_first=2
    ),
    prompt=PROMPT,
    response=RESPONSE,
    batch=64,
    minibatch=32,
    steps=steps,
    eval_every=steps,
    eval_prompts=32,
    kl_bound=KL,
    optim=adam(2e-4),
    critic_optim=adam(1e-3),
    saving=Saving(every=steps, keep=1),
    logging=Logging(every=5),
    seed=seed,
  )


@functools.partial(jax.jit, static_argnames='length')
def answered(policy, reference, prompt_BP, segment_BP, key_B, length):
  """(Sampled, logprobs of it by the policy and by the reference, a BR each)."""
  how = Sampling(slots=length, eos=policy.cfg.eos)
  out = generate(policy, prompt_BP, segment_BP, key_B, how)
  return out, *(players.read(model, out.text, 1.0)[0] for model in (policy, reference))


def measure(policy, reference, tokenizer, seed=12345):
  """({name: [openings, answers]}, the texts): what this policy says to each held-out opening."""
  texts = openings(*HELD_OUT)
  prompts = [dialogues.prompt(PLAIN, tokenizer, [Turn('user', t)]).tolist() for t in texts]
  rows, said = {}, []
  for n in range(ANSWERS):
    key_B = players.row_keys(jax.random.key(seed), n, len(prompts))
    out, ours, theirs = jax.device_get(
      answered(policy, reference, *left_pad(prompts, PROMPT), key_B, RESPONSE)
    )
    for i, prompt in enumerate(prompts):
      ids = out.tokens_BR[i, : out.length_B[i]].tolist()
      text = tokenizer.decode_continuation(prompt, ids[:-1] if out.finished_B[i] else ids)
      one = dict(
        compound=compound(texts[i], text),
        kl=(ours[i] - theirs[i]).sum(),
        distinct_2=over.distinct_2(ids),
        nats=-theirs[i].sum(),
        length=len(ids),
      )
      for name, value in one.items():
        rows.setdefault(name, np.zeros((len(prompts), ANSWERS)))[i, n] = value
      said.append(dict(opening=texts[i], answer=text, ids=ids, compound=one['compound']))
  return rows, said


def summary(rows, said):
  """{name: (value, low, high)}."""
  per_prompt = {name: x.mean(1, keepdims=True) for name, x in rows.items()}
  drawn = {name: bon.resampled(x, 2000) for name, x in per_prompt.items()}
  means = {name: x.mean(0) for name, x in per_prompt.items()}

  def made(at):
    return dict(
      {name: at[name][..., 0] for name in ('compound', 'kl', 'distinct_2', 'length')},
      perplexity=np.exp(at['nats'] / at['length'])[..., 0],
    )

  values, spread = made(means), made(drawn)
  found = {n: (float(values[n]), *np.percentile(spread[n], (2.5, 97.5)).tolist()) for n in values}
  pairs = [pair for one in said for pair in itertools.pairwise(one['ids'])]
  between = len(set(pairs)) / len(pairs)
  return found | dict(between=(between, between, between))


def verdicts(before, after):
  """[(what is expected, whether it holds)]"""

  def value(of, name):
    return of[name][0]

  rise, kl = value(after, 'compound') - value(before, 'compound'), value(after, 'kl')
  said = [(f'compound rises by {rise:.3f}, at least {RISE}', rise >= RISE)]
  said += [(f'KL {kl:.2f} nats a sequence, below {KL}', kl < KL)]
  for name, (low, high) in BOUNDS.items():
    share = value(after, name) / value(before, name)
    said += [(f'{name} {share:.2f} of before, {low} to {high}', low <= share <= high)]
  return said


def table(before, after):
  names = dict(
    compound='compound of VADER',
    kl='KL, nats a sequence',
    distinct_2='distinct-2, in an answer',
    between='distinct-2, over all answers',
    perplexity='perplexity under the reference',
    length='tokens',
  )

  def shown(t):
    return f'{t[0]:.3f}' + (f' ({t[1]:.3f} to {t[2]:.3f})' if t[1] < t[2] else '')

  yield f'| held out, {len(openings(*HELD_OUT))} openings x {ANSWERS} answers | before | after |'
  yield '|---|---|---|'
  for name, words in names.items():
    yield f'| {words} | {shown(before[name])} | {shown(after[name])} |'


def run():
  flags = argparse.ArgumentParser()
  flags.add_argument('--steps', type=int, default=32)
  flags.add_argument('--seed', type=int, default=0)
  flags.add_argument('--workdir')
  given = flags.parse_args()
  began = time.time()
  try:
    analyzer()
  except ImportError as error:
    raise UserError('the judge is missing: pip install vaderSentiment') from error
  work = pathlib.Path(given.workdir or tempfile.mkdtemp())
  work.mkdir(parents=True, exist_ok=True)
  cfg = sealing.seal(configured(work, given.steps, given.seed))
  if status := main.run_stage(ppo.run, cfg, work / 'run', False):
    return status
  reference, tokenizer = hub.load(cfg.init), Tokenizer.load(cfg.tokenizer)
  policy = jaxalign.load(work / 'run')
  first, last = (measure(p, reference, tokenizer) for p in (reference, policy))
  before, after = summary(*first), summary(*last)
  checks = verdicts(before, after)
  spent = resource.getrusage(resource.RUSAGE_SELF)
  result = dict(before=before, after=after, holds={what: bool(ok) for what, ok in checks})
  (work / 'vader.json').write_text(json.dumps(result, indent=2) + '\n')
  print('\n'.join(table(before, after)))
  for n in (0, 5, 24):
    for name, (_, said) in (('before', first), ('after', last)):
      print(f'{name} ({said[n]["compound"]:+.2f}): {said[n]["opening"]} |{said[n]["answer"]!r}')
  for what, ok in checks:
    print('ok  ' if ok else 'FAIL', what)
  print(
    f'{given.steps} iterations of {cfg.batch}, seed {given.seed}; '
    f'{spent.ru_utime + spent.ru_stime:.0f} CPU seconds, '
    f'{time.time() - began:.0f} s; jax {jax.__version__}; {work}'
  )
  return 0 if all(ok for _, ok in checks) else 1


if __name__ == '__main__':
  sys.exit(run())
