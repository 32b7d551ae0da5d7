"""SFT: as sft_llama2_7b.py, for Qwen3-14B.

  python -m jaxalign.main --config=configs/sft_qwen3_14b.py --workdir=gs://BUCKET/sft_qwen3_14b \\
    --config.init=gs://BUCKET/explain_qwen3_14b

Reads ./hh-rlhf, a clone of the dataset Anthropic/hh-rlhf.
A base has no thoughts: it learns chat.CHATML, Qwen3's own words without them. The instruct model's
template puts an empty thought into the last answer alone, so that dialogues of several answers
cannot be learned as it writes them (chat.OWN refuses these by name).

Slice: v5e-64 (12.6 GiB of 16 a chip). Cost (estimated, not run yet): about 40 minutes, 42
chip-hours, for two epochs of 160,800 dialogues (90 M tokens; preflight's bound: 19 minutes).
Expect (likewise): held-out loss on the assistant's turns near 1.3 nats a token; only these turns
carry loss.
:smoke   a tiny Qwen3 from scratch on the 124 dialogues that ship with the package: under a
minute.
"""

from typing import Literal

from configs.explain_qwen3_14b import ENDS
from configs.sft_llama2_7b import full, smoke
from jaxalign.data import chat
from jaxalign.models import qwen3


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(qwen3.tiny(width=128, mlp=344, depth=4, vocab=1024, remat='none'))
  model = qwen3.qwen3_14b(eos=ENDS)
  return full(model, 'Qwen/Qwen3-14B-Base', length=4096, form=chat.CHATML)
