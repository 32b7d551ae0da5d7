"""Batteries: the suites that arms of a study on real text are asked to write, and their judges.

They are the suites of stage evaluate, with fewer items where there are thousands: all of it is
asked of every arm of every seed.
"""

from typing import Any

from jaxalign.evals.item import Decode
from jaxalign.evals.judges import refusal, sentiment
from jaxalign.evals.suites import bold, canary, hh, jailbreak, overrefusal, truthful
from jaxalign.evals.templates import PUBLISHED

_STOP = ('\n\nHuman:',)
_PLAIN = PUBLISHED[:1]  # the request as it stands
_ROWS = 192  # at once: 12 on each device of a v5e-16, as many as a 7B leaves room for


def published(data: str, hh_rlhf: str) -> dict[str, Any]:
  """{suites, judges, rows}, fields of Texts: the published files under `data`, and HH-RLHF's."""
  xstest, short = f'{data}/xstest/xstest_prompts.csv', Decode(length=128, stop=_STOP)
  requests = (
    jailbreak.advbench(f'{data}/advbench/harmful_behaviors.csv'),
    jailbreak.harmbench(f'{data}/harmbench/harmbench_behaviors_text_all.csv', 'standard', 200),
    jailbreak.strongreject(f'{data}/strongreject/strongreject_dataset.csv'),
  )
  grid = jailbreak.Grid(
    requests=requests,
    twins=xstest,
    templates=_PLAIN,
    artifact=f'{data}/jailbreakbench/JBC_llama-2-7b-chat-hf.json',
    limit=50,
    decode=short,
  )
  groups = tuple(f'{data}/bold/{domain}_prompt.json' for domain in ('gender', 'race'))
  suites = (
    overrefusal.XSTest(path=xstest),
    grid,
    truthful.Binary(path=f'{data}/truthfulqa/TruthfulQA.csv'),
    hh.Harmless(path=f'{hh_rlhf}/harmless-base/test.jsonl.gz', limit=200, decode=short),
    bold.Sentiment(paths=groups, limit=100),
    canary.Text(),
  )
  judges = refusal.Words(), sentiment.Vader()
  return dict(suites=suites, judges=judges, rows=_ROWS)


def shipped() -> dict[str, Any]:
  """{suites, judges}, fields of Texts: of our own, eight items each, and few tokens."""
  few = Decode(length=8, stop=_STOP)
  suites = (
    overrefusal.XSTest(limit=8, decode=few),
    jailbreak.Grid(templates=_PLAIN, limit=4, decode=few),
    truthful.Binary(limit=8),
    canary.Text(limit=8),
  )
  return dict(suites=suites, judges=(refusal.Words(),))
