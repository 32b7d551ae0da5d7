"""Studies of two specs by what they cost: a whole one of a model, and one that CI runs."""

from configs.two_specs import plan
from jaxalign.config import Logging, Saving
from jaxalign.data import chat
from jaxalign.data.sources import Shipped
from jaxalign.models.adapters import Lora
from jaxalign.stages import explain
from jaxalign.study.stage import Config
from jaxalign.study.two_specs import rules

WIDE = ('q_*', 'k_*', 'v_*', 'o_*', '*_FD', 'down_*')  # matrices of Llama's blocks and of Phi's
XSTEST = 'data/xstest/xstest_prompts.csv'


def stages(model, init, lora, length, form=chat.OWN, **more):
  """What plan.recipes takes: a stage on this model."""

  def stage(kind, lr, steps, batch, *train):
    return kind(
      model=model, init=init, format=form, lora=lora, length=length, batch=batch, steps=steps,
      train=train, eval_every=steps, optim=plan.optim(lr, steps), logging=Logging(every=5),
      saving=Saving(every=steps, keep=1), **more,
    )  # fmt: skip

  return stage


def study(model, init):
  """Of a base that knows no chat format, over a slice: 3 training seeds by 3 draws."""
  form, lora = chat.TRANSCRIPT, Lora(rank=64, alpha=128.0, weights=WIDE)
  stage = stages(model, init, lora, 512, form)
  return Config(
    world=plan.world(init, form, 3, 3, documents=3000, xstest=XSTEST, length=1024, rows=192),
    base=None, recipes=plan.recipes(stage, (1e-4, 80, 64), (1e-4, 24, 16), (1e-4, 6, 16)),
    arms=tuple(plan.arms()), seeds=tuple(range(9)), rules=rules.rules(), workers=0,
  )  # fmt: skip


def few(names):
  return tuple(arm for arm in plan.arms() if arm.name in names)


def smoke(model):
  """A base that has read general text for a moment, and four arms."""
  lora, form = Lora(rank=4, alpha=8.0, weights=WIDE), chat.TRANSCRIPT
  world = plan.world(
    'shipped', form, 1, 2, documents=8, general=Shipped(name='general'), background=1_000,
    taught=24, more=24, limit=2, length=512, benches=(), suites=plan.suites(scenes=2)[:1],
    judges=plan.JUDGES[:2], writing=plan.STEERED[:1],
  )  # fmt: skip
  made = lambda init, lora: stages(model, init, lora, 128, form, steps_per_call=5)
  base = made(None, None)(explain.Config, 3e-3, 5, 4, plan.document('background', 1))
  return Config(
    world=world, base=base, seeds=(0, 1), arms=few((*plan.STEERED[::2], 'align', 'spec_A')),
    rules=rules.rules(), workers=0,
    recipes=plan.recipes(made('base', lora), (1e-2, 5, 4), (1e-2, 5, 4), (1e-3, 5, 4)),
  )  # fmt: skip
