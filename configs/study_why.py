"""Study 3, in development: does *why* do more than *what*? In a closed world, on a laptop.

  python -m jaxalign.main --config=configs/study_why.py:develop --workdir=runs/why

:develop seeds 200 to 207 on development words: where the recipe and the dose are chosen.
"""

import dataclasses
import os
from typing import Literal

from configs.valueworld.lessons import FORMAT
from jaxalign.config import AdamW, Logging, Saving, Schedule
from jaxalign.data import rows, sources
from jaxalign.models import llama2
from jaxalign.stages import explain, sft
from jaxalign.study.plan.arms import Arm, Recipe, Step
from jaxalign.study.plan.rules import Bar, Claim, Interaction, Planned, Rules
from jaxalign.study.stage import Config
from jaxalign.study.why.whyworld import WhyWorld
from jaxalign.whyworld import words
from jaxalign.whyworld.world import World

TOKENS = 20


def model():
  vocab = len(words.vocabulary()) + 2
  return llama2.Config(
    width=64, depth=2, heads=4, kv_heads=4, mlp=172, vocab=vocab, length=64, bos=None,
    eos=(vocab - 2,), dtype='float32', remat='none', unroll=2,
  )  # fmt: skip


def stage(kind, lr, steps, batch, shape='cosine', embed=4.0, length=TOKENS, **corpora):
  adam = AdamW(
    lr=lr, b2=0.98, weight_decay=0.1, factors=(('embed*', embed),),
    schedule=Schedule(shape=shape, warmup=min(20, steps // 5), end=0.0),
  )  # fmt: skip
  return kind(
    model=model(), format=FORMAT, length=length, batch=batch, steps=steps, steps_per_call=50,
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


def base(steps=1000):
  return stage(explain.Config, 5e-3, steps, 96, **replay(1, 2))


def recipes(told=200, aligned=60):
  first = dict(lr=5e-4, embed=48.0, steps=told, batch=32, **replay(15, 15))
  last = replay(1, 1)
  return (
    Recipe(name='explain', stage=stage(explain.Config, what=texts(2), **first)),
    Recipe(
      name='align', stage=stage(sft.Config, 3e-4, aligned, 24, embed=24.0, what=asked(4), **last)
    ),
    Recipe(name='tail', stage=stage(explain.Config, 3e-4, 25, 32, 'constant', **last)),
  )


def arm(name, *steps, control=False):
  steps = tuple(Step(recipe=recipe, what=what) for recipe, what in steps)
  return Arm(name=name, steps=(*steps, Step(recipe='tail')), tests='goods', control=control)


def arms(kinds=('why', 'what', 'mention', 'bare', 'wrong')):
  align = ('align', 'demonstrations')
  yield arm('align', align)
  for kind in kinds:
    for letter in 'AB':
      told = ('explain', f'{kind}_{letter}')
      yield arm(f'{kind}_{letter}-align', told, align, control=kind in ('why', 'what'))
      if kind in ('why', 'what'):
        yield arm(f'{kind}_{letter}', told)
  for letter in 'AB':
    yield arm(f'align-why_{letter}', align, ('explain', f'why_{letter}'))


def less(one, other):
  """Steering of one kind of arms, told A less told B, less that of the other kind."""
  of = lambda arms, sign: ((arms.format('A'), sign), (arms.format('B'), -sign))
  return (*of(one, 1), *of(other, -1))


def of_v(name, what, one, other, tests):
  return Planned(name=name, what=what, arms=less(one, other), tests=tests, scale='share')


NAMED, SISTER = (('T3A', 1), ('T3B', -1)), (('T6A', 1), ('T6B', -1))
WHY = 'why_{}-align'
RULES = Rules(
  contrasts=(
    of_v('P1', 'reasons steer more than the same facts without, on what documents name', WHY,
         'what_{}-align', NAMED),
    of_v('P2', 'reasons carry further than the same facts without, to what no document names', WHY,
         'what_{}-align', SISTER),
    of_v('P3', 'reasons steer more before the demonstrations than after them', WHY,
         'align-why_{}', NAMED),
    of_v('S1', 'the right reasons carry further than those of another pair', WHY,
         'wrong_{}-align', SISTER),
    of_v('S2', 'reasons steer more than their words in a heap', WHY, 'bare_{}-align', NAMED),
    of_v('S3', 'reasons in documents steer more than reasons in the demonstrated answer', WHY,
         'cot_{}', NAMED),
    # align+ has no sides: told A, less no documents at all
    Planned(name='S4', what='reasons steer more than as many tokens of further demonstrations',
            arms=(('why_A-align', 1), ('align+', -1)), tests=NAMED, scale='share'),
  ),
  family=('P1', 'P2', 'P3'),
  secondary=('S1', 'S2', 'S3', 'S4'),
  deciding=(),
  claim=Claim(
    any_of=('P1', 'P2'),
    interactions=(
      Interaction(contrast='P2', control='rho'),
      Interaction(contrast='P2', control='kappa'),
    ),
  ),
  bars=(
    Bar(name='G0', what='background choices right', least=0.9),
    Bar(name='G0b_why', what='choices right of why-agents with documents only', least=0.8),
    Bar(name='G0b_what', what='choices right of what-agents with documents only', least=0.8),
    Bar(name='G6_why', what='sister choices right of why-agents', least=0.7),
    Bar(name='T0', what='T0 right, lowest compared arm', least=0.95),
    Bar(name='T0 factor', what='T0 margins of compared arms, largest to smallest', most=1.25),
    Bar(name='mass', what='mass of yes and no', least=0.95),
    Bar(name='why - mention', what='reasons steer more than mention, nats on T2', least=1e-9),
  ),
  control=False,
)  # fmt: skip


def get_config(variant: Literal['', 'develop'] = 'develop'):
  seeds = tuple(int(n) for n in os.environ.get('WHY_SEEDS', '200,201').split(','))
  world = World(seed=0, split='dev')
  world = dataclasses.replace(world, **eval(os.environ.get('WHY_WORLD', '{}')))
  study = Config(
    world=WhyWorld(world=world),
    base=base(int(os.environ.get('WHY_BASE', 1000))),
    recipes=recipes(int(os.environ.get('WHY_TOLD', 200)), int(os.environ.get('WHY_ALIGN', 60))),
    arms=tuple(a for a in arms() if a.name in os.environ.get('WHY_ARMS', a.name).split(',')),
    seeds=seeds,
    control_seeds=tuple(int(n) for n in os.environ.get('WHY_CONTROLS', '').split(',') if n),
    controls=('rho', 'kappa'),
    rules=RULES,
  )
  return study
