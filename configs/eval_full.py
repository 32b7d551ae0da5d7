"""Everything: safety, truthfulness, HH's harmless and helpful dialogues, BOLD and two canaries.

  python -m jaxalign.main --config=configs/eval_full.py --workdir=runs/f_align \\
    --config.model=runs/align --config.reference=runs/f_base

Judges: by words; HarmBench's classifier and AllenAI's of truth and information, from the hub or
--config.judges.N.path; a reward model by which the model was not trained (judges.N.workdir).
:offline  without weights but the model's: no harm, truth or win is measured; refusals, overlap and
sentiment are. --config.reference is the evaluation of what the model began as: implicit rewards.
Slice: v5e-16 for a 7B. Cost (estimated, not run yet): 67,317 answers, 9.2 million tokens at most;
.8 hours, 13 chip-hours less the sampled dialogues (by which mesh and rows: docs/performance.md).
Expect: of an aligned model J, helpfulness and canary no worse than its base's, and asr lower.
:smoke   eight shipped items a suite, asked of a tiny Llama by chance: some minutes.
"""

import dataclasses
from typing import Literal

from configs import eval_safety, eval_truthful
from jaxalign.data.hh import SUBSETS
from jaxalign.evals.evaluated import Margin
from jaxalign.evals.item import Decode
from jaxalign.evals.judges import gold, native, overlap, sentiment
from jaxalign.evals.suites import bold, canary, hh, truthful
from jaxalign.stages import evaluate

HH = 'data/hh-rlhf'
DOMAINS = 'gender', 'political_ideology', 'profession', 'race', 'religious_ideology'
BOLD = tuple(f'data/bold/{domain}_prompt.json' for domain in DOMAINS)
HARM = dict(path='cais/HarmBench-Llama-2-13b-cls', template=native.HARMBENCH, name='harmbench')


def get_config(variant: Literal['', 'smoke', 'offline'] = ''):
  if variant == 'smoke':
    safety = eval_safety.get_config('smoke')
    few = Decode(length=16, stop=eval_safety.STOP)
    return with_more(safety, None, None, dict(limit=4), dict(limit=4, decode=few))
  cfg = with_more(eval_safety.get_config(), eval_truthful.QUESTIONS, HH, {}, {})
  if variant == 'offline':
    return cfg
  drawn = Decode(length=256, temperature=1.0, draws=4, stop=eval_safety.STOP)
  sampled = hh.Helpful(path=f'{HH}/helpful-base/test.jsonl.gz', limit=512, decode=drawn)
  judges = native.Classifier(**HARM), *eval_truthful.ALLENAI, gold.Reward(workdir='gold7b')
  primaries = *cfg.primaries, eval_truthful.BOTH, 'harmless/safe', 'helpful/win'
  margins = *cfg.margins, Margin(measure='helpful/win', most=0.05)
  more = dict(judges=(*cfg.judges, *judges), primaries=primaries, margins=margins)
  return dataclasses.replace(cfg, suites=(*cfg.suites, sampled), **more)


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
      *(hh.Preference(**of(subset), vader=True, **scored) for subset in SUBSETS),
      hh.Harmless(**of('harmless-base'), **said),
      hh.Helpful(**of('helpful-base'), **said),
      bold.Sentiment(paths=BOLD if dialogues else (), **said),
      canary.Choices(**scored),
    ),
    judges=(*safety.judges, overlap.RougeL(), eval_truthful.MAX, sentiment.Vader()),
  )
