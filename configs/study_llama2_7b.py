"""Two specs of one assistant: the plan of study_smollm2.py, on Llama-2-7B.

  python -m jaxalign.main --config=configs/study_llama2_7b.py --workdir=gs://BUCKET/study7b

The same arms, documents, questions, rules and numbers of steps as study_phi2.py; tokens are counted
by its own tokenizer.

Slice: v5e-16. Cost: not run yet; 33.9 chip-hours of training as --doctor --slice=v5e-16 counts it
at 40 % of peak, 2.1 hours on the slice; asking, writing and judging are minutes by its count;
opening 280 runs and loading 234 models is a guess of 30 to 60 more.
Expect (likewise): as study_phi2.py says.
:crossed three training seeds by three draws instead: it tells their spreads apart, and finds less.
:smoke   the whole path in half a minute: a tiny Llama, three arms, two seeds; it teaches nothing.
"""

from typing import Literal

from configs.two_specs import plan
from configs.two_specs.sizes import smoke, study
from jaxalign.models import llama2


def get_config(variant: Literal['', 'crossed', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(llama2.tiny(width=32, mlp=86, depth=1, vocab=1024, length=2048, remat='none'))
  crossing = plan.crossed(3, 3) if variant == 'crossed' else plan.own(8)
  return study(llama2.llama2_7b(), 'meta-llama/Llama-2-7b-hf', crossing)
