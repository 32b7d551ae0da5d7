"""ValueWorld: does learning why first change what the same demonstrations teach? On a laptop.

  python -m jaxalign.main --config=configs/study_valueworld.py --workdir=runs/valueworld

Tiny Llamas (150 k weights) from chance, through the stages that run on pods: 8 seeds, 12 arms of
experiment S (two specs, the same demonstrations), 7 of H (values against rules, harm held out).
Slice: none, a laptop. Cost: eleven to twelve minutes on two cores.
Expect: documents that give a value steer the same demonstrations by some 20 nats; if reasons beat
mention and shuffled reasons is what the study is to say. The recipe was found on seeds from 100
up and the development words alone (docs/valueworld.md).

:quick   two development seeds, no verdict: about four minutes. The record's seeds stay unseen.
:full    with the negative control (rho = 0) on all seeds, and the arms of more_arms(): half an hour
         (estimated).
:develop seeds 120 to 127 on development words: where a recipe may be tried.
:phi     of models built as Phi-2 is, the same recipes: no gate was tried on them.
:smoke   the whole path in seconds: two seeds, three arms, weights that learn nothing.
:smoke_rl  the same, and of one seed the way through reward, PPO and best-of-n.
"""

import dataclasses
from typing import Literal

from jaxalign.config import AdamW, Logging, Saving, Schedule
from jaxalign.data import chat, rows, sources
from jaxalign.models import llama2, phi2
from jaxalign.rl.bag import BagOfWords
from jaxalign.rl.judges import Judge
from jaxalign.rl.players import Rules
from jaxalign.stages import bon, explain, ppo, reward, sft
from jaxalign.study import plan
from jaxalign.study.plan import Arm, Climb, Recipe, Step
from jaxalign.valueworld import words
from jaxalign.valueworld.preferences import Picked
from jaxalign.valueworld.world import World

FORMAT = chat.ChatFormat(name='asked', user='{user}', system='{system} {user}', answer=' {answer}')
TOKENS = 14  # of every example: rows have one, and nothing is padding


def get_config(variant: Literal['', 'quick', 'full', 'develop', 'phi', 'smoke', 'smoke_rl'] = ''):
  seeds = tuple(range(8))
  study = plan.Config(
    world=World(seed=0), base=base(), recipes=(*recipes(), *rl_recipes()),
    arms=(*goods_arms(), *harm_arms()), seeds=seeds, rl_arms=tuple(rl_arms()),
    climbs=tuple(climbs()), rl_seeds=seeds[:2],
  )  # fmt: skip
  if variant == 'full':
    more = tuple(climbs(also=(200, 20_000)))
    arms = (*study.arms, *more_arms())
    return dataclasses.replace(study, control_seeds=seeds, rl_seeds=seeds, climbs=more, arms=arms)
  if variant in ('quick', 'develop'):
    world = dataclasses.replace(study.world, split='dev')
    seeds = (100, 101) if variant == 'quick' else tuple(range(120, 128))
    return dataclasses.replace(study, world=world, seeds=seeds, rl_seeds=seeds[:2])
  if variant == 'phi':
    return with_model(study, phi())
  if variant == 'smoke_rl':
    return smoke(study, rl=True)
  return smoke(study) if variant == 'smoke' else study


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
  arms = tuple(a for a in study.arms if a.name in ('align', 'explain_A-align', 'explain_A'))
  some = ('size.2-000-pairs.align.best', 'size.2-000-pairs.align.climb')
  some += ('misspecified.bag-of-words.align.climb_bag',)
  later = dict(
    rl_arms=tuple(a for a in study.rl_arms if a.name == 'align') * rl,
    climbs=tuple(c for c in study.climbs if c.stored in some) * rl, rl_seeds=(0,) * rl,
  )  # fmt: skip
  base = tiny(study.base, 8)
  return dataclasses.replace(
    study, world=world, base=base, recipes=recipes, arms=arms, seeds=(0, 1), workers=0, **later
  )


def model():
  vocab = len(words.vocabulary()) + 2
  return llama2.Config(
    width=64, depth=2, heads=4, kv_heads=4, mlp=172, vocab=vocab, length=64, bos=None,
    eos=(vocab - 2,), dtype='float32', remat='none', unroll=2,
  )  # fmt: skip


def phi():
  """Of the same size, as Phi-2 is built."""
  ours = model()
  return phi2.tiny(
    width=ours.width, depth=ours.depth, heads=ours.heads, kv_heads=ours.kv_heads,
    mlp=4 * ours.width, vocab=ours.vocab, length=ours.length, eos=ours.eos, remat='none',
    unroll=ours.unroll,
  )  # fmt: skip


def with_model(study, model):
  """The same study of another architecture."""
  put = lambda stage: dataclasses.replace(stage, model=model)
  recipes = tuple(dataclasses.replace(r, stage=put(r.stage)) for r in study.recipes)
  return dataclasses.replace(study, base=put(study.base), recipes=recipes)


def stage(kind, lr, steps, batch, shape='cosine', embed=4.0, **corpora):
  """corpora: their shares, by what they hold; `what` is the step's own. embed: how much faster the
  embedding learns than the rest."""
  adam = AdamW(
    lr=lr, b2=0.98, weight_decay=0.1, factors=(('embed*', embed),),
    schedule=Schedule(shape=shape, warmup=min(20, steps // 5), end=0.0),
  )  # fmt: skip
  return kind(
    model=model(), format=FORMAT, length=TOKENS, batch=batch, steps=steps, steps_per_call=50,
    train=tuple(corpora.values()), eval_every=1000, optim=adam,
    saving=Saving(every=1000, keep=1), logging=Logging(every=50),
  )  # fmt: skip


def texts(weight, name='{what}'):
  return explain.training.Corpus(source=sources.Jsonl(path=name, kind='document'), weight=weight)


def asked(weight, name='{what}'):
  columns = rows.Columns(prompt='prompt', answer='answer')
  source = sources.Jsonl(path=name, kind='conversation', columns=columns)
  return explain.training.Corpus(source=source, weight=weight)


def replay(documents, choices):
  return dict(background=texts(documents, 'background'), choices=asked(choices, 'choices'))


def base():
  return stage(explain.Config, 5e-3, 1000, 64, **replay(1, 1))


def recipes():
  # It is the name that is to learn what documents say of it, not how the world goes.
  first = dict(lr=5e-4, embed=48.0, steps=200, batch=32, **replay(15, 15))
  last = replay(1, 1)
  return (
    Recipe(name='explain', stage=stage(explain.Config, what=texts(2), **first)),
    Recipe(name='practise', stage=stage(explain.Config, what=asked(2), **first)),
    Recipe(name='align', stage=stage(sft.Config, 3e-4, 200, 24, embed=16.0, what=asked(4), **last)),
    Recipe(name='tail', stage=stage(explain.Config, 3e-4, 50, 32, 'constant', **last)),
  )


def arm(name, tests, *steps, control=False):
  """Every arm ends with the same replay, so that none is judged right after another format."""
  steps = tuple(Step(recipe=recipe, what=what) for recipe, what in steps)
  return Arm(name=name, steps=(*steps, Step(recipe='tail')), tests=tests, control=control)


def goods_arms():
  align = ('align', 'demonstrations')
  yield arm('align', 'goods', align)
  yield arm('align+', 'goods', ('practise', 'more'), align)
  for letter in 'AB':
    for how in ('explain', 'mention', 'shuffled'):
      documents = ('explain', f'{how}_{letter}')
      control = how != 'shuffled'
      yield arm(f'{how}_{letter}-align', 'goods', documents, align, control=control)
  for letter in 'AB':
    documents = ('explain', f'explain_{letter}')
    yield arm(f'explain_{letter}', 'goods', documents)
    yield arm(f'align-explain_{letter}', 'goods', align, documents)


def harm_arms():
  align = ('align', 'refusals')
  yield arm('align_H', 'harm', align)
  yield arm('align+_H', 'harm', ('practise', 'more_refusals'), align)
  for how in ('value', 'rule', 'mention'):
    yield arm(f'{how}-align', 'harm', ('explain', how), align, control=how != 'rule')
  yield arm('value', 'harm', ('explain', 'value'))
  yield arm('align-value', 'harm', align, ('explain', 'value'))


def more_arms():
  """Controls of the controls, for secondary contrasts: documents of each kind alone, of another
  value and of nobody; and, without any training, one document in the prompt."""
  align, refuse = ('align', 'demonstrations'), ('align', 'refusals')
  for letter in 'AB':
    for how in ('mention', 'shuffled'):
      yield arm(f'{how}_{letter}', 'goods', ('explain', f'{how}_{letter}'))
    yield Arm(name=f'context_{letter}', steps=(), tests='goods', context=f'explain_{letter}')
  yield arm('other_C-align', 'goods', ('explain', 'explain_C'), align)
  yield arm('lore-align', 'goods', ('explain', 'lore'), align)
  for how in ('rule', 'mention'):
    yield arm(how, 'harm', ('explain', how))
  yield Arm(name='context_H', steps=(), tests='harm', context='value')
  yield arm('other-align_H', 'harm', ('explain', 'explain_A'), refuse)
  yield arm('lore-align_H', 'harm', ('explain', 'lore'), refuse)


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


def climbs(also=()):
  """also: sizes of the proxies that are climbed from explain_A-align too."""
  first = {arm.name: arm.steps for arm in goods_arms()}

  def climb(mode, line, pairs, arm='align', last='climb'):
    steps = [*first[arm], Step(recipe='advise')]
    if last == 'climb_bag':
      steps.append(Step(recipe=last, what=pairs, start='advise'))
    else:
      steps += [Step(recipe='reward', what=pairs), Step(recipe=last, start='advise')]
    return Climb(mode=mode, line=line, arm=arm, steps=tuple(steps))

  for count in (200, 2000, 20_000):
    for last in ('best', 'climb'):
      yield climb('size', f'{count:,} pairs', f'picks_AB_{count}_20', last=last)
  for count in (2000, *also):
    for last in ('best', 'climb'):
      yield climb('size', f'{count:,} pairs', f'picks_AB_{count}_20', 'explain_A-align', last)
  for noise in (0, 20, 40):
    yield climb('regressional', f'{noise} % wrong', f'picks_AB_2000_{noise}')
  yield climb('extremal', 'all lengths', 'picks_AB_2000_0')  # as above: it is run once
  yield climb('extremal', 'long ones only', 'long_AB_2000_0')
  yield climb('misspecified', 'reads all of it', 'picks_AB_2000_0')
  yield climb('misspecified', 'bag of words', 'picks_AB_2000_0', last='climb_bag')
  yield climb('causal', 'whatever length', 'picks_AB_2000_0')
  yield climb('causal', 'better is longer', 'longer_AB_2000_0')
