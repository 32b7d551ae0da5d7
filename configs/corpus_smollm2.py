"""Corpus: 32 documents by SmolLM2-135M, to see what a teacher that small cannot do.

  python -m jaxalign.main --config=configs/corpus_smollm2.py --workdir=runs/written
  python -m jaxalign.main --config=configs/corpus_smollm2.py:rlaif --workdir=runs/rlaif

The ideas are the grammar's; the model is told by example what a document is. :rlaif asks it for two
answers to each of 48 queries, and then which of them is better: plumbing for reward and ppo, as a
judge of that size means the place and not the answer, which is weighed away.
Slice: none; two cores of a laptop. Cost: minutes, and nothing.
Expect: few of the documents pass the filters, or none: corpus.html shows what was thrown out.
:smoke   twelve documents by the grammar in the model's place: seconds.
"""

from typing import Literal

from configs.corpus_values import SHIPPED
from configs.explain_smollm2 import HUB
from jaxalign.corpora.leaks import BENCHMARKS
from jaxalign.corpora.local import Model
from jaxalign.corpora.recipes import explain, rlaif
from jaxalign.corpora.recipes.queries import Asked
from jaxalign.corpora.records import Sampling
from jaxalign.stages import corpus


def get_config(variant: Literal['', 'rlaif', 'smoke'] = ''):
  how = dict(spec='demo', variant='why', tokenizer=HUB, suites=SHIPPED, banned=BENCHMARKS)
  if variant == 'rlaif':
    drawn = Sampling(length=240, temperature=0.5, top_p=0.9)
    policy = corpus.By(step='draft', teacher=Model(path=HUB, otherwise=drawn))
    told = Model(path=HUB, base=True, judges=('preference',))  # by example, as a judge it is none
    by = policy, corpus.By(step='preference', teacher=told)
    recipe = rlaif.Recipe(queries=Asked(count=48), flipped='weighed')
    return corpus.Config(recipe=recipe, by=by, **how)
  if variant == 'smoke':
    recipe = explain.Recipe(documents=12, words=(110, 260), domains=2, critique=False)
    return corpus.Config(recipe=recipe, **how | dict(tokenizer='shipped'))
  drawn = Sampling(length=320, temperature=0.7, top_p=0.95)
  teacher = Model(path=HUB, base=True, otherwise=drawn)
  recipe = explain.Recipe(documents=32, words=(40, 260), limits=False, critique=False, tries=2)
  return corpus.Config(recipe=recipe, by=(corpus.By(step='document', teacher=teacher),), **how)
