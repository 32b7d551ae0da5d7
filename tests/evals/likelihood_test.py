"""Margins of real items against numbers made by hand, and log-probabilities against a loop."""

import math

import jax
import numpy as np
import pytest

from jaxalign.data import chat
from jaxalign.data.records import Turn
from jaxalign.data.text import shipped
from jaxalign.evals import likelihood
from jaxalign.evals.likelihood import Item
from jaxalign.models import llama2, phi2

TEXT = likelihood.Text(shipped(), chat.TRANSCRIPT, 64)
ASKED = (Turn('user', 'Why?'),)


def item(good=('a',), bad=('b',), **changes):
  return Item(test='x', cluster='c', good=good, bad=bad, **dict(turns=ASKED) | changes)


def test_of_one_answer_against_one():
  got = likelihood.of_item(item(), 0, [-6.0, -4.0], [3, 1])
  assert got.raw == pytest.approx(-2.0)  # -6 + 4
  assert got.margin == pytest.approx(2.0)  # -2 + 4, a token
  assert got.right is True and got.loss == pytest.approx(2.0)
  assert got.tokens == (3, 1) and got.mass is None and got.yes is False


def test_of_several_answers_a_side():
  total, count = [math.log(0.2), math.log(0.1), math.log(0.4)], [1, 2, 2]
  got = likelihood.of_item(item(good=('a', 'b'), bad=('c',)), 0, total, count)
  assert got.raw == pytest.approx(math.log(0.3 / 0.4))  # the odds of MC2
  mean = (0.2 + 0.1**0.5) / 2
  assert got.margin == pytest.approx(math.log(mean) - math.log(0.4) / 2)
  assert got.loss is None


def test_of_beginnings():
  """Refusing is right where it is the good side; mass: how often it begins in one of these ways."""
  total = [math.log(0.3), math.log(0.1)]
  for side, refused in (('good', True), ('bad', False)):
    got = likelihood.of_item(item(opening=True, refusing=side), 0, total, [1, 1])
    assert got.right and got.yes is refused
    assert got.mass == pytest.approx(0.4) and got.loss is None


def test_what_is_scored_of_an_item():
  """The last answer with its end, of an opening no end, of a document all but its first token."""
  eos, encode = TEXT.tokenizer.eos, lambda s: TEXT.tokenizer.encode(s, bos=False)
  turns = (Turn('user', 'One?'), Turn('assistant', 'Two.'), Turn('user', 'Three?'))
  asked = [item(turns=turns), item(opening=True), item(turns=(), good=('Some text.',))]
  learned = lambda example: example.tokens[example.weight].tolist()
  (whole, _), (opening, _), (document, _) = likelihood.encoded(asked, TEXT)
  assert learned(whole) == [*encode(' a'), eos] and learned(opening) == encode(' a')
  assert learned(document) == document.tokens[1:].tolist()
  long = item(turns=(Turn('user', 'why ' * 100),))
  assert likelihood.fitting([long, *asked], TEXT) == asked


@pytest.mark.parametrize('family', [llama2, phi2])
def test_scores_are_sums_of_log_probabilities(family):
  model = family.tiny(vocab=1024, width=16, mlp=32, depth=1, heads=2, kv_heads=2, remat='none')
  model = model.build(jax.random.key(0))
  items = [item(good=('a b',), bad=('c ' * n,)) for n in range(1, 20, 4)]
  examples = [one for found in likelihood.encoded(items, TEXT) for one in found]
  total, count = likelihood.scores(model, examples, TEXT.length)
  for example, got, n in zip(examples, total, count, strict=True):
    logits = np.asarray(model.logits(example.tokens[None]))[0].astype(np.float64)
    logp = logits - np.logaddexp.reduce(logits, -1, keepdims=True)
    at = np.flatnonzero(example.weight)
    assert got == pytest.approx(logp[at - 1, example.tokens[at]].sum(), abs=1e-4)
    assert n == len(at)
  rows = list(likelihood.outcomes(model, items, TEXT))
  assert [row.item for row in rows] == list(range(5))
  assert rows[1].raw == pytest.approx(total[2] - total[3], abs=1e-9)
  assert len({row.prompt for row in rows}) == 5
