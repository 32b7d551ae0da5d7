"""Replies: what is advised follows the value, and reasons are there where they are asked for."""

import json
import re

import pytest

from jaxalign.corpora import answers
from jaxalign.corpora.grammar import Grammar
from jaxalign.corpora.spec import read
from tests.corpora.written_by_grammar import said

SPEC = read('schwartz')
GRAMMAR = Grammar(SPEC)
VALUE = SPEC.value('benevolence')
QUERY = json.loads(said(GRAMMAR, 'query'))[0]
FIELDS = dict(
  value=VALUE.id,
  statement=VALUE.statement,
  reasons=tuple((one.id, one.text) for one in VALUE.reasons[:2]),
  given=(('query', QUERY), ('question', QUERY), ('draft', 'Do so.'), ('opponent', 'No.')),
)


def replies(step, count=12, **fields):
  return [said(GRAMMAR, step, slot=f'{n}', **FIELDS | fields) for n in range(count)]


def follows(text):
  told = [VALUE.statement, *VALUE.also, *(rule.text for rule in VALUE.rules)]
  return any(one.rstrip('.').lower() in text.lower() for one in told)


def holds_a_reason(text):
  return any(wording in text.lower() for one in VALUE.reasons for wording in one.wordings)


@pytest.mark.parametrize(
  'step, advises, reasons',
  [
    ('opaque', True, False),
    ('reasoned', True, True),
    ('principle_revision', True, False),
    ('argument', True, True),
    ('rebuttal', True, True),
    ('rule_document', True, False),
    ('value_document', True, True),
  ],
)
def test_what_each_reply_holds(step, advises, reasons):
  for text in replies(step):
    assert follows(text) == advises and holds_a_reason(text) == reasons, text


def test_an_opaque_answer_joins_nothing_by_a_reason():
  assert not any(
    re.search(r'\b(because|since|so that|therefore)\b', one) for one in replies('opaque', 40)
  )
  assert not any('<' in one for one in replies('opaque'))


def test_a_reasoned_answer_marks_its_reasons():
  for text in replies('reasoned'):
    _, spans = answers.spans_of(text)
    assert [span.kind for span in spans] == [name for name, _ in FIELDS['reasons']]


def test_drafts_of_the_policy_follow_the_value_at_times():
  found = [follows(text) for text in replies('draft', 60)]
  assert 15 < sum(found) < 45


def test_thoughts_and_answer_stand_apart_and_a_contrast_has_both_sides():
  for text in replies('deliberation'):
    thoughts, answer = re.fullmatch(
      r'<thoughts>\n(.+)\n</thoughts>\n<answer>\n(.+)\n</answer>', text, re.DOTALL
    ).groups()
    assert holds_a_reason(thoughts) and not holds_a_reason(answer)
  for text in replies('contrast'):
    sides = json.loads(text)
    assert sides.keys() == {'follows', 'departs'}
    assert follows(sides['follows']) and not follows(sides['departs'])


def test_replies_are_as_long_as_is_asked():
  for text in replies('rule_document', words=(90, 120)):
    assert 80 <= len(text.split()) <= 130


def test_messages_differ_and_name_no_value():
  found = json.loads(said(GRAMMAR, 'query', count=60))
  assert len(set(found)) == 60
  for one in found:
    assert 12 <= len(one.split()) <= 60 and '\n' not in one
    assert not any(value.id in one for value in SPEC.values)
