"""The way on through RL in ValueWorld: reward models, best-of-n and PPO, and what they climb."""

import dataclasses

from configs.valueworld.arms import goods_arms, harm_arms
from configs.valueworld.lessons import FORMAT, asked, model, replay, stage
from jaxalign.config import AdamW, Logging, Saving, Schedule
from jaxalign.data import sources
from jaxalign.rl.bag import BagOfWords
from jaxalign.rl.judges import Judge
from jaxalign.rl.players import Rules
from jaxalign.stages import bon, ppo, reward, sft
from jaxalign.study.plan.arms import Climb, Recipe, Step
from jaxalign.valueworld.preferences import Picked
from jaxalign.valueworld.world import World


def rl_recipes():
  """Free answers are learnt first, then climbed; yes and no are there already."""
  world = World(seed=0)  # the seed's own is filled in
  picked = Judge(by=Picked(world=world, letter='AB'), called='gold')
  proxy = Judge(by='{reward}', called='proxy', apart=True)  # one program, whoever judges
  bag = BagOfWords(pairs=sources.Jsonl(path='{what}', kind='pair'))
  bag = dict(critic=None, judges=(Judge(by=bag, called='proxy'),))
  climb = climbing(proxy, picked, prompts('openings'), prompts('openings_held'))
  return (
    Recipe(name='advise', stage=stage(sft.Config, 1e-3, 150, 24, what=asked(4, 'advice'),
                                      **replay(1, 1))),
    Recipe(name='reward', stage=rewarding()),
    Recipe(name='climb', stage=climb),
    Recipe(name='obey', stage=dataclasses.replace(
      climb, gold=(), prompts=prompts('questions_A'), held_out=None)),
    Recipe(name='climb_bag', stage=dataclasses.replace(climb, **bag)),
    Recipe(name='best', stage=bon.Config(
      model=model(), format=FORMAT, prompts=prompts('openings_held'), proxy=(proxy,),
      gold=(picked,), count=16, n=128, prompt=12, response=6, batch=512, page=False)),
  )  # fmt: skip


def prompts(name):
  return sources.Jsonl(path=name, kind='prompt')


def rewarding():
  adam = AdamW(
    lr=2e-3, b2=0.98, weight_decay=0.1, factors=(('embed*', 4.0),),
    schedule=Schedule(warmup=5, end=0.0),
  )  # fmt: skip
  return reward.Config(
    model=model(), format=FORMAT, train=(sources.Jsonl(path='{what}', kind='pair'),),
    length=18, batch=64, steps=80, eval_every=1000, optim=adam,
    saving=Saving(every=1000, keep=1), logging=Logging(every=50),
  )  # fmt: skip


def climbing(proxy, gold, prompts, held_out):
  adam = AdamW(lr=7e-4, eps=1e-5, schedule=Schedule(shape='constant'))
  return ppo.Config(
    model=model(), format=FORMAT, prompts=prompts, held_out=held_out, judges=(proxy,),
    gold=(gold,), critic='{reward}', prompt=12, response=6, batch=32, minibatch=32, steps=24,
    eval_every=3, eval_prompts=64, eval_greedy=False, optim=adam, critic_optim=adam,
    rules=Rules(beta=0.02, epochs=2, normalise=True, missing_eos=1.0),
    saving=Saving(every=1000, keep=1), logging=Logging(every=50),
  )  # fmt: skip


def rl_arms():
  """Against a proxy of what A likes: does what an arm was told before still show?"""
  first = {arm.name: arm for arm in goods_arms()}
  for name in ('align', 'mention_A-align', 'explain_A-align', 'explain_B-align'):
    steps = (Step(recipe='reward', what='pairs_A_2000_20'), Step(recipe='obey', start='tail'))
    yield dataclasses.replace(
      first[name], steps=(*first[name].steps, *steps), after='ppo', control=False
    )


def harm_rl(study):
  """The study with arms of H that go on too, by a proxy of refusing the listed harms: are those
  that no text of the target names still refused? The recipe comes last: others keep their seeds."""
  first = {arm.name: arm for arm in harm_arms()}
  obey = next(recipe.stage for recipe in study.recipes if recipe.name == 'obey')
  obey = dataclasses.replace(obey, prompts=prompts('questions_H'))
  steps = (Step(recipe='reward', what='pairs_H_2000_20'), Step(recipe='obey_H', start='tail'))
  more = tuple(
    dataclasses.replace(first[name], steps=(*first[name].steps, *steps), after='ppo', control=False)
    for name in ('align_H', 'value-align', 'rule-align', 'mention-align')
  )
  recipes = (*study.recipes, Recipe(name='obey_H', stage=obey))
  return dataclasses.replace(study, recipes=recipes, rl_arms=(*study.rl_arms, *more))


def climbs(full=False):
  """full: also 20,000 pairs, all sizes from explain_A-align too, and more noise."""
  first = {arm.name: arm.steps for arm in goods_arms()}

  def climb(mode, line, pairs, arm='align', last='climb'):
    steps = [*first[arm], Step(recipe='advise')]
    if last == 'climb_bag':
      steps.append(Step(recipe=last, what=pairs, start='advise'))
    else:
      steps += [Step(recipe='reward', what=pairs), Step(recipe=last, start='advise')]
    return Climb(mode=mode, line=line, arm=arm, steps=tuple(steps))

  sizes = (200, 2000, 20_000) if full else (200, 2000)
  for count in sizes:
    for last in ('best', 'climb'):
      yield climb('size', f'{count:,} pairs', f'picks_AB_{count}_20', last=last)
  for count in sizes if full else (2000,):
    for last in ('best', 'climb'):
      yield climb('size', f'{count:,} pairs', f'picks_AB_{count}_20', 'explain_A-align', last)
  for noise in (0, 20, 40) if full else (0, 20):
    yield climb('regressional', f'{noise} % wrong', f'picks_AB_2000_{noise}')
  yield climb('extremal', 'all lengths', 'picks_AB_2000_0')  # as above: it is run once
  yield climb('extremal', 'long ones only', 'long_AB_2000_0')
  yield climb('misspecified', 'reads all of it', 'picks_AB_2000_0')
  yield climb('misspecified', 'bag of words', 'picks_AB_2000_0', last='climb_bag')
  yield climb('causal', 'whatever length', 'picks_AB_2000_0')
  yield climb('causal', 'better is longer', 'longer_AB_2000_0')
