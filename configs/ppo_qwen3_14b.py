"""PPO: as ppo_llama2_7b.py, for Qwen3-14B.

  python -m jaxalign.main --config=configs/ppo_qwen3_14b.py --workdir=gs://BUCKET/ppo_qwen3_14b \\
    --config.init=gs://BUCKET/sft_qwen3_14b --config.judges.0.by=gs://BUCKET/reward_qwen3_14b \\
    --config.critic=gs://BUCKET/reward_qwen3_14b --config.prompts.path=gs://BUCKET/hh-rlhf \\
    --config.held_out.path=gs://BUCKET/hh-rlhf

Slice: v5e-256 (10.8 GiB of 16 a chip, weights in two copies). Cost (estimated, not run yet):
about 3 hours, 770 chip-hours, for 400 iterations of 512 prompts (preflight says 1.7 hours, 430).
Expect (likewise): the proxy reward on held-out prompts rises by 1 to 2 at a KL of 10 to 20 nats a
sequence; the best checkpoint is the one with the highest reward below 25.
:smoke   a tiny Qwen3 from scratch learns to write the letter e, on the prompts that ship with
the package: about a minute.
"""

import dataclasses
from typing import Literal

from configs.explain_qwen3_14b import ENDS
from configs.ppo_llama2_7b import full, smoke
from jaxalign.config import Mesh
from jaxalign.data import chat
from jaxalign.models import qwen3


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(qwen3.tiny(vocab=1024, eos=(2,), remat='none', unroll=2))
  model = qwen3.qwen3_14b(eos=ENDS)
  base = full(model, 'sft_qwen3_14b', 'reward_qwen3_14b', form=chat.CHATML)
  return dataclasses.replace(base, mesh=Mesh(data=2))  # as explain_qwen3_14b.py, and for its reason
