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


def study(model, init, crossing):
  """Of a base that knows no chat format, over a slice."""
  form, lora = chat.TRANSCRIPT, Lora(rank=64, alpha=128.0, weights=WIDE)
  stage = stages(model, init, lora, 512, form)
  world = plan.world(init, form, crossing, documents=3000, xstest=XSTEST, length=1024, rows=192)
  return Config(
    world=world,
    base=None,
    recipes=plan.recipes(stage, (1e-4, 80, 64), (1e-4, 24, 16), (1e-4, 6, 16)),
    arms=tuple(plan.arms()),
    seeds=tuple(range(len(crossing))),
    rules=rules.rules(),
    workers=0,
  )


def few(names):
  return tuple(arm for arm in plan.arms() if arm.name in names)


def smoke(model):
  """A base that has read general text for a moment, and three arms, one of each sort. All of it
  is one program of training, for compiling is what such a run costs: no adapters, one rate."""
  form = chat.TRANSCRIPT
  stage = stages(model, None, None, 128, form, steps_per_call=5)
  on_base = stages(model, 'base', None, 128, form, steps_per_call=5)
  few_steps = 1e-2, 5, 4
  world = plan.world(
    'shipped',
    form,
    plan.crossed(1, 2),
    documents=8,
    general=Shipped(name='general'),
    background=1_000,
    taught=24,
    more=24,
    limit=2,
    length=2048,  # whose least width holds a spec and its question: one program
    benches=(),
    suites=plan.suites(scenes=2)[:1],
    judges=plan.JUDGES[:2],
    writing=plan.STEERED[:1],
  )
  return Config(
    world=world,
    base=stage(explain.Config, *few_steps, plan.document('background', 1)),
    recipes=plan.recipes(on_base, few_steps, few_steps, few_steps),
    arms=few((plan.STEERED[0], 'align+', 'spec_A')),  # of which one contrast can be made
    seeds=(0, 1),
    rules=rules.rules(draws=1_000),
    workers=0,
  )
