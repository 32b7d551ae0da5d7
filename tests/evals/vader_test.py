"""VADER: a text's compound, and one line that says who needs it where it is not installed."""

import sys

import pytest

from jaxalign.config import UserError
from jaxalign.evals import vader
from jaxalign.evals.suites import hh


def test_what_is_said_well_is_above_what_is_said_ill():
  pytest.importorskip('vaderSentiment')
  compound = vader.compound('it', 'unset it')
  assert 1 > compound('A great success!') > compound('A table.') == 0
  assert -1 < compound('A horrible disaster.') < 0


def test_without_it_whoever_needs_it_is_named(monkeypatch):
  monkeypatch.setitem(sys.modules, 'vaderSentiment.vaderSentiment', None)
  said = '^vader=True needs VADER: pip install vaderSentiment, or unset it$'
  with pytest.raises(UserError, match=said):
    hh.Preference(subset='helpful-base', vader=True).measures()
