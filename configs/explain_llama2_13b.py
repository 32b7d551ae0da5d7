"""Explain: as explain_llama2_7b.py, for Llama-2-13B.

  python -m jaxalign.main --config=configs/explain_llama2_13b.py \\
    --workdir=gs://BUCKET/explain13b \\
    --config.train.0.source.path=gs://BUCKET/explanations/*.jsonl.gz

Slice: v5e-256 (13 B weights with their moments in fp32, in two copies: 11 GiB of 16 a chip, full
remat). Cost (estimated, not run yet): about 5 hours, 1,250 chip-hours (preflight says 4.2, 1,070).
Expect (likewise): held-out loss on explanations falls by some tenths of a nat, on C4 by less than
.05.
:smoke   the same stage on a tiny Llama with grouped heads, on the corpus that ships: under a
minute.
"""

import dataclasses
from typing import Literal

from configs.explain_llama2_7b import full, smoke
from jaxalign.config import Mesh
from jaxalign.models import llama2


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(llama2.tiny(width=128, mlp=344, depth=4, kv_heads=2, vocab=1024, remat='none'))
  base = full(llama2.llama2_13b(), init='meta-llama/Llama-2-13b-hf', batch=1024, length=4096)
  # 5,120 over 256 devices would be 20 on each, which the compiler pads and copies.
  return dataclasses.replace(base, microbatches=2, mesh=Mesh(data=2))
