"""Explain: as explain_llama2_7b.py, for Phi-2, whose rows are 2,048 tokens.

  python -m jaxalign.main --config=configs/explain_phi2.py \\
    --workdir=gs://BUCKET/explain_phi2 \\
    --config.train.0.source.path=gs://BUCKET/explanations/*.jsonl.gz

Slice: v5e-64 (2.8 B weights with their moments in fp32: under 2 GiB a chip besides activations).
Cost (estimated, not run yet): about 4.5 hours, 290 chip-hours, at 5,800 tokens/s/chip (50 % of
the chip's peak).
Expect (likewise): held-out loss on explanations falls by some tenths of a nat, on C4 by less than
.1.
:smoke   the same stage on a tiny Phi, on the corpus that ships: under a minute.
"""

from typing import Literal

from configs.explain_llama2_7b import full, smoke
from jaxalign.models import phi2


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(phi2.tiny(width=128, mlp=512, depth=4, vocab=1024, remat='none'))
  return full(phi2.phi2(), init='microsoft/phi-2', batch=1024, length=2048)
