"""Reward: a Bradley-Terry reward model of two layers from chance, under Llama-2's tokenizer, on
HH-RLHF's helpful pairs, on a laptop: the judge of ppo_stories260k.py.

  python -m jaxalign.main --config=configs/reward_stories260k.py --workdir=runs/hh/proxy
  python -m jaxalign.main --config=configs/reward_stories260k.py:gold --workdir=runs/hh/gold

Reads ./hh-rlhf as sft_stories260k.py does (--config.train.0.source.path,
--config.train.0.against.0.path, --config.held_out.0.path), and ./llama2/tokenizer.model.
:gold    the same on other pairs (helpful-rejection-sampled) and from another seed, to look on while
         ppo_stories260k.py climbs the first.

Slice: none, a laptop. Cost: two minutes of CPU each, on 4,000 single-turn pairs (those of
colab/04_reward_and_ppo.ipynb; 30 November 2026, as what follows).
Expect: right on 62.6 % (60.1 to 65.0) of 1,499 held-out pairs, :gold on 61.6 % (59.2 to 64.1);
longer wins 60.5 % (58.0 to 62.9).
:smoke   the same stage on the 200 training pairs that ship: about a minute.
"""

from typing import Literal

from configs.reward_llama2_7b import smoke
from configs.sft_stories260k import hh, train_hh
from jaxalign.config import AdamW, Logging, Saving, Schedule
from jaxalign.data import chat
from jaxalign.models import llama2
from jaxalign.stages import reward


def get_config(variant: Literal['', 'gold', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(_model(vocab=1024, length=512))
  subset = 'helpful-rejection-sampled' if variant == 'gold' else 'helpful-base'
  return reward.Config(
    model=_model(),
    tokenizer='llama2/tokenizer.model',
    format=chat.TRANSCRIPT,
    train=(train_hh('pair', subset),),
    held_out=(hh('test', 'pair'),),
    length=256,
    batch=32,
    steps=250,
    eval_every=250,
    optim=AdamW(lr=1e-3, weight_decay=0.1, schedule=Schedule(warmup=20)),
    saving=Saving(every=250, keep=1),
    logging=Logging(every=25),
    seed=int(variant == 'gold'),
  )


def _model(**changes):
  """Words are worth more than depth here: a large vocabulary costs a scorer only its lookup."""
  return llama2.tiny(**(dict(vocab=32000, kv_heads=4, length=1024, remat='none') | changes))
