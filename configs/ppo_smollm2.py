"""PPO: as ppo_llama2_7b.py, for SmolLM2-135M-Instruct in its own chat template.

  python -m jaxalign.main --config=configs/ppo_smollm2.py --workdir=runs/ppo_smollm2 \\
    --config.init=runs/sft_smollm2 --config.judges.0.by=runs/reward_smollm2 \\
    --config.critic=runs/reward_smollm2

Reads ./hh-rlhf, a clone of the dataset Anthropic/hh-rlhf. :lora has one base for policy, critic and
reference (no --config.critic).

Slice: v5e-4. Cost (estimated, not run yet): about 5 hours, for 400 iterations of 128
prompts.
Expect (likewise): the proxy reward on held-out prompts rises by 1 to 2 at a KL of 10 to 20 nats a
sequence; a reward model of this size is soon fooled, so read what is said.
:smoke   a tiny Llama with a tied head learns to write the letter e, on the prompts that ship with
the package: about a minute.
"""

import dataclasses
from typing import Literal

from configs.explain_llama2_7b_lora import MATRICES
from configs.ppo_llama2_7b import full, smoke
from jaxalign.config import AdamW, Schedule
from jaxalign.data import chat
from jaxalign.models import llama2
from jaxalign.models.adapters import Lora


def get_config(variant: Literal['', 'lora', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(llama2.tiny(vocab=1024, eos=(2,), tied=True, remat='none', unroll=2))
  base = full(llama2.smollm2_135m(), 'sft_smollm2', 'reward_smollm2', form=chat.OWN)
  base = dataclasses.replace(base, batch=128, minibatch=64, microbatches=4)
  if variant == '':
    return base
  adam = lambda lr: AdamW(lr=lr, eps=1e-5, schedule=Schedule(warmup=20))
  lora = Lora(weights=MATRICES)
  return dataclasses.replace(
    base, lora=lora, critic=None, optim=adam(5e-5), critic_optim=adam(1e-4)
  )
