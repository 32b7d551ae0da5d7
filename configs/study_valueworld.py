"""ValueWorld: what do documents about an agent add to the same demonstrations? On a laptop.

  python -m jaxalign.main --config=configs/study_valueworld.py --workdir=runs/valueworld

Tiny Llamas (150 k weights) from chance, through the stages that run on pods: 8 seeds, 12 arms of
experiment S (two specs, the same demonstrations), 7 of H (values against rules, harm held out).
Slice: none, a laptop. Cost: eleven and a half minutes on two cores, set-up included.
Expect: documents that say what is liked, and why, steer the same demonstrations by some 20 nats
and more than mention does. No arm tells why from what; what else these arms cannot say is in
docs/valueworld.md, with the records. The recipe was found on seeds from 100 up and the
development words alone.

:quick   two development seeds, nine arms (for C1 and C2), no RL, no verdict: under two minutes.
         The record's seeds stay unseen.
:probes  two development seeds, six arms: what documents alone write into a name, those that explain
         and two controls, mention and shuffled. No verdict.
:full    with the negative control (rho = 0) and RL on all seeds, and more_arms(): some 35
         minutes.
:develop seeds 120 to 127 on development words: where a recipe may be tried.
:harm    experiment H alone, and on two seeds on through reward and PPO: is harm refused after RL?
:phi     of models built as Phi-2 is, the same recipes: no gate was tried on them.
:smoke   the whole path in seconds: two seeds, three arms, weights that learn nothing.
:smoke_rl  the same, and of one seed the way through reward, PPO and best-of-n.
"""

import dataclasses
from typing import Literal

from configs.valueworld.arms import goods_arms, harm_arms, more_arms
from configs.valueworld.climbs import climbs, harm_rl, rl_arms, rl_recipes
from configs.valueworld.lessons import base, model, phi, recipes
from jaxalign.config import Schedule
from jaxalign.stages import bon, ppo, reward
from jaxalign.study.stage import Config
from jaxalign.valueworld.world import World


def get_config(
  variant: Literal[
    '', 'quick', 'probes', 'full', 'develop', 'harm', 'phi', 'smoke', 'smoke_rl'
  ] = '',
):
  seeds = tuple(range(8))
  study = Config(
    world=World(seed=0), base=base(), recipes=(*recipes(), *rl_recipes()),
    arms=(*goods_arms(), *harm_arms()), seeds=seeds, rl_arms=tuple(rl_arms()),
    climbs=tuple(climbs()), rl_seeds=seeds[:2],
  )  # fmt: skip
  if variant == 'full':
    more = tuple(climbs(full=True))
    arms = (*study.arms, *more_arms())
    return dataclasses.replace(study, control_seeds=seeds, rl_seeds=seeds, climbs=more, arms=arms)
  if variant in ('quick', 'probes', 'develop'):
    world = dataclasses.replace(study.world, split='dev')
    seeds = tuple(range(120, 128))
    study = dataclasses.replace(study, world=world, seeds=seeds, rl_seeds=seeds[:2])
  if variant in ('quick', 'probes'):
    arms = quick_arms(study) if variant == 'quick' else _arms_of_documents(study)
    seeds, arms = (100, 101), tuple(arms)
    return dataclasses.replace(study, seeds=seeds, arms=arms, rl_arms=(), climbs=(), rl_seeds=())
  if variant == 'harm':
    alone = dataclasses.replace(study, arms=tuple(harm_arms()), rl_arms=(), climbs=())
    return harm_rl(alone)
  if variant == 'phi':
    return with_model(study, phi())
  if variant == 'smoke_rl':
    return smoke(harm_rl(study), rl=True)
  return smoke(study) if variant == 'smoke' else study


def quick_arms(study):
  """Those that the deciding contrasts compare, and what documents or demonstrations do alone."""
  deciding = (c for c in study.rules.contrasts if c.name in study.rules.deciding)
  told = {name for contrast in deciding for name, _ in contrast.arms}
  return (a for a in study.arms if a.name in {'align', 'explain_A', 'explain_B'} | told)


def _arms_of_documents(study):
  """Documents alone, for either value."""
  every = {arm.name: arm for arm in (*study.arms, *more_arms())}
  return (every[f'{how}_{side}'] for how in ('explain', 'mention', 'shuffled') for side in 'AB')


def smoke(study, rl=False):
  world = World(
    seed=0, both=2, silent=1, unseen=1, unknown=4, background_documents=200,
    background_choices=200, target_documents=60, demonstrations=40,
  )  # fmt: skip
  small = dataclasses.replace(model(), width=16, depth=1, heads=2, kv_heads=2, mlp=32, unroll=1)
  flat = lambda optim: dataclasses.replace(optim, schedule=Schedule(shape='constant'))
  tiny = lambda stage, steps: dataclasses.replace(
    stage, model=small, batch=8, steps=steps, steps_per_call=2, optim=flat(stage.optim)
  )
  fewer = {
    reward.Config: dict(batch=8, steps=8), bon.Config: dict(count=4, n=8, batch=16),
    ppo.Config: dict(batch=8, minibatch=8, steps=4, eval_every=2, eval_prompts=8),
  }  # fmt: skip
  recipes = tuple(
    dataclasses.replace(
      r, stage=dataclasses.replace(r.stage, model=small, **fewer[type(r.stage)])
      if type(r.stage) in fewer else tiny(r.stage, 4),
    )
    for r in study.recipes
  )  # fmt: skip
  names = ('align', 'explain_A-align', 'explain_A') + ('align_H',) * rl
  arms = tuple(arm for arm in study.arms if arm.name in names)
  some = ('size.2-000-pairs.align.best', 'size.2-000-pairs.align.climb')
  some += ('misspecified.bag-of-words.align.climb_bag',)
  later = dict(
    rl_arms=tuple(a for a in study.rl_arms if a.name in ('align', 'align_H')) * rl,
    climbs=tuple(c for c in study.climbs if c.stored in some) * rl, rl_seeds=(0,) * rl,
  )  # fmt: skip
  base = tiny(study.base, 8)
  return dataclasses.replace(
    study, world=world, base=base, recipes=recipes, arms=arms, seeds=(0, 1), workers=0, **later
  )


def with_model(study, model):
  """The same study of another architecture."""
  put = lambda stage: dataclasses.replace(stage, model=model)
  recipes = tuple(dataclasses.replace(r, stage=put(r.stage)) for r in study.recipes)
  return dataclasses.replace(study, base=put(study.base), recipes=recipes)
