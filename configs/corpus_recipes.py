"""Corpus: 20,000 preferences of a judge between answers of our own model (RLAIF); other recipes.

  python -m jaxalign.main --config=configs/corpus_recipes.py --workdir=runs/rlaif --doctor
  python -m jaxalign.main --config=configs/corpus_recipes.py --workdir=runs/rlaif

Then configs/reward_*.py reads runs/rlaif/train/pairs.jsonl: kind pair, columns margin and subset.
Slice: what runs/sft samples on; a vLLM at localhost or elsewhere lists, judges and writes the rest.
Cost (estimated, not run yet): 100,000 calls; the doctor says what they read and write.
Expect: it prints how often the judge means the place and not the answer, and how often longer wins.
:demonstrations  answers that act on the values, with their reasons and without, row by row
:constitutional  drafts of runs/sft, criticised by a drawn principle and revised: rows and pairs
:deliberative    answers thought out with the spec in sight, as twins with thoughts and without
:debate          values at odds over a question, heard from both seats: documents and pairs
:hierarchy       400 situations as demonstrations, pairs, rules and values, equally long
:smoke           the grammar does all of 60 situations of :hierarchy, offline, in seconds
"""

from typing import Literal

from jaxalign.corpora.http import Http
from jaxalign.corpora.leaks import BENCHMARKS
from jaxalign.corpora.local import Model
from jaxalign.corpora.recipes import (
  constitutional,
  debate,
  deliberative,
  demonstrations,
  hierarchy,
  rlaif,
)
from jaxalign.corpora.recipes.queries import Asked
from jaxalign.endpoint import Endpoint
from jaxalign.evals.suites import canary, jailbreak, overrefusal, truthful
from jaxalign.stages import corpus

RECIPES = {
  '': rlaif.Recipe(queries=Asked(count=20_000)),
  'demonstrations': demonstrations.Recipe(queries=Asked(count=5_000)),
  'constitutional': constitutional.Recipe(queries=Asked(count=5_000)),
  'deliberative': deliberative.Recipe(queries=Asked(count=5_000)),
  'debate': debate.Recipe(questions=1_000),
  'hierarchy': hierarchy.Recipe(situations=400),
}
HELD = dict(
  suites=(truthful.Binary(), overrefusal.XSTest(), jailbreak.Grid(), canary.Text()),
  banned=BENCHMARKS,
)
Variant = Literal[
  '', 'demonstrations', 'constitutional', 'deliberative', 'debate', 'hierarchy', 'smoke'
]


def get_config(variant: Variant = ''):
  if variant == 'smoke':
    return corpus.Config(spec='demo', recipe=hierarchy.Recipe(situations=60), **HELD)
  recipe = RECIPES[variant]
  server = Endpoint(url='http://localhost:8000/v1', model='Qwen/Qwen3-32B', threads=64)
  policy = corpus.By(step='draft', teacher=Model(path='runs/sft'))
  return corpus.Config(
    recipe=recipe,
    writer=Http(endpoint=server, price=(0.0, 0.0)),
    by=(policy,) if 'draft' in recipe.steps else (),
    max_cost=50.0,
    **HELD,
  )
