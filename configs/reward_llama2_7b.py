"""Reward: Llama-2-7B, from the fine-tuned policy, on HH-RLHF's pairs; writes its calibration card.

  python -m jaxalign.main --config=configs/reward_llama2_7b.py --workdir=gs://BUCKET/reward7b \\
    --config.init=gs://BUCKET/sft7b --config.train.0.path=gs://BUCKET/hh-rlhf \\
    --config.held_out.0.path=gs://BUCKET/hh-rlhf

Slice: v5e-64. Cost (estimated, not run yet): about 35 minutes, 37 chip-hours, for one epoch of
160,000 pairs (75 M tokens, both sides).
Expect (likewise): held-out accuracy of 70 to 73 % on helpful-base, as others report; longer wins
60.2 % there, and 44.4 % on harmless-base (in tokens). card.html in the workdir has the rest.
:smoke   a tiny Llama from scratch on the 200 training pairs that ship: about a minute, to over
70 % of the 48 held-out pairs.
"""

from typing import Literal

from jaxalign.config import AdamW, Logging, Saving, Schedule
from jaxalign.data import chat, sources
from jaxalign.models import llama2
from jaxalign.stages import reward


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(llama2.tiny(width=64, mlp=172, depth=2, kv_heads=4, vocab=1024, remat='none'))
  return full(llama2.llama2_7b(), 'meta-llama/Llama-2-7b-hf', form=chat.TRANSCRIPT)


def full(model, init, form):
  pairs = lambda split: sources.HH(path='hh-rlhf', split=split, as_='pair')
  return reward.Config(
    model=model,
    init=init,
    format=form,
    train=(pairs('train'),),
    held_out=(pairs('test'),),
    length=1024,
    batch=128,
    steps=1250,
    eval_every=250,
    optim=AdamW(lr=5e-6, schedule=Schedule(warmup=40)),
    saving=Saving(every=250, keep=1, best='held_out_loss'),
  )


def smoke(model):
  pairs = lambda split: sources.Shipped(name='pairs', split=split)
  return reward.Config(
    model=model,
    tokenizer='shipped',
    format=chat.TRANSCRIPT,
    train=(pairs('train'),),
    held_out=(pairs('validation'),),
    length=384,
    batch=8,
    steps=80,
    eval_every=80,
    optim=AdamW(lr=2e-3, weight_decay=0.1, schedule=Schedule(warmup=10)),
    saving=Saving(every=80, keep=2),
    logging=Logging(every=20),
  )
