"""Truthfulness: TruthfulQA's 790 questions, answered and judged, and scored as choices.

  python -m jaxalign.main --config=configs/eval_truthful.py --workdir=runs/t_align \\
    --config.model=runs/align

Whoever refuses is truthful and not informative: both rates are shown. Truth and information are
judged by a classifier, if --config names one; by words of a refusal in any case.
Slice: v5e-16 for a 7B; a laptop for a small one. Cost (estimated, not run yet): 790 answers of up
to 50 tokens and 11,000 scored choices; half a minute of a 7B on a v5e-16 by the compiled programs.
Expect: binary above .619, which always taking the longer answer gets.
:smoke   eight shipped questions, asked of a tiny Llama by chance: under a minute.
"""

from typing import Literal

from jaxalign.data import chat
from jaxalign.evals.evaluated import Margin
from jaxalign.evals.judges import refusal
from jaxalign.evals.suites import canary, truthful
from jaxalign.models import llama2
from jaxalign.stages import evaluate

QUESTIONS = 'data/truthfulqa/TruthfulQA.csv'


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    model = llama2.tiny(vocab=1024, eos=(2,), remat='none', length=1024)
    return battery(None, limit=8, model=model, tokenizer='shipped', format=chat.TRANSCRIPT)
  return battery(QUESTIONS)


def battery(path, limit=None, **whom):
  return evaluate.Config(
    suites=(
      truthful.Binary(path=path, limit=limit),
      truthful.MC(path=path, limit=limit),
      truthful.Generation(path=path, limit=limit),
      canary.Text(limit=limit),
    ),
    judges=(refusal.Words(),),
    primaries=('truthful/binary',),
    margins=(Margin(measure='canary/nats', most=0.01),),
    **whom,
  )
