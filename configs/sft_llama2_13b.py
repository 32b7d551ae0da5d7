"""SFT: as sft_llama2_7b.py, for Llama-2-13B.

  python -m jaxalign.main --config=configs/sft_llama2_13b.py --workdir=gs://BUCKET/sft_llama2_13b \\
    --config.init=gs://BUCKET/explain_llama2_13b

Reads ./hh-rlhf, a clone of the dataset Anthropic/hh-rlhf.

Slice: v5e-64. Cost (estimated, not run yet): about 35 minutes, 40 chip-hours, for two epochs of
160,800 dialogues (90 M tokens; preflight's bound: 16 minutes).
Expect (likewise): held-out loss on the assistant's turns near 1.3 nats a token; only these turns
carry loss.
:smoke   a tiny model from scratch on the 124 dialogues that ship with the package: under a
minute.
"""

from typing import Literal

from configs.sft_llama2_7b import full, smoke
from jaxalign.data import chat
from jaxalign.models import llama2


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(llama2.tiny(width=128, mlp=344, depth=4, kv_heads=2, vocab=1024, remat='none'))
  return full(llama2.llama2_13b(), 'meta-llama/Llama-2-13b-hf', length=4096, form=chat.TRANSCRIPT)
