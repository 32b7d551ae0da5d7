"""PPO: as ppo_llama2_7b.py, for Phi-2.

  python -m jaxalign.main --config=configs/ppo_phi2.py --workdir=gs://BUCKET/ppo_phi2 \\
    --config.init=gs://BUCKET/sft_phi2 --config.judges.0.by=gs://BUCKET/reward_phi2 \\
    --config.critic=gs://BUCKET/reward_phi2 --config.prompts.path=gs://BUCKET/hh-rlhf \\
    --config.held_out.path=gs://BUCKET/hh-rlhf

Slice: v5e-64. Cost (estimated, not run yet): about 2.5 hours, 160 chip-hours, for 400 iterations of
512 prompts (preflight's bound: 1.4 hours, 90); half of it is sampling.
Expect (likewise): the proxy reward on held-out prompts rises by 1 to 2 at a KL of 10 to 20 nats a
sequence; the best checkpoint is the one with the highest reward below 25.
:smoke   a tiny model from scratch learns to write the letter e, on the prompts that ship with the
package: about a minute; the reward rises from .1 to above .6.
"""

from typing import Literal

from configs.ppo_llama2_7b import full, smoke
from jaxalign.data import chat
from jaxalign.models import phi2


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(phi2.tiny(vocab=1024, eos=(2,), remat='none', unroll=2))
  return full(phi2.phi2(), 'sft_phi2', 'reward_phi2', form=chat.PHI2_INSTRUCT)
