"""PPO: as ppo_llama2_7b.py, for Llama-3.1-8B.

  python -m jaxalign.main --config=configs/ppo_llama31_8b.py --workdir=gs://BUCKET/ppo_llama31_8b \\
    --config.init=gs://BUCKET/sft_llama31_8b --config.judges.0.by=gs://BUCKET/reward_llama31_8b \\
    --config.critic=gs://BUCKET/reward_llama31_8b --config.prompts.path=gs://BUCKET/hh-rlhf \\
    --config.held_out.path=gs://BUCKET/hh-rlhf

Slice: v5e-256 (5.6 GiB of 16 a chip). Cost (estimated, not run yet): about 1.7 hours, 430
chip-hours, for 400 iterations of 512 prompts (preflight's bound: 1 hour, 240); half of it is
sampling.
Expect (likewise): the proxy reward on held-out prompts rises by 1 to 2 at a KL of 10 to 20 nats a
sequence; the best checkpoint is the one with the highest reward below 25.
:smoke   a tiny Llama-3.1 from scratch learns to write the letter e, on the prompts that ship with
the package: about a minute.
"""

from typing import Literal

from configs.explain_llama31_8b import ENDS
from configs.ppo_llama2_7b import full, smoke
from jaxalign.data import chat
from jaxalign.models import llama3


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(llama3.tiny(vocab=1024, eos=(2,), remat='none', unroll=2))
  return full(llama3.llama3_1_8b(eos=ENDS), 'sft_llama31_8b', 'reward_llama31_8b', form=chat.LLAMA3)
