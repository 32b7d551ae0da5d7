"""The canary: nats a byte over all bytes, small questions, and a trained model as an oracle."""

import json
import math

import jax
import numpy as np
import pytest

import jaxalign
from jaxalign.config import UserError
from jaxalign.evals.suites import canary
from tests.evals.suites.simulated import mean, scored, unasked
from tests.models.llama2c_test import GOLDEN


def test_the_mean_is_of_all_bytes_whatever_the_tokens():
  suite = canary.Text(limit=8)
  items = suite.items()
  assert len(items) == 8 and all(not item.turns and not item.text for item in items)
  sizes = {item.choices[0]: n for n, item in enumerate(items, 1)}
  rows = suite.rows(scored(items, lambda item, text: (-float(sizes[text] ** 2), sizes[text])))
  many = {text: len(text.encode()) for text in sizes}
  wanted = sum(n * n for n in sizes.values()) / sum(many.values())
  assert mean(rows, 'canary/nats') == pytest.approx(wanted, rel=1e-12)
  rest = scored(items[1:], lambda item, text: (-2.0, 1))
  rows = suite.rows([unasked(items[0]), *rest])
  read = sum(many.values()) - many[items[0].choices[0]]
  assert mean(rows, 'canary/nats') == pytest.approx(7 * 2.0 / read, rel=1e-12)
  assert mean(rows, 'canary/unasked') == 1 / 8
  finer = suite.rows(scored(items, lambda item, text: (-float(sizes[text] ** 2), 99)))
  weights = [row.weight for row in finer if row.measure == 'canary/nats']
  assert mean(finer, 'canary/nats') == pytest.approx(wanted, rel=1e-12)
  assert weights == pytest.approx([8 * size / sum(many.values()) for size in many.values()])


def test_a_broken_model_is_one_line():
  suite = canary.Text(limit=8)
  for score, says in (((math.nan, 3), 'was scored nan'), ((-1.0, 0), 'has no token')):
    with pytest.raises(UserError, match=says) as error:
      suite.rows(scored(suite.items(), lambda item, text, score=score: score))
    assert '\n' not in str(error.value)


def test_all_that_ships():
  assert len(canary.Text().items()) == 22
  suite = canary.Choices()
  items = suite.items()
  assert len(items) == 16 and suite.measures()[0].chance == 0.25
  assert {len(item.choices) for item in items} == {4}
  assert all(len({*item.choices}) == 4 for item in items)
  rows = suite.rows(scored(items, lambda item, choice: float(choice in item.right)))
  assert mean(rows, 'canary_choices/accuracy') == 1
  rows = suite.rows(scored(items, lambda item, choice: -1.0))
  assert mean(rows, 'canary_choices/accuracy') == 0  # ties count against
  assert mean(suite.rows([unasked(items[0])]), 'canary_choices/accuracy') == 0


def test_a_question_without_a_wrong_answer_is_named(tmp_path):
  path = tmp_path / 'q.csv'
  path.write_text('question,right,wrong,subject\nWhy?,because,because,x\n')
  with pytest.raises(UserError, match="'Why\\?' needs a right answer and other, wrong ones"):
    canary.Choices(path=str(path)).items()


PARK = """\
Tom and Lily went to the park. They saw a big box with a big box. They wanted to play with it. \
They wanted to play with the box. They wanted to play with the box.
"Look, Mom!" Tom said. "Let's go to the park."
"Let's go to the park," Lily said. "Let's go to the park."
"OK," Tom said. "It is a good boy."""
# (a story that it tells by itself after BOS, tokens that are predicted, their sum in float64)
STORIES = [(GOLDEN, 199, -94.563296), (PARK, 127, -80.059708)]


@pytest.fixture(scope='module')
def stories(shared):
  return jaxalign.load(shared('stories260K/stories260K.bin'))


@pytest.mark.parametrize('text, tokens, total', STORIES)
def test_the_oracle_of_stories260k(stories, tmp_path, text, tokens, total):
  """What is given is a little longer, and cut."""
  whole = stories.tokenizer.encode(text)[: tokens + 1]
  path = tmp_path / 'story.jsonl'
  story = stories.tokenizer.decode_continuation(whole[:1], whole[1:])
  path.write_text(json.dumps(dict(text=story)) + '\n')
  suite = canary.Text(path=str(path))
  (item,) = suite.items()
  assert stories.tokenizer.encode(item.choices[0]) == whole

  def score(item, choice):
    padded = np.array([(whole + [0] * 200)[:200]])  # one program for both
    logp_TV = jax.nn.log_softmax(stories.logits(padded)[0], -1)
    at = np.arange(tokens)
    return float(np.asarray(logp_TV, np.float64)[at, whole[1:]].sum()), tokens

  rows = suite.rows(scored([item], score))
  assert mean(rows, 'canary/nats') * len(item.choices[0].encode()) == pytest.approx(
    -total, abs=1e-3
  )
