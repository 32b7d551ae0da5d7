"""Reward: as reward_llama2_7b.py, for Phi-2.

  python -m jaxalign.main --config=configs/reward_phi2.py --workdir=gs://BUCKET/reward_phi2 \\
    --config.init=gs://BUCKET/sft_phi2 --config.train.0.path=gs://BUCKET/hh-rlhf \\
    --config.held_out.0.path=gs://BUCKET/hh-rlhf

Slice: v5e-16. Cost (estimated, not run yet): about 60 minutes, 16 chip-hours, for one epoch of
160,000 pairs (75 M tokens, both sides).
Expect (likewise): held-out accuracy some points below Llama-2-7B's, well above longer wins.
:smoke   a tiny Phi from scratch on the 200 training pairs that ship: about a minute
(83 % of the 48 held-out pairs).
"""

from typing import Literal

from configs.reward_llama2_7b import full, smoke
from jaxalign.data import chat
from jaxalign.models import phi2


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(phi2.tiny(width=64, mlp=256, depth=2, vocab=1024, remat='none'))
  return full(phi2.phi2(), 'microsoft/phi-2', form=chat.PHI2_INSTRUCT)
