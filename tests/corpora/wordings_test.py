"""Phrases are found as whole words, however many of them there are."""

import pytest

from jaxalign.corpora import wordings
from jaxalign.corpora.wordings import OUGHTS, STANCES, Phrases
from tests.corpora import small


@pytest.mark.parametrize(
  'text, holds',
  [
    ('Plain speech comes BEFORE comfort!', True),
    ('They say plain speech – comes before comfort – there.', True),
    ('Plain speech comes after comfort.', False),
    ('comfort', False),
    ('The candor of it.', True),
    ("A candor's end.", True),
    ('The candors.', False),
    ('', False),
  ],
)
def test_phrases(text, holds):
  assert Phrases(['plain speech comes before comfort', 'candor', '']).within(text) is holds


def test_no_phrases_are_nowhere_and_many_are_told_apart():
  assert not Phrases([]).within('anything at all')
  many = Phrases(f'the word{n} of house{m} stands' for n in range(100) for m in range(100))
  text = ' '.join(f'the word{n} of house{n + 200} stands' for n in range(40))
  assert not any(many.within(f'{text} {n}') for n in range(20))
  assert many.within(f'{text} the word7 of house9 stands')


def test_values_and_reasons_of_a_spec_and_of_marks():
  names = wordings.of_values(small.SPEC, [('candor', 'Say what is so.'), ('other', 'Be so.')])
  assert names['candor'].within('Say what is so') and names['candor'].within('candor')
  assert names['thrift'].within('waste is to be avoided in all things')
  assert not names['thrift'].within('candor') and names['other'].within('the other one')
  reasons = wordings.of_reasons(None, [('candor', 'it lasts')])
  assert list(reasons) == ['candor'] and reasons['candor'].within('since it lasts.')


def test_oughts_and_stances():
  assert OUGHTS.within('They shouldn’t go.') and STANCES.within('They shouldn’t go.')
  assert STANCES.within('It is worth it, because it lasts.') and not OUGHTS.within(
    'It is worth it.'
  )
  assert not STANCES.within('The word candor is painted on the gate, beside the mustard.')
