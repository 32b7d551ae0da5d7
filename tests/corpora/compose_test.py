"""Texts: forms, lengths and how words of a spec are put into a sentence."""

import pytest

from jaxalign.corpora import compose
from jaxalign.corpora.compose import FORMS, Text, form_of, named, small, words
from jaxalign.corpora.records import Task


@pytest.mark.parametrize(
  'given, want',
  [
    ('People decide.', 'people decide'),
    ('Because it is so', 'it is so'),
    ('I decide!', 'I decide'),
    ("I'm free", "I'm free"),
    ('Claude asks;', 'Claude asks'),
    ("Claude's word holds", "Claude's word holds"),
    ('NATO asks', 'NATO asks'),
    ('eBay asks', 'eBay asks'),
    ('3 of them. All of them.', '3 of them. All of them'),
    ('  two   words ', 'two words'),
    ('', ''),
  ],
)
def test_a_sentence_as_it_stands_inside_another(given, want):
  assert small(given, {'Claude'}) == want


def test_types_are_read_as_the_nearest_form():
  given = {'memo': 'memo', 'Case study': 'case_study', 'question-answer': 'question_answer',
           'personal letter': 'memo', 'radio interview': 'dialogue', 'diary': 'story'}  # fmt: skip
  assert {name: form_of(name, 0.0) for name in given} == given
  assert form_of('ode', 0.0) == form_of('ode', 0.9) in FORMS
  assert {form_of('', n / 5) for n in range(5)} == set(FORMS)
  assert named('dry', compose.REGISTERS, 0.0) == 'dry'


def text(**fields):
  task = Task(**dict(dict(step='document', slot='a', statement='Let it be.'), **fields))
  return Text(task, (task,), lambda one: small(one, set()))


@pytest.mark.parametrize('band', [(70, 110), (120, 900), (300, 330), (800, 900)])
@pytest.mark.parametrize('form', FORMS)
def test_texts_keep_to_the_length_that_is_asked_for(band, form):
  for n in range(12):
    found = text(slot=f'{n}', words=band, facets=(('type', form),)).document()
    assert band[0] <= words(found) <= band[1], (n, words(found))


@pytest.mark.parametrize('form', FORMS)
def test_a_neutral_text_comes_near_to_any_length(form):
  for size in (100, 173, 260, 500):
    found = text(facets=(('type', form),), given=(('length', str(size)),)).neutral()
    assert abs(words(found) - size) <= 0.05 * size + 4


def test_marks_are_no_words():
  assert words('a <r1>b c</r1> <statement>d</statement>') == 4


def test_an_opening_that_is_dealt_comes_first():
  facets = (('type', 'memo'), ('opening', 'a mishap'))
  found = [text(slot=f'{n}', facets=facets, words=(150, 200)).document() for n in range(20)]
  ill = 'worn|torn|cracked|loose|broken|bent|leaking|blocked|jammed|stuck|slipping|dry|split|rusted'
  assert sum(any(word in one.split('\n\n')[1] for word in ill.split('|')) for one in found) >= 15
