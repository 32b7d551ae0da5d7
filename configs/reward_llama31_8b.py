"""Reward: as reward_llama2_7b.py, for Llama-3.1-8B; the judge and the critic of ppo_llama31_8b.py.

  python -m jaxalign.main --config=configs/reward_llama31_8b.py \\
    --workdir=gs://BUCKET/reward_llama31_8b --config.init=gs://BUCKET/sft_llama31_8b \\
    --config.train.0.path=gs://BUCKET/hh-rlhf --config.held_out.0.path=gs://BUCKET/hh-rlhf

Slice: v5e-64. Cost (estimated, not run yet): about 40 minutes, 43 chip-hours, for one epoch of
160,000 pairs (reward_llama2_7b's, by the ratio of FLOPs).
Expect (likewise): held-out accuracy of 70 to 75 % on helpful-base, above longer wins (60.2 %).
:smoke   a tiny Llama-3.1 from scratch on the 200 training pairs that ship: about a minute.
"""

from typing import Literal

from configs.explain_llama31_8b import ENDS
from configs.reward_llama2_7b import full, smoke
from jaxalign.data import chat
from jaxalign.models import llama3


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(llama3.tiny(vocab=1024, remat='none'))
  return full(llama3.llama3_1_8b(eos=ENDS), 'meta-llama/Llama-3.1-8B', form=chat.LLAMA3)
