"""PPO: Llama-2-7B after SFT, against the reward model of configs/reward_llama2_7b.py.

  python -m jaxalign.main --config=configs/ppo_llama2_7b.py --workdir=gs://BUCKET/ppo7b \\
    --config.init=gs://BUCKET/sft7b --config.judges.0.by=gs://BUCKET/reward7b \\
    --config.critic=gs://BUCKET/reward7b --config.prompts.path=gs://BUCKET/hh-rlhf \\
    --config.held_out.path=gs://BUCKET/hh-rlhf

Slice: v5e-256. Cost (estimated, not run yet): about 1.3 hours, 330 chip-hours, for 400
iterations of 512 prompts (preflight's bound: .75 hours, 193); half of it is sampling.
Expect (likewise): the proxy reward on held-out prompts rises by 1 to 2 at a KL of 10 to 20 nats a
sequence; the best checkpoint is the one with the highest reward below 25.
:smoke   a tiny Llama from scratch learns to write the letter e, on the prompts that ship with the
package: about a minute; the reward rises from .1 to above .6.
"""

from typing import Literal

from jaxalign.config import AdamW, Logging, Saving, Schedule
from jaxalign.data import chat, sources
from jaxalign.models import llama2
from jaxalign.rl.judges import Judge
from jaxalign.rl.players import Rules
from jaxalign.stages import ppo


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(llama2.tiny(vocab=1024, eos=(2,), remat='none', unroll=2))
  return full(llama2.llama2_7b(), 'sft7b', 'reward7b', form=chat.TRANSCRIPT)


def full(model, init, reward, form):
  prompts = lambda split: sources.HH(path='hh-rlhf', split=split, as_='prompt')
  adam = lambda lr: AdamW(lr=lr, eps=1e-5, schedule=Schedule(warmup=20))
  return ppo.Config(
    model=model, init=init, critic=reward, judges=(Judge(by=reward),), format=form,
    prompts=prompts('train'), held_out=prompts('test'), batch=512, minibatch=256, steps=400,
    rules=Rules(
      kl_target=10.0, normalise=True, reward_clip=5.0, missing_eos=1.0, epochs=2, critic_first=10,
      value_clip=0.2, kl_stop=0.1,
    ),
    kl_bound=25.0, optim=adam(1e-6), critic_optim=adam(5e-6),
    saving=Saving(every=20, keep=1, best='held_out_cost'),
  )  # fmt: skip


def share_of_e(prompt, answer):
  return answer.count('e') / max(len(answer), 1)


def smoke(model):
  prompts = sources.Shipped(name='conversations', as_='prompt')
  adam = lambda: AdamW(lr=1e-2, eps=1e-5, schedule=Schedule(shape='constant'))
  return ppo.Config(
    model=model, tokenizer='shipped', format=chat.TRANSCRIPT, prompts=prompts, held_out=prompts,
    judges=(Judge(by=share_of_e),), rules=Rules(beta=0.002), prompt=48, response=16,
    batch=32, minibatch=16, steps=40, eval_every=20, eval_prompts=32,
    optim=adam(), critic_optim=adam(),
    saving=Saving(every=20, keep=2, best='held_out_cost'), logging=Logging(every=5),
  )  # fmt: skip
