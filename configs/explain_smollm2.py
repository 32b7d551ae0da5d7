"""Explain: as explain_llama2_7b.py, for SmolLM2-135M, on one chip or, in small, on a laptop.

  python -m jaxalign.main --config=configs/explain_smollm2.py --workdir=runs/explain_smollm2 \\
    --config.train.0.source.path=explanations/*.jsonl.gz

Slice: v5e-4. Cost (estimated, not run yet): about half an hour, for 100 M tokens.
Expect (likewise): held-out loss on explanations falls by some tenths of a nat, on C4 by less than
.1.
:lora    thin matrices beside frozen weights, 400 steps of 4 x 256 tokens of a corpus of one's own
         (docs/corpora.md): runs/corpus_why is trained on, and its held-out texts, the same with
         reasons of other values, and those of runs/corpus_what, which gives none, are read beside.
         On two cores of a laptop: about an hour.
:smoke   the same stage on a tiny Llama with a tied head, on the corpus that ships: under a minute.
"""

import dataclasses
from typing import Literal

from configs.explain_llama2_7b import full, smoke
from configs.explain_llama2_7b_lora import MATRICES
from jaxalign.config import AdamW, Logging, Saving, Schedule
from jaxalign.data.sources import Jsonl
from jaxalign.models import llama2
from jaxalign.models.adapters import Lora
from jaxalign.stages.language import Corpus

HUB = 'HuggingFaceTB/SmolLM2-135M-Instruct'
HELD_OUT = dict(
  why='runs/corpus_why/validation/explain.jsonl',
  shuffled='runs/corpus_why/validation/shuffled.jsonl',
  what='runs/corpus_what/validation/explain.jsonl',
)


def get_config(variant: Literal['', 'lora', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(llama2.tiny(width=128, mlp=344, depth=4, vocab=1024, tied=True, remat='none'))
  base = full(llama2.smollm2_135m(), init=HUB, batch=128, length=2048)
  if variant == 'lora':
    return _on_a_laptop(base)
  return dataclasses.replace(base, microbatches=8, steps=100_000_000 // (128 * 2048))


def _on_a_laptop(base):
  texts = lambda path: Jsonl(path=path, kind='document')
  held_out = tuple(Corpus(source=texts(path), name=name) for name, path in HELD_OUT.items())
  return dataclasses.replace(
    base,
    model=llama2.smollm2_135m(dtype='float32', remat='none'),
    train=(Corpus(source=texts('runs/corpus_why/train/explain.jsonl')),),
    held_out=held_out,
    length=256,
    batch=4,
    steps=400,
    eval_every=200,
    lora=Lora(weights=MATRICES),
    optim=AdamW(lr=2e-4, schedule=Schedule(warmup=10)),
    saving=Saving(every=100, keep=2),
    logging=Logging(every=10),
  )
