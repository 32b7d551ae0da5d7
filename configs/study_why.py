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
from jaxalign.study.plan.rules import Bar, Planned, Rules
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
  return stage(explain.Config, 6e-3, steps, 24, length=42, **replay(2, 3))


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


def arm(name, *steps):
  steps = tuple(Step(recipe=recipe, what=what) for recipe, what in steps)
  return Arm(name=name, steps=(*steps, Step(recipe='tail')), tests='goods')


def arms(kinds=('why', 'what', 'mention', 'bare', 'wrong')):
  align = ('align', 'demonstrations')
  yield arm('align', align)
  for kind in kinds:
    for letter in 'AB':
      told = ('explain', f'{kind}_{letter}')
      yield arm(f'{kind}_{letter}-align', told, align)
      if kind in ('why', 'what'):
        yield arm(f'{kind}_{letter}', told)
  for letter in 'AB':
    yield arm(f'align-why_{letter}', align, ('explain', f'why_{letter}'))


def between(one, other, sign=1):
  said = lambda kind, sign: ((f'{kind}_A-align', sign), (f'{kind}_B-align', -sign))
  return (*said(one, 1), *said(other, -1))


T2, T6 = (('T2', 1),), (('T6A', 1), ('T6B', -1))
RULES = Rules(
  contrasts=(
    Planned(name='P1', what='why steers more than what', arms=between('why', 'what'), tests=T2),
    Planned(
      name='P2', what='why carries to the sister more', arms=between('why', 'what'), tests=T6
    ),
    Planned(name='Q1', what='why more than mention', arms=between('why', 'mention'), tests=T2),
    Planned(name='Q2', what='why more than wrong', arms=between('why', 'wrong'), tests=T6),
    Planned(name='Q3', what='why more than bare', arms=between('why', 'bare'), tests=T2),
  ),
  deciding=('P1', 'P2'),
  bars=(
    Bar(name='G0', what='background choices right', least=0.9),
    Bar(name='G0b_why', what='choices right of why-agents with documents only', least=0.8),
    Bar(name='G0b_what', what='choices right of what-agents with documents only', least=0.8),
    Bar(name='G6_why', what='sister choices right of why-agents', least=0.7),
    Bar(name='T0', what='T0 right, lowest compared arm', least=0.95),
    Bar(name='T0 factor', what='T0 margins of compared arms, largest to smallest', most=1.25),
    Bar(name='mass', what='mass of yes and no', least=0.95),
  ),
  control=False,
)


def get_config(variant: Literal['', 'develop'] = 'develop'):
  seeds = tuple(int(n) for n in os.environ.get('WHY_SEEDS', '200,201').split(','))
  world = World(seed=0, split='dev')
  world = dataclasses.replace(world, **eval(os.environ.get('WHY_WORLD', '{}')))
  study = Config(
    world=WhyWorld(world=world),
    base=base(int(os.environ.get('WHY_BASE', 2000))),
    recipes=recipes(int(os.environ.get('WHY_TOLD', 200)), int(os.environ.get('WHY_ALIGN', 60))),
    arms=tuple(
      one for one in arms() if one.name in os.environ.get('WHY_ARMS', one.name).split(',')
    ),
    seeds=seeds,
    rules=RULES,
  )
  return study
