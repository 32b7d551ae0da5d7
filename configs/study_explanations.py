"""Real text: what do explanations of values add to the same demonstrations, in Phi-2?

  python -m jaxalign.main --config=configs/study_explanations.py --workdir=gs://BUCKET/study \\
    --config.world.explanations.path=gs://BUCKET/explanations/*.jsonl.gz

Seven arms over 8 seeds, each by adapters of rank 64 on a frozen base: align; align+ (the documents'
tokens spent on more demonstrations); explain, neutral or shuffled -> align; explain only; align ->
explain. Scored and asked to write on HH-RLHF, TruthfulQA, XSTest, jailbreaks and BOLD (which takes
vaderSentiment). Explanations are yours, JSON lines with `text` and `value`; neutral and shuffled
corpora are made of them. ./data is as docs/studies.md says, ./hh-rlhf is Anthropic/hh-rlhf.

Slice: v5e-16. Cost (estimated, not run yet): about 70 chip-hours, 4.3 hours on the slice, and
18 for what arms write; --doctor --slice=v5e-16 counts it step by step.
Expect: demonstrations are learned alike in all arms; whether documents that explain help is what
the study is to say; no arm tells why from what. Most of what others report at this size is null.

:tfds    explanations from the TFDS dataset `value_explanations` in ./data (see docs/studies.md).
:smoke   the whole path in 2 minutes: a tiny Phi, corpora, benches, suites that ship, two seeds.
"""

import dataclasses
from typing import Literal

from jaxalign.config import AdamW, Logging, Saving, Schedule
from jaxalign.data import chat, rows, sources
from jaxalign.data.decontaminate import Decontaminated
from jaxalign.evals import benches
from jaxalign.models import phi2
from jaxalign.models.adapters import Lora
from jaxalign.stages import explain, sft
from jaxalign.study.plan.arms import Arm, Recipe, Step
from jaxalign.study.stage import Config
from jaxalign.study.texts import batteries, texts_rules
from jaxalign.study.texts.real_text import Texts

MATRICES = ('q_*', 'k_*', 'v_*', 'o_*', '*_FD', 'down_*')  # of both families


def get_config(variant: Literal['', 'tfds', 'smoke'] = ''):
  tiny = phi2.tiny(width=64, mlp=256, depth=2, vocab=1024, length=512, remat='none')
  return study(phi2.phi2(), 'microsoft/phi-2', variant, tiny)


def study(model, init, variant, tiny, form=chat.TRANSCRIPT):
  """`init`: a hub name; form: how base models are asked, who know no format."""
  if variant == 'smoke':
    return smoke(tiny)
  world = texts(init, form)
  if variant == 'tfds':
    kind = dict(kind='document', columns=sources.EXPLANATION)
    dataset = sources.Tfds(name='value_explanations', data_dir='data', **kind)
    world = dataclasses.replace(world, explanations=dataset)
  return Config(
    world=world, base=None, recipes=recipes(model, init, form), arms=arms(), seeds=tuple(range(8)),
    rules=texts_rules.rules(), workers=0,
  )  # fmt: skip


def texts(init, form):
  meta = rows.Columns(meta=('value', 'type'))
  shard = 'en/c4-train.00000-of-01024.json.gz'  # of 1,024: some 150 M tokens
  c4 = dict(name='allenai/c4', revision='607bd4c8450a42878aa9ddc051a65a055450ef87')
  dialogues = lambda split: sources.HH(path='hh-rlhf', split=split, as_='conversation')
  return Texts(
    explanations=sources.Jsonl(path='explanations/*.jsonl.gz', kind='document', columns=meta),
    general=sources.HuggingFace(
      **c4, data_files=(shard,), split='train', kind='document', streaming=True
    ),
    demonstrations=Decontaminated(source=dialogues('train'), against=(dialogues('test'),)),
    tokenizer=init, format=form, benches=benches.published('data', 'hh-rlhf'), more=120_000,
    **batteries.published('data', 'hh-rlhf'),
  )  # fmt: skip


def recipes(model, init, form, length=2048):
  """explain and practise spend the same: 300 steps of 131 k tokens, four fifths on their corpus."""
  lora = Lora(rank=64, alpha=128.0, weights=MATRICES)

  def stage(kind, lr, steps, batch, *train, shape='cosine'):
    schedule = Schedule(shape=shape, warmup=steps // 10)
    return kind(
      model=model, init=init, format=form, lora=lora, length=length, batch=batch, steps=steps,
      train=train, eval_every=steps, optim=AdamW(lr=lr, schedule=schedule),
      saving=Saving(every=steps, keep=1),
    )  # fmt: skip

  return plan_of(stage, (1e-4, 300, 64), (1e-4, 80, 16), (2e-5, 20, 16))


def plan_of(stage, long, short, last):
  """long, short, last: (rate, steps, batch) of documents, of demonstrations, of the tail."""
  replay = document('background', 1)
  return (
    Recipe(name='explain', stage=stage(explain.Config, *long, document('{what}', 4), replay)),
    Recipe(name='practise', stage=stage(sft.Config, *long, dialogue('{what}', 4), replay)),
    Recipe(name='align', stage=stage(sft.Config, *short, dialogue('{what}', 9), replay)),
    Recipe(name='tail', stage=stage(explain.Config, *last, replay, shape='constant')),
  )


def document(name, weight):
  return explain.training.Corpus(source=sources.Jsonl(path=name, kind='document'), weight=weight)


def dialogue(name, weight):
  source = sources.Jsonl(path=name, kind='conversation')
  return explain.training.Corpus(source=source, weight=weight, long='drop')


def arms():
  """Every arm ends with the same replay, so that none is judged right after another format."""
  align, told = ('align', 'demonstrations'), ('explain', 'explain')
  made = {
    'align': (align,), 'align+': (('practise', 'more'), align), 'explain': (told,),
    'explain-align': (told, align), 'align-explain': (align, told),
    'neutral-align': (('explain', 'neutral'), align),
    'shuffled-align': (('explain', 'shuffled'), align),
  }  # fmt: skip
  step = lambda recipe, what='': Step(recipe=recipe, what=what)
  return tuple(
    Arm(name=name, steps=(*(step(*one) for one in steps), step('tail')), tests='texts')
    for name, steps in made.items()
  )


def smoke(model):
  """A base that has read general text for a moment, and three arms; it teaches nothing."""
  world = Texts(
    explanations=sources.Shipped(name='value_explanations', split='train'),
    general=sources.Shipped(name='general'),
    demonstrations=sources.Shipped(name='conversations', as_='conversation'),
    tokenizer='shipped', format=chat.TRANSCRIPT, length=512, documents=8, background=1000,
    taught=40, more=60, benches=benches.shipped(), **batteries.shipped(),
  )  # fmt: skip
  small = Lora(rank=8, alpha=16.0, weights=MATRICES)

  def stage(kind, lr, steps, batch, *train, lora=small, **_):
    return kind(
      model=model, format=chat.TRANSCRIPT, lora=lora, init='base' if lora else None, length=256,
      batch=batch, steps=steps, steps_per_call=10, train=train, eval_every=steps,
      optim=AdamW(lr=lr, schedule=Schedule(warmup=4)), saving=Saving(every=steps, keep=1),
      logging=Logging(every=steps),
    )  # fmt: skip

  names = ('explain-align', 'neutral-align', 'shuffled-align')
  return Config(
    world=world, base=stage(explain.Config, 3e-3, 20, 4, document('background', 1), lora=None),
    recipes=plan_of(stage, (1e-2, 10, 4), (1e-2, 10, 4), (1e-3, 10, 4)), seeds=(0, 1),
    arms=tuple(arm for arm in arms() if arm.name in names), rules=texts_rules.rules(), workers=2,
  )  # fmt: skip
