"""The stage ppo, as small as it can be, through the command line.

  python -m jaxalign.main --config=tests/rl/driver.py --workdir=DIR --config.steps=8

With everything on that a checkpoint must carry: adaptive beta, running moments, pretraining text,
evaluation. A run that reaches its end writes DIR/final.npz, every leaf of the state, whole.
"""

import dataclasses
import time

from jaxalign.config import AdamW, Logging, Saving, Schedule
from jaxalign.data import chat, sources
from jaxalign.models import llama2
from jaxalign.rl.judges import Judge
from jaxalign.rl.players import Rules
from jaxalign.stages import ppo, training
from tests.train.driver import write_whole


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Config(ppo.Config):
  """The same; its module's `run` also writes the end down."""


def share_of_e(prompt, answer):
  time.sleep(0.003)  # so that a kill meets a run midway
  return answer.count('e') / max(len(answer), 1)


def get_config():
  adam = AdamW(lr=1e-2, eps=1e-5, schedule=Schedule(warmup=2))
  prompts = sources.Shipped(name='conversations', as_='prompt')
  text = sources.Shipped(name='value_explanations')
  sizes = dict(prompt=32, response=6, ptx_length=32, batch=8, minibatch=4)
  sizes |= dict(steps=8, eval_every=4, eval_prompts=8)
  return Config(
    model=llama2.tiny(width=32, heads=4, kv_heads=2, mlp=48, depth=1, vocab=1024, remat='none'),
    tokenizer='shipped',
    format=chat.TRANSCRIPT,
    prompts=prompts,
    held_out=prompts,
    pretraining=(training.Corpus(source=text),),
    judges=(Judge(by=share_of_e),),
    rules=Rules(epochs=2, kl_target=4.0, kl_horizon=100.0, normalise=True, ptx=0.1),
    optim=adam,
    critic_optim=adam,
    saving=Saving(every=2),
    logging=Logging(every=100),
    **sizes,
  )


def run(cfg, workdir):
  write_whole(ppo.run(cfg, workdir), workdir)
