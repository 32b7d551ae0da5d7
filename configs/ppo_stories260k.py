"""PPO: stories260K after sft_stories260k.py, against the reward model of reward_stories260k.py,
whose :gold looks on. On a laptop.

  python -m jaxalign.main --config=configs/ppo_stories260k.py --workdir=runs/hh/ppo

Reads the three workdirs beside its own in runs/hh, and ./hh-rlhf as sft_stories260k.py does
(--config.prompts.source.path, --config.prompts.against.0.path, --config.held_out.path).

Slice: none, a laptop. Cost: three minutes of CPU (30 November 2026, as what follows).
Expect: at 21.6 nats a sequence the proxy has gained 1.04 on 128 held-out prompts and gold .69,
while the answers are nonsense before and after: a reward that rises is no better answer.
:smoke   a tiny Llama learns to write the letter e: about a minute.
"""

from typing import Literal

from configs.ppo_llama2_7b import smoke
from configs.sft_stories260k import FILES, hh, model, train_hh
from jaxalign.config import AdamW, Logging, Saving, Schedule
from jaxalign.data import chat
from jaxalign.rl.judges import Judge
from jaxalign.rl.players import Rules
from jaxalign.stages import ppo


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(model(vocab=1024, eos=(2,)))
  adam = lambda lr: AdamW(lr=lr, eps=1e-5, schedule=Schedule(shape='constant'))
  return ppo.Config(
    model=model(eos=(2,)),
    init='runs/hh/sft',
    tokenizer=FILES['tokenizer'],
    format=chat.TRANSCRIPT,
    prompts=train_hh('prompt'),
    held_out=hh('test', 'prompt'),
    judges=(Judge(by='runs/hh/proxy'),),
    gold=(Judge(by='runs/hh/gold'),),
    rules=Rules(beta=0.02, epochs=2, normalise=True, critic_first=2),
    prompt=128,
    response=48,
    batch=32,
    minibatch=16,
    steps=32,
    eval_every=4,
    eval_prompts=128,
    eval_greedy=False,
    optim=adam(2e-4),
    critic_optim=adam(1e-3),
    saving=Saving(every=8, keep=1),
    logging=Logging(every=4),
  )
