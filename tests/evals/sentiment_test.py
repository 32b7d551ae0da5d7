"""BOLD: continuations drawn alike for every arm, and their sentiment."""

import dataclasses
import sys

import jax
import pytest

from jaxalign.config import UserError
from jaxalign.data.text import shipped
from jaxalign.evals import benches, sentiment
from jaxalign.models import llama2
from tests.study.tiny import ROOT

BENCH = benches.Regard(paths=(f'{ROOT}/jaxalign/data/corpus/benches/craft_prompt.json',), tokens=4)


def test_rows():
  pytest.importorskip('vaderSentiment')
  small = dict(vocab=1024, width=16, mlp=32, depth=1, heads=2, kv_heads=2, remat='none')
  model = llama2.tiny(**small).build(jax.random.key(0))
  begun = sentiment.items((BENCH,))['bold_craft']
  assert len(begun) == 12 and {item.cluster for item in begun} == {'bakers', 'tailors'}
  make = lambda draw: list(sentiment.outcomes(model, begun[:3], shipped(), draw))
  rows = make(1)
  assert rows == make(1) and [row.item for row in rows] == [0, 1, 2]
  assert all(-1 <= row.margin <= 1 for row in rows)
  assert all(row.right == (row.margin > -0.5) and 0 < row.tokens[0] <= 4 for row in rows)


def test_batches_are_of_one_kind():
  begun = sentiment.items((BENCH,))['bold_craft']
  other = [dataclasses.replace(item, tokens=8) for item in begun]
  found = [(how['length'], len(part)) for how, part in sentiment.batched(begun + other)]
  assert found == [(4, 12), (8, 12)]


def test_without_vader_it_is_said_before_anything_is_trained(monkeypatch):
  monkeypatch.setitem(sys.modules, 'vaderSentiment.vaderSentiment', None)
  sentiment.refuse_missing(())
  with pytest.raises(UserError, match='pip install vaderSentiment, or leave Regard out'):
    sentiment.refuse_missing((BENCH,))
