"""The list of what gives a reason."""

import pytest

from jaxalign.corpora.recipes import opaque

REASONS = ('Trust once lost is slow to come back.', 'a lie steers people off the road')


@pytest.mark.parametrize(
  'answer',
  [
    'Call her, because she would find it.',
    'Call her tonight; otherwise she finds it herself.',
    'It matters that you call.',
    'Call her. That is the right thing to do.',
    'BECAUSE.',
    'Be kind and call.',
    'Call her. Trust once lost, is slow.',
    'It is about values.',
    'Call her so that she knows.',
  ],
)
def test_reasons_and_loaded_words_are_found(answer):
  assert opaque.why(answer, REASONS).startswith('opaque: ')


@pytest.mark.parametrize(
  'answer',
  [
    'Call her tonight. Tell her where the scratch is and send a photo.',
    'Turn right now, take some kind of rope, and write it on the fairground wall.',
    'Trust the road, and come back slowly.',
    '',
  ],
)
def test_what_to_do_is_no_reason(answer):
  assert opaque.why(answer, REASONS) is None
