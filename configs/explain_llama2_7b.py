"""Explain: continue pretraining Llama-2-7B on 6 B tokens of why values matter, a fifth replay.

  python -m jaxalign.main --config=configs/explain_llama2_7b.py --workdir=gs://BUCKET/explain7b \\
    --config.train.0.source.path=gs://BUCKET/explanations/*.jsonl.gz

Slice: v5e-256 (fp32 weights and moments over fsdp, full remat): 7.5 GiB of 16 a chip.
Cost (estimated, not run yet): 2.5 to 3 hours, 640 to 770 chip-hours, at the 2,400 tokens/s/chip
that peers reach there.
Expect (likewise): held-out loss on explanations falls by some tenths of a nat, on C4 by less than
.05.
:smoke   a tiny Llama from scratch on the 199 documents that ship with the package: under a
minute, to a held-out loss below 5.0 nats (chance is 6.9).
"""

from typing import Literal

from jaxalign.config import AdamW, Logging, Saving, Schedule
from jaxalign.data import chat, sources
from jaxalign.models import llama2
from jaxalign.stages import explain
from jaxalign.stages.language import Corpus

C4 = 'en/c4-train.000*-of-01024.json.gz'  # 100 of its 1,024 shards: about 15 B tokens


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(llama2.tiny(width=128, mlp=344, depth=4, kv_heads=4, vocab=1024, remat='none'))
  return full(llama2.llama2_7b(), init='meta-llama/Llama-2-7b-hf', batch=1024, length=4096)


def full(model, init, batch, length):
  values = sources.Jsonl(path='explanations/*.jsonl.gz', kind='document')
  c4 = dict(name='allenai/c4', revision='607bd4c8450a42878aa9ddc051a65a055450ef87')
  replay = sources.HuggingFace(**c4, data_files=(C4,), split='train', kind='document')
  return explain.Config(
    model=model,
    init=init,
    format=chat.TRANSCRIPT,
    train=(Corpus(source=values, weight=0.8), Corpus(source=replay, weight=0.2)),
    length=length,
    batch=batch,
    steps=6_000_000_000 // (batch * length),
    optim=AdamW(lr=2e-5, weight_decay=0.1, schedule=Schedule(warmup=50)),
    saving=Saving(every=100, keep=2),
  )


def smoke(model):
  documents = lambda split: sources.Shipped(name='value_explanations', split=split)
  return explain.Config(
    model=model,
    tokenizer='shipped',
    format=chat.TRANSCRIPT,
    train=(Corpus(source=documents('train')),),
    held_out=(Corpus(source=documents('validation')),),
    length=512,
    batch=4,
    steps=120,
    steps_per_call=10,
    eval_every=60,
    optim=AdamW(lr=3e-3, weight_decay=0.1, schedule=Schedule(warmup=10)),
    saving=Saving(every=60, keep=2),
    logging=Logging(every=20),
  )
