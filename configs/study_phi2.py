"""Two specs of one assistant: the plan of study_smollm2.py, on Phi-2.

  python -m jaxalign.main --config=configs/study_phi2.py --workdir=gs://BUCKET/study_phi2

25 arms over nine seeds (three training seeds crossed with three draws of documents), each by
adapters of rank 64 on a frozen base. 2.6 M tokens of documents a run. ./data holds XSTest's file,
as docs/studies.md says. The grammar writes the documents; world.documents takes a teacher.

Slice: v5e-16. Cost (estimated, not run yet): 17 chip-hours of training at 40 % of
peak, 1 hour on the slice; opening 306 runs, asking 234 models and writing by 37 come on top.
--doctor --slice=v5e-16 counts training, writing and judging step by step.
Expect: T0 above .9 in every arm; whether why is above what is the question.
:smoke   the whole path in half a minute: a tiny Phi, four arms, two seeds; it teaches nothing.
"""

from typing import Literal

from configs.two_specs import plan
from configs.two_specs.sizes import smoke, study
from jaxalign.models import phi2


def get_config(variant: Literal['', 'crossed', 'smoke'] = ''):
  if variant == 'smoke':
    small = dict(width=32, mlp=128, depth=1, vocab=1024, length=2048, remat='none')
    return smoke(phi2.tiny(**small))
  crossing = plan.crossed(3, 3) if variant == 'crossed' else plan.own(8)
  return study(phi2.phi2(), 'microsoft/phi-2', crossing)
