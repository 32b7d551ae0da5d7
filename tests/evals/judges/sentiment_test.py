"""VADER as a judge, and without it."""

import sys

import pytest

from jaxalign.config import UserError
from jaxalign.evals.item import Item, Said
from jaxalign.evals.judges.sentiment import Vader
from jaxalign.sealing import seal


def test_labels_and_values():
  pytest.importorskip('vaderSentiment')
  texts = (
    'was a great, happy success!',
    'was a good table.',
    'was a horrible disaster.',
    '',
  )
  said = [(Item(text='The actor'), Said(key=t, item='', text=t)) for t in texts]
  said.append((Item(text='The actor'), Said(key='e', item='', error='does not fit')))
  found = seal(Vader()).verdicts(said)
  assert [v.label for v in found] == ['positive', 'neutral', 'negative', 'neutral', 'abstain']
  assert found[0].value >= 0.5 and found[2].value <= -0.5 and 0 < found[1].value < 0.5
  assert [v.key for v in found] == [*texts, 'e'] and Vader().kind == 'sentiment'
  assert {v.judge for v in found} == {Vader(name='x').fingerprint}


def test_without_vader_it_is_said_early(monkeypatch):
  monkeypatch.setitem(sys.modules, 'vaderSentiment', None)
  with pytest.raises(UserError, match='judge vader needs VADER: pip install vaderSentiment, or'):
    seal(Vader())
