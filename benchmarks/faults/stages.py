"""Every stage as small as it can be, for the fault campaign: a second or two a run.

  python -m jaxalign.main --config=benchmarks/faults/stages.py:explain --workdir=DIR

A variant is a stage. With `_of_file` after it the corpus is a JSON-lines file, which
--config.train.0.source.path (explain, sft), --config.train.0.path (pairs) or --config.prompts.path
names.
"""

import time
from typing import Literal

from jaxalign.config import AdamW, Logging, Saving, Schedule
from jaxalign.data import chat, sources
from jaxalign.models import llama2
from jaxalign.rl.judges import Judge
from jaxalign.rl.players import Rules
from jaxalign.stages import bon, dpo, explain, ppo, reward, sft
from jaxalign.stages.language import Corpus

STEPS = 8


def get_config(
  variant: Literal[
    'explain',
    'sft',
    'reward',
    'dpo',
    'ppo',
    'bon',
    'explain_of_file',
    'sft_of_file',
    'reward_of_file',
    'dpo_of_file',
    'ppo_of_file',
    'bon_of_file',
  ] = 'explain',
):
  stage, _, of_file = variant.partition('_')
  made = dict(explain=language, sft=language, reward=pairs, dpo=pairs, ppo=climb, bon=best)
  return made[stage](stage, bool(of_file))


def model():
  return llama2.tiny(
    width=16, heads=2, kv_heads=1, mlp=32, depth=1, vocab=1024, length=128, remat='none'
  )


def shared():
  """What all stages that train have in common."""
  return dict(
    model=model(),
    tokenizer='shipped',
    format=chat.TRANSCRIPT,
    optim=AdamW(lr=1e-2, schedule=Schedule(warmup=2)),
    saving=Saving(every=2),
    logging=Logging(every=2),
    steps=STEPS,
    eval_every=4,
  )


def file(kind):
  return sources.Jsonl(path='no-such-file.jsonl', kind=kind)


def language(stage, of_file):
  kind = dict(explain='document', sft='conversation')[stage]
  shipped = dict(
    explain=sources.Shipped(name='value_explanations', split='validation'),
    sft=sources.Shipped(name='conversations', as_='conversation'),
  )
  source = file(kind) if of_file else shipped[stage]
  corpus = Corpus(source=source, long='drop') if stage == 'sft' else Corpus(source=source)
  cls = dict(explain=explain, sft=sft)[stage].Config
  held_out = (corpus,) if stage == 'explain' else ()  # conversations ship in one split, a large one
  return cls(**shared(), train=(corpus,), held_out=held_out, length=128, batch=2)


def pairs(stage, of_file):
  source = file('pair') if of_file else sources.Shipped(name='pairs', split='validation')
  cls = dict(reward=reward, dpo=dpo)[stage].Config
  return cls(**shared(), train=(source,), held_out=(source,), length=128, batch=2)


def share_of_e(prompt, answer):
  time.sleep(0.002)  # so that a kill meets a run midway
  return answer.count('e') / max(len(answer), 1)


def no_e(prompt, answer):
  return 1 - share_of_e(prompt, answer)


def prompts(of_file):
  return file('prompt') if of_file else sources.Shipped(name='conversations', as_='prompt')


def climb(stage, of_file):
  source = prompts(of_file)
  return ppo.Config(
    **shared(),
    prompts=source,
    held_out=source,
    judges=(Judge(by=share_of_e),),
    rules=Rules(epochs=2),
    prompt=32,
    response=6,
    batch=4,
    minibatch=4,
    eval_prompts=4,
    critic_optim=AdamW(lr=1e-2),
  )


def best(stage, of_file):
  return bon.Config(
    model=model(),
    tokenizer='shipped',
    format=chat.TRANSCRIPT,
    prompts=prompts(of_file),
    proxy=(Judge(by=share_of_e),),
    gold=(Judge(by=no_e),),
    count=8,
    n=4,
    prompt=32,
    response=6,
    batch=8,
    page=False,
  )
