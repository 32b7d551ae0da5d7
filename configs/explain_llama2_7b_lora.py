"""Explain by adapter: rank 64 on all matrices of a frozen bf16 Llama-2-7B, 40 M tokens.

  python -m jaxalign.main --config=configs/explain_llama2_7b_lora.py \\
    --workdir=gs://BUCKET/explain7b_lora \\
    --config.train.0.source.path=gs://BUCKET/explanations.jsonl

Slice: v5e-16. Cost (estimated, not run yet): about 25 minutes, 6 chip-hours, at 1,700
tokens/s/chip.
Expect (likewise): the recipe of Model Spec Midtraining (8 to 41 M document tokens, rank 64, lr
1e-4, one epoch).
jaxalign.load(workdir) gives the base with the adapter folded in; jaxalign.export writes it.
:smoke   needs a base to adapt: run explain_llama2_7b.py:smoke first, with --workdir=runs/explain
         (another place is named by --config.init).
"""

import dataclasses
from typing import Literal

from configs import explain_llama2_7b
from jaxalign.config import AdamW, Schedule
from jaxalign.models import llama2
from jaxalign.models.adapters import Lora

MATRICES = ('q_*', 'k_*', 'v_*', 'o_*', 'gate_*', 'up_*', 'down_*')


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    base = explain_llama2_7b.get_config('smoke')
    lora, optim = Lora(rank=8, alpha=16.0, weights=MATRICES), AdamW(lr=2e-3)
    changes = dict(init='runs/explain', steps=40, eval_every=40, lora=lora, optim=optim)
    return dataclasses.replace(base, **changes)
  model = llama2.llama2_7b(weights='bfloat16')
  base = explain_llama2_7b.full(model, 'meta-llama/Llama-2-7b-hf', batch=64, length=4096)
  schedule = Schedule(shape='cosine', warmup=10)
  return dataclasses.replace(
    base,
    steps=40_000_000 // (64 * 4096),
    lora=Lora(rank=64, alpha=128.0, weights=MATRICES),
    optim=AdamW(lr=1e-4, schedule=schedule),
  )
