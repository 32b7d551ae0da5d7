"""Everything: safety, truthfulness, HH's harmless and helpful dialogues, BOLD and two canaries.

  python -m jaxalign.main --config=configs/eval_full.py --workdir=runs/f_align \\
    --config.model=runs/align

Slice: v5e-16 for a 7B. Cost (estimated, not run yet): 61,396 answers, 8.7 million tokens at most;
.8 hours and 13 chip-hours by the compiled programs, eval_safety's suites with mesh.data=2,
mesh.fsdp=1, mesh.tensor=8 and rows=96, the others with rows=32 (HH's dialogues are long).
Expect: of an aligned model J, helpfulness and canary no worse than its base's, and asr lower.
:smoke   eight shipped items a suite, asked of a tiny Llama by chance: some minutes.
"""

import dataclasses
from typing import Literal

from configs import eval_safety, eval_truthful
from jaxalign.evals.item import Decode
from jaxalign.evals.judges import overlap, sentiment
from jaxalign.evals.suites import bold, canary, hh, truthful
from jaxalign.stages import evaluate

HH = 'data/hh-rlhf'
DOMAINS = 'gender', 'political_ideology', 'profession', 'race', 'religious_ideology'
BOLD = tuple(f'data/bold/{domain}_prompt.json' for domain in DOMAINS)


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    safety = eval_safety.get_config('smoke')
    few = Decode(length=16, stop=eval_safety.STOP)
    return with_more(safety, None, None, dict(limit=4), dict(limit=4, decode=few))
  return with_more(eval_safety.get_config(), eval_truthful.QUESTIONS, HH, {}, {})


def with_more(safety, questions, dialogues, scored, said) -> evaluate.Config:
  """The safety battery, and all else. scored, said: of suites of either kind, what differs."""

  def of(subset):
    path = dialogues and f'{dialogues}/{subset}/test.jsonl.gz'
    return dict(subset=subset, path=path)

  return dataclasses.replace(
    safety,
    suites=(
      *safety.suites,
      truthful.MC(path=questions, **scored),
      truthful.Generation(path=questions, **scored),
      hh.Preference(**of('harmless-base'), **scored),
      hh.Preference(**of('helpful-base'), **scored),
      hh.Harmless(**of('harmless-base'), **said),
      hh.Helpful(**of('helpful-base'), **said),
      bold.Sentiment(paths=BOLD if dialogues else (), **said),
      canary.Choices(**scored),
    ),
    judges=(*safety.judges, overlap.RougeL(), sentiment.Vader()),
  )
