"""SFT: stories260K (karpathy/tinyllamas, 260 thousand weights) on HH-RLHF's chosen answers, on a
laptop: the policy of ppo_stories260k.py and of colab/04_reward_and_ppo.ipynb.

  python -m jaxalign.main --config=configs/sft_stories260k.py --workdir=runs/hh/sft

Reads stories260K.bin and tok512.bin in ./stories260K, and ./hh-rlhf, a clone of the dataset
Anthropic/hh-rlhf. The notebook gives smaller files in its place (--config.init, --config.tokenizer,
--config.train.0.source.source.path, --config.train.0.source.against.0.path,
--config.held_out.0.source.path).

Slice: none, a laptop. Cost: four minutes of CPU on the notebook's 4,000 dialogues (30 November 2026
on two busy cores, as what follows).
Expect: held-out loss falls from 3.56 to 2.39 nats a token of the answers.
:smoke   the same stage on the 124 dialogues that ship, from chance: under a minute.
"""

from typing import Literal

from configs.sft_llama2_7b import smoke
from jaxalign.config import AdamW, Logging, Saving, Schedule
from jaxalign.data import chat, sources
from jaxalign.data.decontaminate import Decontaminated
from jaxalign.models import llama2
from jaxalign.stages import sft
from jaxalign.stages.language import Corpus

_HOME = 'stories260K'
FILES = dict(init=f'{_HOME}/stories260K.bin', tokenizer=f'{_HOME}/tok512.bin')


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(model(vocab=1024))
  return sft.Config(
    model=model(),
    **FILES,
    format=chat.TRANSCRIPT,
    train=(Corpus(source=train_hh('conversation'), long='drop'),),
    held_out=(Corpus(source=hh('test', 'conversation'), long='drop'),),
    length=512,
    batch=8,
    steps=200,
    eval_every=200,
    optim=AdamW(lr=1e-3, weight_decay=0.1, schedule=Schedule(warmup=10)),
    saving=Saving(every=100, keep=1),
    logging=Logging(every=20),
  )


def model(**changes):
  """As stories260K.bin was exported."""
  return llama2.tiny(depth=5, heads=8, tied=True, remat='none', **(dict(kv_heads=4) | changes))


def hh(split, as_, subset='helpful-base'):
  return sources.HH(path='hh-rlhf', subsets=(subset,), split=split, as_=as_)


def train_hh(as_, subset='helpful-base'):
  """Without the prompts of the test file."""
  return Decontaminated(source=hh('train', as_, subset), against=(hh('test', as_),))
