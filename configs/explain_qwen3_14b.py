"""Explain: as explain_llama2_7b.py, for Qwen3-14B.

  python -m jaxalign.main --config=configs/explain_qwen3_14b.py \\
    --workdir=gs://BUCKET/explain_qwen3_14b \\
    --config.train.0.source.path=gs://BUCKET/explanations/*.jsonl.gz

Slice: v5e-256 (12.6 GiB of 16 a chip, in four microbatches of one row; weights in two copies).
Cost (estimated, not run yet): about 5.5 hours, 1,400 chip-hours (preflight's bound: 4.7, 1,200).
Expect (likewise): held-out loss on explanations falls by some tenths of a nat, on C4 by less than
.05.
:smoke   the same stage on a tiny Qwen3, on the corpus that ships: under a minute.
"""

import dataclasses
from typing import Literal

from configs.explain_llama2_7b import full, smoke
from jaxalign.config import Mesh
from jaxalign.models import qwen3

ENDS = (151_643, 151_645)  # <|endoftext|>, and <|im_end|>, which closes an answer


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(qwen3.tiny(width=128, mlp=344, depth=4, vocab=1024, remat='none'))
  base = full(qwen3.qwen3_14b(eos=ENDS), init='Qwen/Qwen3-14B-Base', batch=1024, length=4096)
  # 5,120 over 256 devices would be 20 on each, which the compiler pads and copies.
  return dataclasses.replace(base, microbatches=4, mesh=Mesh(data=2))
