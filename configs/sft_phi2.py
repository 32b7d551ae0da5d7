"""SFT: as sft_llama2_7b.py, for Phi-2.

  python -m jaxalign.main --config=configs/sft_phi2.py --workdir=gs://BUCKET/sft_phi2 \\
    --config.init=gs://BUCKET/explain_phi2

Reads ./hh-rlhf, a clone of the dataset Anthropic/hh-rlhf.

Slice: v5e-16. Cost (estimated, not run yet): about 30 minutes, 8 chip-hours, for two epochs of
160,800 dialogues (90 M tokens; preflight's bound: 14 minutes).
Expect (likewise): held-out loss on the assistant's turns near 1.3 nats a token; only these turns
carry loss.
:smoke   a tiny model from scratch on the 124 dialogues that ship with the package: under a
minute.
"""

from typing import Literal

from configs.sft_llama2_7b import full, smoke
from jaxalign.data import chat
from jaxalign.models import phi2


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(phi2.tiny(width=128, mlp=512, depth=4, vocab=1024, remat='none'))
  return full(phi2.phi2(), 'microsoft/phi-2', length=2048, form=chat.PHI2_INSTRUCT)
