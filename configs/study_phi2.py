"""Two specs of one assistant: the plan of study_smollm2.py, on Phi-2.

  python -m jaxalign.main --config=configs/study_phi2.py --workdir=gs://BUCKET/study_phi2

25 arms over eight seeds, each with a training seed and a draw of documents of its own, by adapters
of rank 64 on a frozen base. 2.6 M tokens of documents a run. ./data holds XSTest's file, as
docs/studies.md says. The grammar writes the documents; world.documents takes a teacher.

Slice: v5e-16. Cost: not run yet; 13.7 chip-hours of training as --doctor --slice=v5e-16 counts it
at 40 % of peak, 51 minutes on the slice; asking, writing and judging are minutes by its count;
opening 280 runs and loading 234 models is a guess of 15 to 30 more.
Expect: T0 above .9 in every arm; whether why is above what is the question.
:crossed three training seeds by three draws instead: it tells their spreads apart, and finds less.
:smoke   the whole path in half a minute: a tiny Phi, three arms, two seeds; it teaches nothing.
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
