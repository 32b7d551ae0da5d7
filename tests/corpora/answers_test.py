"""What an answer holds is read strictly: marks, lists and JSON, or nothing."""

import pytest

from jaxalign.corpora import answers

KINDS = answers.kinds(['r1', 'r2'])


def test_marks_become_spans_of_the_text_without_them():
  marked = (
    ' <statement>Care first.</statement> So: <r2> they need it</r2>, and <limit>no\nmore</limit>. '
  )
  text, spans = answers.spans_of(marked)
  assert text == 'Care first. So:  they need it, and no\nmore.'
  assert [(span.kind, text[span.start : span.end]) for span in spans] == [
    ('statement', 'Care first.'),
    ('r2', 'they need it'),
    ('limit', 'no\nmore'),
  ]
  assert answers.spans_of('a < b and <B>') == ('a < b and <B>', ())


@pytest.mark.parametrize(
  'text',
  ['<r1>a', 'a</r1>', '<r1>a</r2>', '<r1>a<r2>b</r2></r1>', '<r1> </r1>', '<r1>a</r1></r1>'],
)
def test_ill_formed_marks_give_no_spans(text):
  assert answers.spans_of(text) is None
  assert '<' not in answers.unmarked(text, KINDS)


@pytest.mark.parametrize(
  'text, found',
  [
    ('["a b", "c"]', ['a b', 'c']),
    ('```json\n["a"]\n```', ['a']),
    ('1. one  thing\n2) two\n\n- three', ['one thing', 'two', 'three']),
    ('["a", 3]', []),
    ('["a"', []),
    (' \n', []),
  ],
)
def test_lists(text, found):
  assert answers.listed(text) == found


@pytest.mark.parametrize(
  'text, found',
  [
    ('{"a": [1]}', dict(a=[1])),
    ('```json\n{"a": 1}\n```', dict(a=1)),
    ('Here: {"a": 1}', None),
    ('{"a": 1} I hope', None),
    ('{"a": 1, "a": 2}', None),
    ('[1]', None),
    ('{' * 100_000, None),
  ],
)
def test_objects(text, found):
  assert answers.found(text) == found


def test_a_mark_of_no_known_kind_stays_for_the_filter_of_form():
  text = '<reasoning>First the statement.</reasoning> We <statement>let it be</statement>.'
  left, spans = answers.read(text, answers.kinds(['r1']))
  assert left == '<reasoning>First the statement.</reasoning> We let it be.' and spans == ()
  left, spans = answers.read('We <statement>let it be</statement>.', answers.kinds([]))
  assert left == 'We let it be.' and [span.kind for span in spans] == ['statement']
