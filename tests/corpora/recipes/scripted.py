"""Recipes run through: the grammar answers, and a test says what some step answers instead."""

import json

from jaxalign import files
from jaxalign.corpora import spec, variants, waves
from jaxalign.corpora.grammar import Grammar
from jaxalign.corpora.recipes.made import About
from jaxalign.corpora.records import Answer, Call

DEMO = variants.project(spec.read('demo'), 'value_augmented')


class Ask:
  """Answers by the grammar, or by instead[step]: a function of the task to a text, or to
  (text, log-probabilities). Keeps what it was asked."""

  def __init__(self, of=DEMO, **instead):
    self.teacher, self.instead, self.tasks = Grammar(of), instead, []

  def __call__(self, tasks):
    self.tasks += tasks
    slots = [(task.step, task.slot, task.attempt) for task in tasks]
    assert len(set(slots)) == len(slots)
    return [self.answer(Call(task=task, teacher='t')) for task in tasks]

  def answer(self, call):
    if (says := self.instead.get(call.task.step)) is None:
      return next(iter(self.teacher.answers([call])))
    said = says(call.task)
    text, logprobs = said if isinstance(said, tuple) else (said, ())
    return Answer(call=call.id, text=text, logprobs=logprobs)

  def of(self, step):
    return [task for task in self.tasks if task.step == step]


def about(of=DEMO, **fields):
  return About(**dict(spec=of, variant='value_augmented', seed=0, provenance='a test') | fields)


def made(recipe, ask=None, **fields):
  return waves.through(recipe.write(about(**fields)), ask or Ask())


def written(place, rows):
  """A file of these rows."""
  text = ''.join(json.dumps(row) + '\n' for row in rows)
  files.write_text(text, place)
  return str(place)
