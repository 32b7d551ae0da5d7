"""SFT: Llama-2-7B, after explain or as it was (the direct arm), on HH-RLHF's chosen answers.

  python -m jaxalign.main --config=configs/sft_llama2_7b.py --workdir=gs://BUCKET/sft7b \\
    --config.init=gs://BUCKET/explain7b

Reads ./hh-rlhf, a clone of the dataset Anthropic/hh-rlhf.

Slice: v5e-64. Cost (estimated, not run yet): about 20 minutes, 20 chip-hours, for two epochs of
160,800 dialogues (90 M tokens; preflight's bound: 9 minutes).
Expect (likewise): held-out loss on the assistant's turns near 1.3 nats a token; only these turns
carry loss.
:smoke   a tiny Llama from scratch on the 124 dialogues that ship with the package: under a
minute.
"""

from typing import Literal

from jaxalign.config import AdamW, Logging, Saving, Schedule
from jaxalign.data import chat, sources
from jaxalign.data.decontaminate import Decontaminated
from jaxalign.models import llama2
from jaxalign.stages import sft
from jaxalign.stages.language import Corpus


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(llama2.tiny(width=128, mlp=344, depth=4, kv_heads=4, vocab=1024, remat='none'))
  return full(llama2.llama2_7b(), 'meta-llama/Llama-2-7b-hf', length=4096, form=chat.TRANSCRIPT)


def full(model, init, length, form):
  dialogues = lambda split: sources.HH(path='hh-rlhf', split=split, as_='conversation')
  unseen = Decontaminated(source=dialogues('train'), against=(dialogues('test'),))
  return sft.Config(
    model=model,
    init=init,
    format=form,
    train=(Corpus(source=unseen, long='drop'),),
    held_out=(Corpus(source=dialogues('test'), long='drop'),),
    length=length,
    batch=262_144 // length,
    steps=340,
    eval_every=85,
    optim=AdamW(lr=1e-5, schedule=Schedule(warmup=10)),
    saving=Saving(every=85, keep=1, best='held_out_loss'),
  )


def smoke(model):
  dialogues = sources.Shipped(name='conversations', as_='conversation')
  return sft.Config(
    model=model,
    tokenizer='shipped',
    format=chat.TRANSCRIPT,
    train=(Corpus(source=dialogues, long='drop'),),
    length=512,
    batch=4,
    steps=120,
    steps_per_call=10,
    eval_every=60,
    optim=AdamW(lr=3e-3, weight_decay=0.1, schedule=Schedule(warmup=10)),
    saving=Saving(every=60, keep=2),
    logging=Logging(every=20),
  )
