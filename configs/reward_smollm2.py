"""Reward: as reward_llama2_7b.py, for SmolLM2-135M-Instruct in its own chat template; the judge and
the critic of ppo_smollm2.py. :lora trains thin matrices and the head.

  python -m jaxalign.main --config=configs/reward_smollm2.py --workdir=runs/reward_smollm2 \\
    --config.init=runs/sft_smollm2

Slice: v5e-4. Cost (estimated, not run yet): about half an hour, for one epoch of
160,000 pairs.
Expect (likewise): held-out accuracy of 60 to 66 % on helpful-base, where longer wins is 60.2 %.
:rlaif   :lora on the few pairs of corpus_smollm2.py:rlaif, on two cores: plumbing, in minutes.
:smoke   a tiny Llama with a tied head from scratch on the 200 training pairs that ship: about a
minute.
"""

import dataclasses
from typing import Literal

from configs.explain_llama2_7b_lora import MATRICES
from configs.explain_smollm2 import HUB
from configs.reward_llama2_7b import full, smoke
from jaxalign.config import AdamW, Logging, Saving, Schedule
from jaxalign.data import chat, rows
from jaxalign.data.sources import Jsonl
from jaxalign.models import llama2
from jaxalign.models.adapters import Lora


def get_config(variant: Literal['', 'lora', 'rlaif', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(llama2.tiny(vocab=1024, tied=True, remat='none'))
  lora = Lora(weights=MATRICES) if variant else None
  optim = AdamW(lr=2e-4 if lora else 2e-5, schedule=Schedule(warmup=40))
  base = full(llama2.smollm2_135m(), HUB, form=chat.OWN)
  if variant == 'rlaif':
    return _on_few_pairs(base, lora)
  return dataclasses.replace(base, microbatches=8, lora=lora, optim=optim)


def _on_few_pairs(base, lora):
  columns = rows.Columns(margin='margin', subset='subset')
  pairs = lambda split: Jsonl(path=f'runs/rlaif/{split}/pairs.jsonl', kind='pair', columns=columns)
  small = dict(length=384, batch=2, steps=8, eval_every=8, saving=Saving(every=8, keep=1))
  return dataclasses.replace(
    base,
    model=llama2.smollm2_135m(dtype='float32', remat='none'),
    train=(pairs('train'),),
    held_out=(pairs('validation'),),
    lora=lora,
    optim=AdamW(lr=2e-4, schedule=Schedule(warmup=2)),
    logging=Logging(every=1),
    **small,
  )
