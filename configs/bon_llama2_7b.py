"""Best-of-n: 256 answers of the SFT'd Llama-2-7B to 512 prompts, by proxy and by gold, and the
over-optimisation report, beside the PPO run that config.ppo names.

  python -m jaxalign.main --config=configs/bon_llama2_7b.py --workdir=gs://BUCKET/bon7b \\
    --config.init=gs://BUCKET/sft7b --config.proxy.0.by=gs://BUCKET/reward7b \\
    --config.gold.0.by=gs://BUCKET/gold7b --config.ppo=gs://BUCKET/ppo7b \\
    --config.prompts.path=gs://BUCKET/hh-rlhf

Slice: v5e-64. Cost (estimated, not run yet): about 1 hour, 65 chip-hours, for 131,072 answers
(preflight's bound: .6 hours, 37).
Expect (likewise): the proxy rises up to n = 256 (KL 4.5 nats); gold rises with it at first. The
gold reward model must be of other data than the proxy (reward7b on one half, gold7b on the other).
:smoke   64 answers of a tiny Llama by chance to 16 of the prompts that ship with the package; the
proxy counts e, gold minds e after e: under a minute, then overoptimisation.html in the workdir.
"""

from typing import Literal

from configs.ppo_llama2_7b import share_of_e
from jaxalign.data import chat, sources
from jaxalign.models import llama2
from jaxalign.rl.judges import Judge
from jaxalign.stages import bon


def get_config(variant: Literal['', 'smoke'] = ''):
  if variant == 'smoke':
    return smoke(llama2.tiny(vocab=1024, eos=(2,), remat='none', unroll=2))
  return bon.Config(
    model=llama2.llama2_7b(),
    init='sft7b',
    format=chat.TRANSCRIPT,
    prompts=sources.HH(path='hh-rlhf', split='test', as_='prompt'),
    proxy=(Judge(by='reward7b'),),
    gold=(Judge(by='gold7b'),),
    count=512,
  )


def e_but_not_twice(prompt, answer):
  return share_of_e(prompt, answer) - 2 * answer.count('ee') / max(len(answer), 1)


def smoke(model):
  return bon.Config(
    model=model,
    tokenizer='shipped',
    format=chat.TRANSCRIPT,
    prompts=sources.Shipped(name='conversations', as_='prompt'),
    proxy=(Judge(by=share_of_e),),
    gold=(Judge(by=e_but_not_twice),),
    count=16,
    n=64,
    prompt=64,
    response=16,
    batch=256,
  )
