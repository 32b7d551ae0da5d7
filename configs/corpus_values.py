"""Corpus: 20,000 documents on why ten values matter, with their controls, by a vLLM of one's own.

  python -m jaxalign.main --config=configs/corpus_values.py --workdir=runs/corpus --doctor
  python -m jaxalign.main --config=configs/corpus_values.py --workdir=runs/corpus

The same command goes on after a kill. Then explain reads it:
--config=configs/explain_phi2.py --config.train.0.source.path=runs/corpus/train/explain.jsonl
Slice: none; a machine with the server (vllm serve Qwen/Qwen3-32B), at localhost or elsewhere.
Cost (the doctor's estimate, not run yet): 290,000 calls, 320 million tokens read and 60 million
written; nothing but its electricity, at home.
Expect: some 5 in 100 texts dropped and written again; attribution above .6, distinct-3 above .6.
:smoke   the grammar writes 200 documents and seven controls: offline, under a minute.
"""

from typing import Literal

from jaxalign.corpora import measures
from jaxalign.corpora.http import Http
from jaxalign.corpora.leaks import BENCHMARKS
from jaxalign.corpora.recipes import demonstrations, explain
from jaxalign.corpora.recipes.queries import Asked
from jaxalign.data.sources import HuggingFace
from jaxalign.endpoint import Endpoint
from jaxalign.evals.suites import canary, jailbreak, overrefusal, truthful
from jaxalign.stages import corpus

CONTROLS = ('neutral', 'placebo', 'shuffled', 'bare', 'bare_shuffled', 'mention', 'more')
C4 = dict(
  name='allenai/c4',
  revision='607bd4c8450a42878aa9ddc051a65a055450ef87',
  data_files=('en/c4-train.00000-of-01024.json.gz',),
)
SHIPPED = (truthful.Binary(), overrefusal.XSTest(), jailbreak.Grid(), canary.Text())


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return corpus.Config(
      recipe=explain.Recipe(documents=200, words=(110, 260)),
      judge=corpus.Offline(),
      gates=measures.of_grammar(),
      controls=CONTROLS,
      more=demonstrations.Recipe(queries=Asked(count=640, siblings=50)),
      suites=SHIPPED,
      banned=BENCHMARKS,
    )
  server = Endpoint(url='http://localhost:8000/v1', model='Qwen/Qwen3-32B', threads=64)
  vllm = Http(endpoint=server, price=(0.0, 0.0))
  return corpus.Config(
    recipe=explain.Recipe(documents=20_000, domains=40, subdomains=5),
    writer=vllm,
    judge=vllm,
    controls=CONTROLS,
    more=demonstrations.Recipe(queries=Asked(count=60_000)),
    general=HuggingFace(**C4, split='train', kind='document'),
    suites=SHIPPED,
    banned=BENCHMARKS,
    tokenizer='microsoft/phi-2',
    max_cost=50.0,
  )
