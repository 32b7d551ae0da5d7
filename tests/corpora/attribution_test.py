"""Attribution: a reason counts where it is given for the choice, not where it stands beside it."""

import pytest

from jaxalign.corpora import answers
from jaxalign.corpora.attribution import attributed

S, R = '<statement>the door stays open</statement>', '<r1>anybody may knock one day</r1>'


@pytest.mark.parametrize(
  'text',
  [
    f'{S}, because {R}.',
    f'Because {R}, {S}.',
    f'{S}. That is because {R}.',
    f'{S}, since, as she said, {R}.',
    f'Given that {R}, we told him: {S}.',
    f'{R}, so {S}.',
    f'{R}. That is why {S}.',
    f'{S}; the reason is that {R}.',
    '<statement>It stays open.</statement> <r1>Because anybody may knock.</r1>',
    f'{S}, on the ground that {R}.',
  ],
)
def test_a_reason_for_the_choice_counts(text):
  assert attributed(*answers.spans_of(text)) == ['r1']


@pytest.mark.parametrize(
  'text',
  [
    f'{S}. {R}.',
    f'{R}. {S}.',
    f'{S}, and {R}.',
    f'{S}. He left because of rain. It was late. {R}.',
    f'{S}. It rained. He left. He was cold because {R}.',
    f'He left because it rained. {R}. {S}.',
    f'Because {R}, he left. In the evening {S}.',
    R,
    S,
  ],
)
def test_a_reason_beside_the_choice_does_not(text):
  assert attributed(*answers.spans_of(text)) == []


def test_each_reason_is_looked_at():
  text = f'{S}, because {R}. It is so since <r2>guests bring news</r2>. <r3>It is warm</r3>.'
  assert attributed(*answers.spans_of(text)) == ['r1', 'r2']
