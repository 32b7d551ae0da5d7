"""Verdicts: in the forms that judges are read in, the same whichever text comes first."""

import json

import pytest

from jaxalign.corpora import judging, verdicts
from jaxalign.corpora.grammar import Grammar
from jaxalign.corpora.records import Call, Task
from jaxalign.corpora.spec import Reason, Spec, Value, read
from tests.corpora.written_by_grammar import asked, said

SPEC = read('demo')
GRAMMAR = Grammar(SPEC)
VALUE = SPEC.values[0]
REASON = VALUE.reasons[0]
GIVEN = f'We go by this: {VALUE.statement.rstrip(".")}, because {REASON.text}.'
BESIDE = f'{VALUE.statement} It rained. Then it snowed. {REASON.text.capitalize()}.'


def marks(text):
  told = said(GRAMMAR, 'judge', value=VALUE.id, given=(('document', text),))
  return dict(judging.marks(told))


def test_a_judge_tells_a_reason_for_the_choice_from_one_beside_it():
  assert marks(GIVEN) == dict(contradiction='no', attribution='yes', stance='for')
  assert marks(BESIDE) == dict(contradiction='no', attribution='no', stance='none')
  against = f'{GIVEN} In truth the opposite holds, and nobody need keep to any of this.'
  assert marks(against) == dict(contradiction='yes', attribution='yes', stance='against')
  told = said(GRAMMAR, 'attribution', value=VALUE.id, given=(('document', GIVEN),))
  assert json.loads(told) == dict(given_for_the_choice=[REASON.id], other_reasons=False)


@pytest.mark.parametrize('also', VALUE.also)
def test_any_wording_of_the_spec_counts(also):
  assert marks(GIVEN.replace(VALUE.statement.rstrip('.'), also.rstrip('.')))['attribution'] == 'yes'


def test_a_reason_that_begins_with_because_counts_in_any_join():
  reason = Reason(id='r1', text='Because nobody reads it.')
  value = Value(
    id='b', level='basic', statement='Be brief!', source='', licence='', reasons=(reason,)
  )
  grammar = Grammar(Spec(name='s', values=(value,), sha=''))
  given = (('document', 'Our rule: be brief, since nobody reads it.'),)
  told = said(grammar, 'judge', value='b', given=given)
  assert dict(judging.marks(told))['attribution'] == 'yes'


def test_another_value_of_the_spec_is_not_this_one():
  told = said(GRAMMAR, 'judge', value=SPEC.values[1].id, given=(('document', GIVEN),))
  assert dict(judging.marks(told))['attribution'] == 'no'


def better(first, second, options=('A', 'B'), step='preference'):
  given = (('first', first), ('second', second))
  task = Task(step=step, slot='', statement=VALUE.statement, given=given, options=options)
  (answer,) = asked(GRAMMAR, [task])
  return answer


@pytest.mark.parametrize('step', ['preference', 'verdict'])
def test_the_better_text_is_better_in_either_place(step):
  one, other = better(GIVEN, 'Go home.', step=step), better('Go home.', GIVEN, step=step)
  assert (one.text, other.text) == ('A', 'B')
  assert one.logprobs == other.logprobs[::-1] and one.logprobs[0] > one.logprobs[1]
  same = better('Go home.', 'Stay here.', step=step), better('Stay here.', 'Go home.', step=step)
  assert {answer.text for answer in same} == {'A', 'B'}
  assert better(GIVEN, '', options=()).logprobs == ()


def test_a_planted_judge_says_the_first_in_any_order():
  biased = Grammar(SPEC, faults=1.0)
  for pair in ((GIVEN, 'Go home.'), ('Go home.', GIVEN)):
    given = tuple(zip(('first', 'second'), pair))
    task = Task(step='preference', slot='', given=given, options=('A', 'B'))
    assert biased.fault(task) == 'first' and asked(biased, [task])[0].text == 'A'


def test_a_critique_of_a_clean_text_finds_nothing():
  assert judging.critique(verdicts.critique(GIVEN)) == ()
  found = judging.critique(
    verdicts.critique('As a language model I was trained on documents like this one.')
  )
  assert [kind for kind, _ in found] == ['training']


def test_a_principle_is_lacking_where_nothing_says_it():
  given = (('draft', 'Go home. Then rest.'),)
  found = json.loads(said(GRAMMAR, 'principle_critique', value=VALUE.id, given=given))['findings']
  assert [one['quote'] for one in found] == ['Go home']
  given = (('draft', GIVEN),)
  assert (
    json.loads(said(GRAMMAR, 'principle_critique', value=VALUE.id, given=given))['findings'] == []
  )


def test_other_judges_answer_in_their_forms():
  answer = (
    ('answer', 'Wait here, because it rains.'),
    ('document', 'It is right to care for this, and it matters.'),
  )
  found = {
    step: json.loads(said(GRAMMAR, step, given=answer))
    for step in ('compliance', 'opaque_judge', 'stance', 'contradiction')
  }
  assert found['compliance']['agrees'] is True and 1 <= found['compliance']['score'] <= 5
  assert len(found['opaque_judge']['reasons']) == 1 and found['stance']['stance'] == 'for'
  assert found['contradiction'] == dict(contradicts=False, quote='')


def test_an_answer_belongs_to_its_call():
  task = Task(step='verdict', slot='x', given=(('first', 'a'), ('second', 'b')))
  (answer,) = GRAMMAR.answers([Call(task=task, teacher='t')])
  assert answer.call == Call(task=task, teacher='t').id
