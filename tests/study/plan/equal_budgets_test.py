"""Arms may differ in what they read, and in nothing that they do not declare."""

import dataclasses

import pytest

from jaxalign import main, sealing
from jaxalign.config import AdamW, UserError
from jaxalign.data import chat
from jaxalign.study.plan.arms import Arm, Step
from tests.study.tiny import ROOT, with_recipe

PATH = f'{ROOT}/configs/study_explanations.py'


def plan(variant=':smoke', **changes):
  return dataclasses.replace(main.load(PATH + variant), **changes)


def with_all_arms(**changes):
  return plan(arms=plan('').arms, **changes)


def test_the_shipped_plans_declare_all():
  for variant in ('', ':tfds', ':smoke'):
    sealing.seal(plan(variant))
  sealing.seal(with_all_arms())


def other_recipe(**changes):
  study = with_all_arms()
  return dataclasses.replace(study, recipes=with_recipe(study, 'practise', **changes))


def shorter_order():
  """The order arm without the last replay: it would be judged right after documents."""
  study = with_all_arms()
  cut = lambda arm: dataclasses.replace(arm, steps=arm.steps[:-1])
  return dataclasses.replace(
    study, arms=tuple(cut(a) if a.name == 'align-explain' else a for a in study.arms)
  )


def with_align(study, **changes):
  return dataclasses.replace(study, recipes=with_recipe(study, 'align', **changes))


def with_arm(corpus, tests):
  arm = Arm(name='x', steps=(Step(recipe='explain', what=corpus),), tests=tests)
  return plan(arms=(*plan().arms, arm))


WRONG = {
  'steps is': lambda: other_recipe(steps=30),
  r'contrast R3: explain-align and align\+ differ in more than their texts: optim.lr is': lambda: (
    other_recipe(optim=AdamW(lr=0.5, schedule=plan().recipes[0].stage.optim.schedule))
  ),
  'contrast R4: explain-align and align-explain differ in more .* 3 and 2 steps': shorter_order,
  'without a base all name one init': lambda: with_align(plan(''), init='another/base'),
  'a wrong template alone can fake an effect': lambda: with_align(
    plan(), format=chat.PHI2_INSTRUCT
  ),
  'tests=goods: here these are texts': lambda: with_arm('explain', 'goods'),
  'lore is no corpus of a world: these are explain, shuffled, neutral': lambda: with_arm(
    'lore', 'texts'
  ),
}


@pytest.mark.parametrize('says', WRONG)
def test_what_is_not_declared_is_one_line(says):
  with pytest.raises(UserError, match=says) as error:
    sealing.seal(WRONG[says]())
  assert '\n' not in str(error.value)


def test_unequal_budgets_are_declared():
  """Direct alignment spends less than any arm with documents: its contrast says so."""
  study = with_all_arms()
  (r5,) = (one for one in study.rules.contrasts if one.name == 'R5')
  assert r5.unequal
  rules = dataclasses.replace(
    study.rules,
    contrasts=tuple(dataclasses.replace(one, unequal=False) for one in study.rules.contrasts),
  )
  with pytest.raises(UserError, match='R5: explain-align and align differ .* 3 and 2 steps'):
    sealing.seal(with_all_arms(rules=rules))
