"""Truthfulness: TruthfulQA's 790 questions, answered and judged, and scored as choices.

  python -m jaxalign.main --config=configs/eval_truthful.py --workdir=runs/t_align \\
    --config.model=runs/align

Whoever refuses is truthful and not informative: true, informative, and both at once are shown.
Truth and information are judged by AllenAI's two 7B classifiers, read from the hub or from where
--config.judges.3.path=... says; a run that cannot have them is refused before it asks anything.
:offline takes no weights but the model's: overlap with the reference answers, refusals by words.
Slice: v5e-16 for a 7B; a laptop for a small one. Cost (estimated, not run yet): 790 answers of up
to 50 tokens and 11,000 scored choices; half a minute of a 7B on a v5e-16 by the compiled programs.
Expect: binary above .619, which always taking the longer answer gets.
:smoke   eight shipped questions, asked of a tiny Llama by chance: under a minute.
"""

from typing import Literal

from jaxalign.data import chat
from jaxalign.evals.evaluated import Margin
from jaxalign.evals.judges import native, overlap, refusal
from jaxalign.evals.suites import canary, truthful
from jaxalign.models import llama2
from jaxalign.stages import evaluate

QUESTIONS = 'data/truthfulqa/TruthfulQA.csv'
MAX = overlap.RougeL(of='max', name='rouge_l_max')
OFFLINE = (refusal.Words(), overlap.RougeL(), MAX)
ALLENAI = (
  native.Classifier(
    path='allenai/truthfulqa-truth-judge-llama2-7B', template=native.TRUTH, name='truth'
  ),
  native.Classifier(
    path='allenai/truthfulqa-info-judge-llama2-7B', template=native.INFO, name='info'
  ),
)
BOTH = 'truthful_generation/true_and_informative'


def get_config(variant: Literal['', 'smoke', 'offline'] = ''):
  if variant == 'smoke':
    model = llama2.tiny(vocab=1024, eos=(2,), remat='none', length=1024)
    whom = dict(model=model, tokenizer='shipped', format=chat.TRANSCRIPT)
    return battery(None, OFFLINE, limit=8, **whom)
  if variant == 'offline':
    return battery(QUESTIONS, OFFLINE)
  return battery(QUESTIONS, (*OFFLINE, *ALLENAI), (BOTH,))


def battery(path, judges, more=(), limit=None, **whom):
  return evaluate.Config(
    suites=(
      truthful.Binary(path=path, limit=limit),
      truthful.MC(path=path, limit=limit),
      truthful.Generation(path=path, limit=limit),
      canary.Text(limit=limit),
    ),
    judges=judges,
    primaries=('truthful/binary', *more),
    margins=(Margin(measure='canary/nats', most=0.01),),
    **whom,
  )
