"""Pretended answers are of the form that every recipe wants; at worst nothing passes at once."""

import collections

import pytest

from jaxalign.corpora import waves
from jaxalign.corpora.recipes import (
  constitutional,
  debate,
  deliberative,
  demonstrations,
  hierarchy,
  pretended,
  rlaif,
)
from jaxalign.corpora.recipes.queries import Asked
from jaxalign.corpora.records import Answer, Task
from tests.corpora.recipes.scripted import about

TEN = Asked(count=12)
RECIPES = (
  constitutional.Recipe(queries=TEN),
  debate.Recipe(questions=6),
  deliberative.Recipe(queries=TEN),
  demonstrations.Recipe(queries=TEN),
  hierarchy.Recipe(situations=12),
  rlaif.Recipe(queries=TEN),
)


def walked(recipe, worst):
  steps = collections.Counter()

  def ask(tasks):
    steps.update(task.step for task in tasks)
    texts = [
      task.options[0] if task.options else pretended.answer(task, 60, worst=worst) for task in tasks
    ]
    return [Answer(call=f'{n}', text=text) for n, text in enumerate(texts)]

  return waves.through(recipe.write(about()), ask), steps


@pytest.mark.parametrize('recipe', RECIPES, ids=lambda recipe: type(recipe).__module__[-8:])
def test_what_is_pretended_passes_and_at_worst_is_asked_most_often(recipe):
  made, steps = walked(recipe, worst=False)
  assert steps.keys() == {*recipe.steps}
  judged = ('place', 'seat')  # the pretended judge always says the first
  assert all(any(word in why for word in judged) for why in made.report.dropped)
  _, most = walked(recipe, worst=True)
  assert all(most[step] >= count for step, count in steps.items())


def test_a_step_of_others_is_not_pretended_here():
  assert pretended.answer(Task(step='document', slot='1'), 10) is None
