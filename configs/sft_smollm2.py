"""SFT: as sft_llama2_7b.py, for SmolLM2-135M-Instruct, in its own chat template (chat.OWN).

  python -m jaxalign.main --config=configs/sft_smollm2.py --workdir=runs/sft_smollm2

Reads ./hh-rlhf, a clone of the dataset Anthropic/hh-rlhf. :lora trains thin matrices beside the
frozen weights, and runs on two cores of a laptop too:

  python -m jaxalign.main --config=configs/sft_smollm2.py:lora --workdir=runs/sft_lora \\
    --config.model.dtype=float32 --config.batch=4 --config.microbatches=1 --config.length=256 \\
    --config.steps=20 --config.eval_every=20 --config.optim.schedule.warmup=2

(30 November 2026, on 383 short dialogues: loss 2.60 to 2.34, held out 2.21, in 5 minutes of CPU.)

Slice: v5e-4. Cost (estimated, not run yet): about half an hour, for two epochs of
160,800 dialogues (90 M tokens; preflight's bound: 6 minutes).
Expect (likewise): held-out loss on the assistant's turns near 1.8 nats a token; only these turns
carry loss.
:smoke   a tiny Llama with a tied head from scratch on the 124 dialogues that ship with the package:
under a minute.
"""

import dataclasses
from typing import Literal

from configs.explain_llama2_7b_lora import MATRICES
from configs.explain_smollm2 import HUB
from configs.sft_llama2_7b import full, smoke
from jaxalign.config import AdamW, Schedule
from jaxalign.data import chat
from jaxalign.models import llama2
from jaxalign.models.adapters import Lora


def get_config(variant: Literal['', 'lora', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(llama2.tiny(width=128, mlp=344, depth=4, vocab=1024, tied=True, remat='none'))
  lora = Lora(weights=MATRICES) if variant == 'lora' else None
  base = full(llama2.smollm2_135m(), HUB, length=2048, form=chat.OWN)
  optim = AdamW(lr=2e-4 if lora else 2e-5, schedule=Schedule(warmup=10))
  return dataclasses.replace(base, microbatches=8, lora=lora, optim=optim)
