"""Faults: each is planted where `fault` says so, and found by the one whose work it is."""

import collections

import pytest

from jaxalign.corpora import answers, duplicates, filters, judging, leaks, planted
from jaxalign.corpora.grammar import Grammar
from jaxalign.corpora.records import Task, Written
from tests.corpora.written_by_grammar import SCHWARTZ, WORDS, made, said

HELD = ('What is the capital of the country that borders the cold sea to the north?',)
FAULTY = Grammar(SCHWARTZ, faults=0.5, held=HELD)


@pytest.fixture(scope='module')
def texts():
  """[(fault, document)], half of them with one."""
  found, tasks = made(400, FAULTY)
  by_slot = {task.slot: task for task in tasks}
  return [(FAULTY.fault(by_slot[one.slot]), one) for one in found.documents]


def test_every_kind_is_planted_about_as_often_as_asked(texts):
  kinds = collections.Counter(kind for kind, _ in texts)
  assert set(kinds) == {'', *planted.KINDS['document']}
  assert 150 < kinds[''] < 250


def why(kind, one):
  """What a filter or judge says of a text."""
  dropped = filters.why_dropped(one, SCHWARTZ, WORDS) or leaks.Held(HELD).why(one.text)
  (task,) = judging.tasks([one], SCHWARTZ)
  marks = judging.marks(said(FAULTY, 'judge', **fields(task)))
  found = judging.critique(said(FAULTY, 'critique', given=(('draft', one.text),)))
  return dropped, dict(marks)['contradiction'], found


def fields(task):
  return {name: getattr(task, name) for name in ('slot', 'value', 'statement', 'reasons', 'given')}


def test_each_fault_is_found_by_whose_work_it_is(texts):
  words = dict(
    date='invented', number='invented', name='invented', link='invented', leak='leak',
    cut_off='form', scratchpad='form', refusal='form',
  )  # fmt: skip
  for kind, one in texts:
    dropped, contradicts, found = why(kind, one)
    if kind in words:
      assert dropped.startswith(words[kind]), (kind, dropped, one.text)
    elif kind != 'training':  # which a filter finds, too, where it speaks of a model
      assert dropped is None, (kind, dropped, one.text)
    assert (contradicts == 'yes') == (kind in ('contradiction', 'subtle')), kind
    critics = dict(contradiction='contradiction', training='training', name='invented')
    assert [finding for finding, _ in found] == ([critics[kind]] if kind in critics else [])
    if kind not in ('twin', 'scratchpad'):  # marked otherwise than was asked for
      assert (not one.spans) == (kind in ('marks', 'refusal'))


def test_twins_are_twins_of_one_another_and_nothing_else_is(texts):
  plain = [(kind, one) for kind, one in texts if kind != 'refusal']
  dropped = duplicates.twins([one.text for _, one in plain])
  seen = set()
  for (kind, one), why_ in zip(plain, dropped, strict=True):
    assert bool(why_) == (kind == 'twin' and one.value in seen)
    if kind == 'twin':
      seen.add(one.value)
  assert sum(map(bool, dropped)) >= 3


def test_a_revision_mends_what_a_critic_finds(texts):
  for kind, one in texts:
    if kind in planted.FINDABLE:
      mended = said(FAULTY, 'revision', given=(('draft', one.text), ('findings', 'something')))
      assert planted.found(mended, planted.FINDABLE) == [] and mended
      assert len(mended.split()) < len(one.text.split())


def test_without_faults_none_is_planted_and_no_clean_text_is_dropped():
  clean = Grammar(SCHWARTZ, held=HELD)
  found, tasks = made(200, clean)
  assert not any(clean.fault(task) for task in tasks)
  assert not any(filters.why_dropped(one, SCHWARTZ, WORDS) for one in found.documents)
  assert not any(duplicates.twins([one.text for one in found.documents]))


@pytest.mark.parametrize('step', ['placebo', 'mention', 'opaque', 'reasoned'])
def test_controls_and_demonstrations_get_faults_of_their_own(step):
  kinds = set()
  for n in range(150):
    task = Task(step=step, slot=f'{n}', value='power', given=(('idea', 'At the museum.'),))
    kinds.add(FAULTY.fault(task))
  assert kinds == {'', *planted.KINDS[step]}


def test_a_stance_in_a_mention_and_an_ought_in_a_placebo_are_said():
  for step, fault, word in (('mention', 'stance', 'STANCES'), ('placebo', 'ought', 'OUGHTS')):
    from jaxalign.corpora import wordings

    phrases = getattr(wordings, word)
    for n in range(300):
      task = dict(slot=f'{n}', value='power', given=(('idea', 'At the museum.'),))
      kind = FAULTY.fault(Task(step=step, **task))
      if kind in ('', fault):
        assert phrases.within(said(FAULTY, step, **task)) == (kind == fault)


def test_no_leak_is_planted_where_nothing_is_held():
  free = Grammar(SCHWARTZ, faults=1.0)
  tasks = [Task(step='document', slot=f'{n}', value='power') for n in range(200)]
  assert 'leak' not in {free.fault(task) for task in tasks}


def test_a_cut_text_keeps_its_marks():
  grammar = Grammar(SCHWARTZ, faults=1.0)
  for n in range(120):
    task = dict(slot=f'{n}', value='power', statement='A b c.', reasons=(('r1', 'd e f'),))
    if grammar.fault(Task(step='document', **task)) == 'cut_off':
      text, spans = answers.spans_of(said(grammar, 'document', **task))
      assert {span.kind for span in spans} == {'statement', 'r1'} and text.endswith(' and the')
      one = Written(slot='', text=text, value='power', spec='', spans=spans)
      assert filters.why_dropped(one, SCHWARTZ) == 'form: cut off'
