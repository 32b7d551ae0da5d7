"""PPO: as ppo_llama2_7b.py, for SmolLM2-135M-Instruct in its own chat template.

  python -m jaxalign.main --config=configs/ppo_smollm2.py --workdir=runs/ppo_smollm2 \\
    --config.init=runs/sft_smollm2 --config.judges.0.by=runs/reward_smollm2 \\
    --config.critic=runs/reward_smollm2

Reads ./hh-rlhf, a clone of the dataset Anthropic/hh-rlhf. :lora has one base for policy, critic and
reference (no --config.critic).

Slice: v5e-4. Cost (estimated, not run yet): about 5 hours, for 400 iterations of 128
prompts.
Expect (likewise): the proxy reward on held-out prompts rises by 1 to 2 at a KL of 10 to 20 nats a
sequence; a reward model of this size is soon fooled, so read what is said.
:rlaif   :lora for two iterations against the reward model that reward_smollm2.py:rlaif left in
         runs/reward_rlaif: plumbing, in minutes on two cores.
:smoke   a tiny Llama with a tied head learns to write the letter e, on the prompts that ship with
the package: about a minute.
"""

import dataclasses
from typing import Literal

from configs.explain_llama2_7b_lora import MATRICES
from configs.explain_smollm2 import HUB
from configs.ppo_llama2_7b import full, smoke
from jaxalign.config import AdamW, Logging, Saving, Schedule
from jaxalign.data import chat
from jaxalign.data.sources import Jsonl
from jaxalign.models import llama2
from jaxalign.models.adapters import Lora
from jaxalign.rl.judges import Judge
from jaxalign.rl.players import Rules


def get_config(variant: Literal['', 'lora', 'rlaif', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(llama2.tiny(vocab=1024, eos=(2,), tied=True, remat='none', unroll=2))
  base = full(llama2.smollm2_135m(), 'sft_smollm2', 'reward_smollm2', form=chat.OWN)
  base = dataclasses.replace(base, batch=128, minibatch=64, microbatches=4)
  if variant == '':
    return base
  warm = 20 if variant == 'lora' else 0
  adam = lambda lr: AdamW(lr=lr, eps=1e-5, schedule=Schedule(warmup=warm))
  lora = Lora(weights=MATRICES)
  how = dict(lora=lora, critic=None, optim=adam(5e-5), critic_optim=adam(1e-4))
  return _against_few_pairs(base, how) if variant == 'rlaif' else dataclasses.replace(base, **how)


def _against_few_pairs(base, how):
  prompts = lambda split: Jsonl(path=f'runs/rlaif/{split}/pairs.jsonl', kind='prompt')
  small = dict(prompt=96, response=32, batch=2, minibatch=2, microbatches=1, steps=2)
  return dataclasses.replace(
    base,
    model=llama2.smollm2_135m(dtype='float32', remat='none'),
    init=HUB,
    judges=(Judge(by='runs/reward_rlaif'),),
    prompts=prompts('train'),
    held_out=prompts('validation'),
    eval_every=2,
    eval_prompts=2,
    rules=Rules(normalise=True, critic_first=0),
    saving=Saving(every=2, keep=1),
    logging=Logging(every=1),
    **how,
    **small,
  )
