"""Two specs of one assistant: do documents that say why steer SmolLM2-135M more than what does?

  python -m jaxalign.main --config=configs/study_smollm2.py --workdir=runs/study_smollm2

Documents for safety (A) or thrift (B) as what Alder, an assistant, goes by, then demonstrations in
which both answer alike, then held-out domains in which they part. 25 arms: why, what, the reasons
of another, mention and what speaks against, each before the demonstrations; why after them; why and
what alone; and as controls more demonstrations, reasons inside them, documents on somebody else, a
spec in the prompt. Eight seeds, each with a training seed and a draw of documents of its own. The
grammar writes; world.documents takes a teacher as docs/corpora.md says.

Slice: v5e-1, or one H100. Cost: not run yet; on the H100 12 minutes, by estimate. 4 are training,
155 M tokens at 40 % of peak as --doctor --slice=h100-1 counts it; the rest is a guess: 280 runs to
open and save (1 s each), 201 models to ask (.7 s), 33 that write (2 s). The grammar's documents are
7 minutes of a CPU core before that (docs/studies.md).
Expect: T0 above .9 in every arm; whether why is above what is the question.

:crossed three training seeds by three draws instead: it tells their spreads apart, and finds less.
:pilot   SDs and plumbing on two cores: 4 arms, 3 seeds, each with a draw of its own, 11 k tokens of
         documents a run, by adapters on the directory in SMOLLM2, or ~/.cache/jaxalign/smollm2.
         Under an hour, counted in docs/studies.md. Too little to steer.
:smoke   the whole path in half a minute: a tiny Llama, three arms, two seeds; it teaches nothing.
"""

import dataclasses
import os
from typing import Literal

from configs.explain_smollm2 import HUB
from configs.two_specs import plan, sizes
from jaxalign.data import chat
from jaxalign.data.sources import Shipped
from jaxalign.models import llama2
from jaxalign.models.adapters import Lora
from jaxalign.study.stage import Config
from jaxalign.study.two_specs import rules

HERE = os.environ.get('SMOLLM2') or os.path.expanduser('~/.cache/jaxalign/smollm2')


def get_config(variant: Literal['', 'crossed', 'pilot', 'smoke'] = ''):
  if variant == 'smoke':
    return sizes.smoke(
      llama2.tiny(width=32, mlp=86, depth=1, vocab=1024, length=2048, remat='none')
    )
  model, lora = llama2.smollm2_135m(), Lora(rank=64, alpha=128.0, weights=sizes.WIDE)
  if variant == 'pilot':
    thin = Lora(rank=16, alpha=32.0, weights=sizes.WIDE)
    model = dataclasses.replace(model, dtype='float32', remat='none')
    return pilot(sizes.stages(model, HERE, thin, length=256), HERE)
  crossing = plan.crossed(3, 3) if variant == 'crossed' else plan.own(8)
  return Config(
    world=plan.world(HUB, chat.OWN, crossing, length=512),
    base=None,
    recipes=plan.recipes(
      sizes.stages(model, HUB, lora, length=512), (5e-4, 32, 64), (5e-4, 20, 16), (5e-4, 5, 16)
    ),
    arms=tuple(plan.arms()),
    seeds=tuple(range(len(crossing))),
    rules=rules.rules(),
    workers=0,
  )


def pilot(stage, init):
  """Each seed has a training seed and a draw of its own: its SD holds both factors."""
  world = plan.world(
    init,
    chat.OWN,
    plan.own(3),
    documents=60,
    length=256,
    general=Shipped(name='general'),
    background=2_000,
    taught=96,
    more=96,
    limit=8,
    suites=plan.suites(limit=8, scenes=8, length=24),
  )
  world = dataclasses.replace(world, benches=(dataclasses.replace(world.benches[0], limit=4),))
  return Config(
    world=world,
    base=None,
    arms=sizes.few(plan.STEERED),
    seeds=(0, 1, 2),
    rules=rules.rules(),
    workers=0,
    recipes=plan.recipes(stage, (5e-4, 12, 4), (5e-4, 8, 4), (5e-4, 2, 4)),
  )
