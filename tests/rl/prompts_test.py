"""Any number of prompts: what was drawn does not depend on how they were gone through."""

import functools

import jax
import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.data.text import Tokenizer
from jaxalign.models import llama2
from jaxalign.rl.prompts import sample

RANDOM = np.random.RandomState(0)
PROMPTS = [RANDOM.randint(3, 64, n).tolist() for n in (5, 21, 1, 9, 13)]
ASK = dict(length=12, seed=3)


@functools.cache
def model():
  cfg = llama2.tiny(vocab=64, width=16, heads=2, kv_heads=2, mlp=32, depth=1, eos=(2, 5))
  made = jax.tree.map(lambda w: w * 5 if w.ndim > 1 else w, cfg.build(jax.random.key(0)))
  made.tokenizer = Tokenizer.from_vocab([f'w{n}' for n in range(61)])
  return made


@functools.cache
def plain():
  return sample(model(), [*PROMPTS, PROMPTS[0]], **ASK)


def test_more_prompts_than_rows_get_the_same_answers():
  assert sample(model(), [*PROMPTS, PROMPTS[0]], **ASK, rows=2) == plain()
  assert plain()[0] != plain()[5]


def test_draws_are_by_number_whatever_else_is_asked():
  two = sample(model(), PROMPTS[:2], **ASK, draws=2, rows=2)
  assert two[0] == [plain()[0], plain()[5]] and two[1][0] == plain()[1]
  later = sample(model(), [PROMPTS[0], PROMPTS[0]], **ASK, draws=range(1, 3), rows=2)
  assert later[0][0] == plain()[5] and later[0] == later[1]
  assert sample(model(), PROMPTS[:1], **ASK, draws=(2,), rows=2) == [[later[0][1]]]


def test_answers_with_logprobs_have_errors_of_their_own():
  found = sample(model(), [PROMPTS[0], [3] * 501, []], **ASK, logprobs=True, rows=2)
  assert found[0].tokens == plain()[0] and found[0].why in ('end', 'length')
  assert len(found[0].logprobs) == len(found[0].tokens) and max(found[0].logprobs) <= 0
  assert found[0].text == sample(model(), PROMPTS[:1], **ASK, text=True)[0]
  assert '512 positions' in found[1].error and 'empty' in found[2].error
  assert sample(model(), [], length=3, logprobs=True) == []
  with pytest.raises(UserError, match='512 positions'):
    sample(model(), [PROMPTS[0], [3] * 501], **ASK)


def test_a_stop_ends_an_answer():
  (whole,) = sample(model(), PROMPTS[:1], **ASK, text=True)
  stop = whole.split()[2]
  (cut,) = sample(model(), PROMPTS[:1], **ASK, text=True, stop=stop)
  assert cut == whole[: whole.index(stop)]
  (answer,) = sample(model(), PROMPTS[:1], **ASK, stop=[stop], logprobs=True)
  assert (answer.text, answer.why) == (cut, 'stop')


@pytest.mark.parametrize(
  'how, said',
  [
    (dict(rows=0), 'rows=0'),
    (dict(draws=0), 'draws=0'),
    (dict(draws=[-1]), 'draws='),
    (dict(draws=1.5), 'draws=1.5'),
    (dict(stop=''), "stop=''"),
    (dict(stop=[3]), 'stop=3'),
  ],
  ids=str,
)
def test_bad_input_is_one_clear_line(how, said):
  with pytest.raises(UserError) as error:
    sample(model(), PROMPTS, **ASK, **how)
  assert said in str(error.value) and '\n' not in str(error.value)


def test_without_a_tokenizer_there_are_no_texts():
  mute = jax.tree.map(lambda w: w, model())
  mute.tokenizer = None
  for how in (dict(stop='a'), dict(text=True)):
    with pytest.raises(UserError, match='no tokenizer: stop and text need one'):
      sample(mute, PROMPTS, **ASK, **how)
