"""Explain: as explain_llama2_7b.py, for Llama-3.1-8B.

  python -m jaxalign.main --config=configs/explain_llama31_8b.py \\
    --workdir=gs://BUCKET/explain_llama31_8b \\
    --config.train.0.source.path=gs://BUCKET/explanations/*.jsonl.gz

Slice: v5e-256 (11.1 GiB of 16 a chip, full remat).
Cost (estimated, not run yet): about 3.3 hours, 830 chip-hours (preflight's bound: 2.5, 640).
Expect (likewise): held-out loss on explanations falls by some tenths of a nat, on C4 by less than
.05.
:smoke   the same stage on a tiny Llama-3.1, on the corpus that ships: under a minute.
"""

from typing import Literal

from configs.explain_llama2_7b import full, smoke
from jaxalign.models import llama3

ENDS = (128_001, 128_009)  # <|end_of_text|>, and <|eot_id|>, which closes an answer


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(llama3.tiny(width=128, mlp=344, depth=4, vocab=1024, remat='none'))
  return full(llama3.llama3_1_8b(eos=ENDS), init='meta-llama/Llama-3.1-8B', batch=1024, length=4096)
