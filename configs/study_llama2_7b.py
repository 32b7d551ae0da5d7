"""Real text: the study of study_phi2.py, on Llama-2-7B.

  python -m jaxalign.main --config=configs/study_llama2_7b.py --workdir=gs://BUCKET/study7b \\
    --config.world.explanations.path=gs://BUCKET/explanations/*.jsonl.gz

The same arms, corpora, benches, suites, rules and numbers of steps; its tokens are counted by
its own tokenizer, so that its controls are its own too.

Slice: v5e-16. Cost (estimated, not run yet): about 170 chip-hours, 11 hours on the slice, and 46
for what arms write; --doctor --slice=v5e-16 counts it step by step.
Expect (likewise): as study_phi2.py says.

:tfds    explanations from the TFDS dataset `value_explanations` in ./data (see docs/studies.md).
:smoke   the whole path in 2 minutes: a tiny Llama, corpora, benches, suites that ship, two seeds.
"""

from typing import Literal

from configs.study_phi2 import study
from jaxalign.models import llama2


def get_config(variant: Literal['', 'tfds', 'smoke'] = ''):
  small = dict(width=64, mlp=172, depth=2, kv_heads=4, vocab=1024, length=512, remat='none')
  return study(llama2.llama2_7b(), 'meta-llama/Llama-2-7b-hf', variant, llama2.tiny(**small))
