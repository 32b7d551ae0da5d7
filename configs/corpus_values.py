"""Corpus: 20,000 documents on why ten values matter, with their controls, by a vLLM of one's own.

  python -m jaxalign.main --config=configs/corpus_values.py --workdir=runs/corpus --doctor
  python -m jaxalign.main --config=configs/corpus_values.py --workdir=runs/corpus

Then: --config=configs/explain_phi2.py --config.train.0.source.path=runs/corpus/train/explain.jsonl
Slice: none; a machine with the server (vllm serve Qwen/Qwen3-32B), at localhost or elsewhere.
Cost (the doctor's estimate, not run yet): 290,000 calls, 320 million tokens read and 60 million
written; nothing but its electricity, at home.
Expect: some 5 in 100 texts dropped and written again; attribution above .6, distinct-3 above .6.
:demonstrations, :constitutional, :rlaif, :deliberative, :debate, :hierarchy   other recipes; the
model in runs/sft does step `draft`.
:smoke   the grammar writes 200 documents and seven controls: offline, under a minute.
"""

from typing import Literal

from jaxalign.corpora import measures
from jaxalign.corpora.http import Http
from jaxalign.corpora.leaks import BENCHMARKS
from jaxalign.corpora.local import Model
from jaxalign.corpora.recipes import (
  constitutional,
  debate,
  deliberative,
  demonstrations,
  explain,
  hierarchy,
  rlaif,
)
from jaxalign.corpora.recipes.queries import Asked
from jaxalign.data.sources import HuggingFace
from jaxalign.endpoint import Endpoint
from jaxalign.evals.suites import canary, jailbreak, overrefusal, truthful
from jaxalign.stages import corpus

CONTROLS = ('neutral', 'placebo', 'shuffled', 'bare', 'bare_shuffled', 'mention', 'more')
C4 = dict(name='allenai/c4', revision='607bd4c8450a42878aa9ddc051a65a055450ef87')
C4['data_files'] = ('en/c4-train.00000-of-01024.json.gz',)
SUITES = truthful.Binary(), overrefusal.XSTest(), jailbreak.Grid(), canary.Text()
FILTERS = dict(suites=SUITES, banned=BENCHMARKS)
OTHERS = dict(
  demonstrations=demonstrations.Recipe(queries=Asked(count=6000)),
  constitutional=constitutional.Recipe(queries=Asked(count=6000)),
  rlaif=rlaif.Recipe(queries=Asked(count=10_000)),
  deliberative=deliberative.Recipe(queries=Asked(count=6000)),
  debate=debate.Recipe(questions=2000),
  hierarchy=hierarchy.Recipe(situations=400),
)
Other = 'demonstrations', 'constitutional', 'rlaif', 'deliberative', 'debate', 'hierarchy'


def get_config(variant: Literal['', 'smoke', *Other] = ''):
  if variant == 'smoke':
    recipe = explain.Recipe(documents=200, words=(110, 260))
    more = demonstrations.Recipe(queries=Asked(count=640, siblings=50))
    judge, gates = corpus.Offline(), measures.of_grammar()
    told = dict(recipe=recipe, judge=judge, gates=gates, controls=CONTROLS, more=more)
    return corpus.Config(**told, **FILTERS)
  server = Endpoint(url='http://localhost:8000/v1', model='Qwen/Qwen3-32B', threads=64)
  vllm = Http(endpoint=server, price=(0.0, 0.0))
  if variant:
    by = (corpus.By(step='draft', teacher=Model(path='runs/sft')),)
    by = by if 'draft' in OTHERS[variant].steps else ()
    return corpus.Config(recipe=OTHERS[variant], writer=vllm, by=by, max_cost=50.0, **FILTERS)
  recipe = explain.Recipe(documents=20_000, domains=40, subdomains=5)
  more = demonstrations.Recipe(queries=Asked(count=60_000))
  general = HuggingFace(**C4, split='train', kind='document')
  told = dict(recipe=recipe, writer=vllm, judge=vllm, controls=CONTROLS, more=more, general=general)
  return corpus.Config(**told, tokenizer='microsoft/phi-2', max_cost=50.0, **FILTERS)
