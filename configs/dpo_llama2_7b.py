"""DPO: the fine-tuned Llama-2-7B on HH-RLHF's pairs, without a reward model in between.

  python -m jaxalign.main --config=configs/dpo_llama2_7b.py --workdir=gs://BUCKET/dpo7b \\
    --config.init=gs://BUCKET/sft7b --config.train.0.path=gs://BUCKET/hh-rlhf \\
    --config.held_out.0.path=gs://BUCKET/hh-rlhf

Slice: v5e-64 (fp32 weights and moments, and the frozen reference in bf16).
Cost (estimated, not run yet): about 50 minutes, 53 chip-hours, for one epoch of 160,000 pairs.
Expect (likewise): loss from near log 2 to about .6; implicit rewards right in 62 to 68 % of the
held-out pairs. card.html in the workdir is of these implicit rewards.
:smoke   a tiny Llama by chance, its own reference, on the pairs that ship: about a minute.
"""

from typing import Literal

from jaxalign.config import AdamW, Logging, Saving, Schedule
from jaxalign.data import chat, sources
from jaxalign.models import llama2
from jaxalign.stages import dpo


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(llama2.tiny(width=64, mlp=172, depth=2, kv_heads=4, vocab=1024, remat='none'))
  pairs = lambda split: sources.HH(path='hh-rlhf', split=split, as_='pair')
  return dpo.Config(
    model=llama2.llama2_7b(),
    init='meta-llama/Llama-2-7b-hf',
    format=chat.TRANSCRIPT,
    train=(pairs('train'),),
    held_out=(pairs('test'),),
    length=1024,
    batch=128,
    steps=1250,
    eval_every=250,
    beta=0.1,
    reference='bfloat16',
    optim=AdamW(lr=5e-7, schedule=Schedule(warmup=125)),
    saving=Saving(every=250, keep=1, best='held_out_loss'),
  )


def smoke(model):
  pairs = lambda split: sources.Shipped(name='pairs', split=split)
  return dpo.Config(
    model=model,
    tokenizer='shipped',
    format=chat.TRANSCRIPT,
    train=(pairs('train'),),
    held_out=(pairs('validation'),),
    length=384,
    batch=8,
    steps=60,
    eval_every=60,
    optim=AdamW(lr=5e-4, schedule=Schedule(warmup=5)),
    saving=Saving(every=60, keep=2),
    logging=Logging(every=20),
  )
