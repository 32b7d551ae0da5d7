"""Reward: as reward_llama2_7b.py, for Qwen3-14B; the judge and the critic of ppo_qwen3_14b.py.

  python -m jaxalign.main --config=configs/reward_qwen3_14b.py \\
    --workdir=gs://BUCKET/reward_qwen3_14b --config.init=gs://BUCKET/sft_qwen3_14b \\
    --config.train.0.path=gs://BUCKET/hh-rlhf --config.held_out.0.path=gs://BUCKET/hh-rlhf

Slice: v5e-64. Cost (estimated, not run yet): about 75 minutes, 80 chip-hours, for one epoch of
160,000 pairs (reward_llama2_7b's, by the ratio of FLOPs).
Expect (likewise): held-out accuracy of 70 to 75 % on helpful-base, above longer wins (60.2 %).
:smoke   a tiny Qwen3 from scratch on the 200 training pairs that ship: about a minute.
"""

from typing import Literal

from configs.explain_qwen3_14b import ENDS
from configs.reward_llama2_7b import full, smoke
from jaxalign.data import chat
from jaxalign.models import qwen3


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(qwen3.tiny(vocab=1024, remat='none'))
  return full(qwen3.qwen3_14b(eos=ENDS), 'Qwen/Qwen3-14B-Base', form=chat.CHATML)
