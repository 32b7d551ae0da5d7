"""A corpus by the grammar, for tests: the explain recipe with nothing asked of anybody else."""

import functools

from jaxalign.corpora import spec, variants, waves
from jaxalign.corpora.grammar import Grammar
from jaxalign.corpora.recipes import explain
from jaxalign.corpora.records import Call, Task

SCHWARTZ = variants.project(spec.read('schwartz'), 'value_only')
WORDS = 120, 260


def asked(grammar, tasks):
  """Answers in the order of the tasks."""
  calls = [Call(task=task, teacher=grammar.name) for task in tasks]
  by_id = {answer.call: answer for answer in grammar.answers(calls)}
  return [by_id[call.id] for call in calls]


def said(grammar, step, **fields):
  (answer,) = asked(grammar, [Task(step=step, **dict(dict(slot='a/b/0001'), **fields))])
  return answer.text


def made(count, grammar=None, of=SCHWARTZ, sieve=lambda kept, batch: [None] * len(batch), **fields):
  """(what the recipe made, the tasks of its documents)."""
  grammar, tasks = grammar or Grammar(of), []

  def ask(some):
    tasks.extend(task for task in some if task.step == 'document')
    return asked(grammar, some)

  fields = dict(dict(critique=False, words=WORDS), **fields)
  recipe = explain.Recipe(documents=count, **fields)
  write = explain.write(recipe, of, variant='value_only', seed=0, sieve=sieve)
  return waves.through(write, ask), tasks


@functools.cache
def documents(count):
  found, _ = made(count)
  return found.documents
