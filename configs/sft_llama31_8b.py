"""SFT: as sft_llama2_7b.py, for Llama-3.1-8B.

  python -m jaxalign.main --config=configs/sft_llama31_8b.py --workdir=gs://BUCKET/sft_llama31_8b \\
    --config.init=gs://BUCKET/explain_llama31_8b

Reads ./hh-rlhf, a clone of the dataset Anthropic/hh-rlhf.
A base knows no format: it learns chat.LLAMA3, as Llama-3.1's instruct model has it but for the date
that this one's template begins with.

Slice: v5e-64 (8.1 GiB of 16 a chip). Cost (estimated, not run yet): about 22 minutes, 23
chip-hours, for two epochs of 160,800 dialogues (90 M tokens; preflight's bound: 10 minutes).
Expect (likewise): held-out loss on the assistant's turns near 1.3 nats a token; only these turns
carry loss.
:smoke   a tiny Llama-3.1 from scratch on the 124 dialogues that ship with the package: under a
minute.
"""

from typing import Literal

from configs.explain_llama31_8b import ENDS
from configs.sft_llama2_7b import full, smoke
from jaxalign.data import chat
from jaxalign.models import llama3


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(llama3.tiny(width=128, mlp=344, depth=4, vocab=1024, remat='none'))
  model = llama3.llama3_1_8b(eos=ENDS)
  return full(model, 'meta-llama/Llama-3.1-8B', length=4096, form=chat.LLAMA3)
