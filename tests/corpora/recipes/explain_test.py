"""Recipe explain: what is dealt, what is written again, and what stays short is told."""

import collections
import json

import pytest

from jaxalign.config import UserError
from jaxalign.corpora import spec, variants, waves
from jaxalign.corpora.recipes import explain
from jaxalign.corpora.records import Answer, Call

DEMO = variants.project(spec.read('demo'), 'value_augmented')


class Scripted:
  """Answers by rule, and counts the steps."""

  def __init__(self, marks=True, lists=0, findings=lambda task: ''):
    self.steps, self.tasks = collections.Counter(), []
    self.marks, self.lists, self.findings = marks, lists, findings

  def __call__(self, tasks):
    self.tasks += tasks
    self.steps.update(task.step for task in tasks)
    return [Answer(call=Call(task=task, teacher='').id, text=self.said(task)) for task in tasks]

  def said(self, task):
    if task.step in ('domains', 'subdomains', 'ideas'):
      count = self.lists or task.count
      return '\n'.join(f'{task.step} {n} of {task.slot}, {task.attempt}' for n in range(count))
    if task.step == 'critique':
      kind = dict(kind='invented', what=self.findings(task))
      return json.dumps(dict(findings=[kind] if kind['what'] else []))
    told = [('statement', task.statement), *task.reasons]
    parts = [
      f'<{kind}>{text}.</{kind}>' if self.marks else f'<{kind}>{text}.' for kind, text in told
    ]
    return ' '.join([*parts, task.earlier('idea'), task.earlier('findings'), str(task.attempt)])


def made(ask, sieve=lambda kept, batch: [None] * len(batch), seed=0, **fields):
  recipe = explain.Recipe(**dict(dict(documents=30, domains=3), **fields))
  how = dict(variant='value_augmented', seed=seed, sieve=sieve, judged_by=None)
  return waves.through(explain.write(recipe, DEMO, **how), ask)


def test_documents_come_in_plan_order_with_their_spans():
  ask = Scripted()
  found = made(ask).documents
  assert len(found) == 30 and [one.slot for one in found[:3]] == [
    f'explain/{value}/000000' for value in ('honesty', 'kindness', 'thrift')
  ]
  calls = {Call(task=task, teacher='').id: task.step for task in ask.tasks}
  for one in found:
    assert [span.kind for span in one.spans] == ['statement', *one.reasons]
    wordings = DEMO.value(one.value).wordings
    assert one.text[: one.spans[0].end].rstrip('.') in [text.rstrip('.') for text in wordings]
    steps = [calls[call] for call in one.calls]
    assert steps == ['domains', 'ideas', 'document', 'critique']
  assert len({one.idea for one in found}) == 30
  assert ask.steps['document'] == ask.steps['critique'] == 30 and not ask.steps['revision']


def test_reasons_wordings_and_limits_are_all_used():
  ask = Scripted()
  made(ask, documents=60)
  tasks = [task for task in ask.tasks if task.step == 'document']
  for value in DEMO.values:
    own = [task for task in tasks if task.value == value.id]
    told = collections.Counter(text for task in own for _, text in task.reasons)
    assert {*told} == {text for reason in value.reasons for text in reason.wordings}
    assert all(count >= 3 for count in told.values())
    for reason in value.reasons:
      types = {task.facet('type') for task in own if reason.id in dict(task.reasons)}
      assert len(types) >= 3
    assert all(sum(task.limit == limit for task in own) >= 2 for limit in value.limits)
    assert {task.statement for task in own} == {*value.wordings}
    assert all(value.statement in task.spec for task in own)


def test_a_document_is_revised_where_something_is_found_and_at_most_twice():
  ask = Scripted(findings=lambda task: 'a year' if '/honesty/' in task.slot else '')
  found = made(ask)
  assert ask.steps == collections.Counter(
    domains=3, ideas=9, document=30, critique=30 + 10, revision=20
  )
  assert found.revised == 10
  for one in found.documents:
    assert ('a year' in one.text) == (one.value == 'honesty')
  assert not made(Scripted(findings=lambda task: 'x'), critique=False).revised


def test_what_is_dropped_is_written_again_of_another_idea():
  def sieve(kept, batch):
    return [
      'form: empty' if one.text.endswith(' 0') and '/00000' in one.slot else None for one in batch
    ]

  ask = Scripted()
  found = made(ask, sieve, documents=60)
  assert len(found.documents) == 60 and not found.short
  again = [task for task in ask.tasks if task.step == 'document' and task.attempt]
  assert len(again) == 30 and found.report.dropped == {'form: empty': 30}
  assert found.report.examples['form: empty'][0] == 'explain/honesty/000000'
  first = {task.slot: task.earlier('idea') for task in ask.tasks if task.step == 'document'}
  ideas = [task.earlier('idea') for task in again]
  assert len({*ideas}) == len(ideas) and {*first} >= {task.slot for task in again}


def test_a_slot_is_tried_three_times_and_what_stays_short_is_told():
  ask = Scripted()
  found = made(ask, lambda kept, batch: ['leak' if 'thrift' in one.slot else None for one in batch])
  assert ask.steps['document'] == 20 + 3 * 10
  assert len(found.documents) == 20 and len(found.short) == 10
  assert found.short[0] == ('explain/thrift/000000', 'leak') and found.report.read == 50


def test_the_sieve_sees_what_was_kept_before():
  seen = []

  def sieve(kept, batch):
    seen.append((len(kept), len(batch)))
    return [None if len(seen) > 1 or n % 3 else 'twin' for n in range(len(batch))]

  assert len(made(Scripted(), sieve).documents) == 30 and seen == [(0, 30), (20, 10)]


def test_ill_formed_marks_leave_a_text_without_spans():
  found = made(Scripted(marks=False))
  assert found.unmarked == 30 and not any('<' in one.text for one in found.documents)


def test_too_few_ideas_are_topped_up_then_come_again():
  ask = Scripted(lists=1)
  found = made(ask)
  assert ask.steps['domains'] == 3 * 2 and len(found.documents) == 30
  more = [task for task in ask.tasks if task.step == 'ideas' and task.attempt]
  assert more and all(task.earlier('seen') for task in more)
  assert len({one.idea for one in found.documents}) < 30


def test_a_teacher_that_lists_nothing_is_told_so():
  ask = Scripted()
  ask.said = lambda task: '[3, 4]'
  with pytest.raises(UserError, match='step domains listed nothing for honesty'):
    made(ask)


def test_documents_of_one_idea_are_of_one_split():
  found = made(Scripted(lists=1), documents=90, validation=0.3).documents
  splits = collections.defaultdict(set)
  for one in found:
    splits[one.idea].add(one.split)
  assert all(len(split) == 1 for split in splits.values())
  assert {split for one in splits.values() for split in one} == {'train', 'validation'}


def test_another_seed_is_another_plan():
  facets = [[one.facets for one in made(Scripted(), seed=seed).documents] for seed in (0, 0, 1)]
  assert facets[0] == facets[1] != facets[2]


@pytest.mark.parametrize(
  'fields, what',
  [
    (dict(words=(9, 3)), 'recipe.words'),
    (dict(types=()), 'types'),
    (dict(voices=('a', 'a')), 'voices'),
  ],
)
def test_a_recipe_that_cannot_be_is_refused(fields, what):
  with pytest.raises(UserError, match=what):
    explain.Recipe(**fields).check()
