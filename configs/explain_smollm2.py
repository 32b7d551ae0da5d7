"""Explain: as explain_llama2_7b.py, for SmolLM2-135M, on one chip or, in small, on a laptop.

  python -m jaxalign.main --config=configs/explain_smollm2.py --workdir=runs/explain_smollm2 \\
    --config.train.0.source.path=explanations/*.jsonl.gz

Slice: v5e-4. Cost (estimated, not run yet): about half an hour, for 100 M tokens.
Expect (likewise): held-out loss on explanations falls by some tenths of a nat, on C4 by less than
.1.
:smoke   the same stage on a tiny Llama with a tied head, on the corpus that ships: under a minute.
"""

import dataclasses
from typing import Literal

from configs.explain_llama2_7b import full, smoke
from jaxalign.models import llama2

HUB = 'HuggingFaceTB/SmolLM2-135M-Instruct'


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(llama2.tiny(width=128, mlp=344, depth=4, vocab=1024, tied=True, remat='none'))
  base = full(llama2.smollm2_135m(), init=HUB, batch=128, length=2048)
  return dataclasses.replace(base, microbatches=8, steps=100_000_000 // (128 * 2048))
