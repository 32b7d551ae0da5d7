"""The instrument against the plain model: every state and every log-odds, however it is batched."""

import functools

import jax
import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.models import llama2
from jaxalign.probes import states as probes
from jaxalign.probes.states import answers, mean, states, token
from jaxalign.sharding.layout import born
from jaxalign.sharding.meshes import make_mesh
from tests.golden import cases
from tests.golden.cases import TOLERANCE

RANDOM = np.random.default_rng(3)
PROMPTS = [RANDOM.integers(1, 64, n).tolist() for n in (5, 1, 9, 12, 3, 7, 2)]


@functools.cache
def model(name='llama_grouped'):
  return cases.model(name)


@jax.jit
def plainly(model, tokens_BT):
  """(every layer's output, logits) of a prompt alone: no padding, no segments."""
  x_BTD, seen_NBTD = model(tokens_BT, tap=lambda x_BTD: x_BTD)
  return seen_NBTD, model.unembed(x_BTD)


@functools.cache
def alone(name):
  """[([N,T,D], [T,V])] of the prompts, whose embeddings are layer 0; cut from one padded batch of
  another width, padded with other tokens: what comes after a token is nothing to it."""
  tokens_BT = RANDOM.integers(1, 64, (len(PROMPTS), 14)).astype(np.int32)
  for row, prompt in zip(tokens_BT, PROMPTS):
    row[: len(prompt)] = prompt
  seen_NBTD, logits_BTV = plainly(model(name), tokens_BT)
  start_BTD = np.asarray(model(name).embed_VD[...])[tokens_BT]
  x_LBTD = np.concatenate([start_BTD[None], seen_NBTD])
  return [(x_LBTD[:, b, : len(p)], logits_BTV[b, : len(p)]) for b, p in enumerate(PROMPTS)]


@pytest.mark.parametrize('name', ['llama_grouped', 'phi2'])
def test_states_are_those_of_the_prompt_alone(name):
  x_LND = states(model(name), PROMPTS, length=16, batch=4)
  assert x_LND.shape == (3, 7, model(name).cfg.width) and x_LND.dtype == np.float32
  for n, (x_LTD, _) in enumerate(alone(name)):
    np.testing.assert_allclose(x_LND[:, n], x_LTD[:, -1], atol=TOLERANCE)


def test_states_may_be_a_mean_or_lie_at_a_token():
  """The last one of that token, and never at padding, whose id is 0."""
  x_LND = states(model(), PROMPTS, length=16, batch=4, at=mean)
  for n, (x_LTD, _) in enumerate(alone('llama_grouped')):
    np.testing.assert_allclose(x_LND[:, n], x_LTD.mean(1), atol=TOLERANCE)
  marked = [[7, 0, 9, 0, 5, 4], [0, 3], [4, 0]]
  x_LND = states(model(), marked, length=16, batch=4, at=token(0))
  cut = states(model(), [[7, 0, 9, 0], [0], [4, 0]], length=16, batch=4)
  np.testing.assert_allclose(x_LND, cut, atol=TOLERANCE)
  with pytest.raises(UserError, match='prompt 1 does not hold token 9'):
    states(model(), marked, at=token(9))


@pytest.mark.parametrize('name', ['llama_grouped', 'phi2'])
def test_answers_are_the_softmax_of_the_models_logits(name):
  odds_N, mass_N = answers(model(name), PROMPTS, 11, 50, length=16, batch=4)
  assert odds_N.shape == mass_N.shape == (7,) and odds_N.dtype == np.float32
  for n, (_, logits_TV) in enumerate(alone(name)):
    p_V = np.exp(np.float64(logits_TV[-1]))
    p_V /= p_V.sum()
    assert odds_N[n] == pytest.approx(np.log(p_V[11] / p_V[50]), abs=4 * TOLERANCE)
    assert mass_N[n] == pytest.approx(p_V[11] + p_V[50], abs=TOLERANCE)
  logits_BTV = model(name).logits(np.array([PROMPTS[3]]))
  assert odds_N[3] == pytest.approx(float(logits_BTV[0, -1, 11] - logits_BTV[0, -1, 50]), abs=4e-5)


def test_every_prompt_may_have_its_own_two_answers():
  yes_N, no_N = RANDOM.integers(0, 64, (2, 7))
  odds_N, mass_N = answers(model(), PROMPTS, yes_N, no_N, length=16, batch=4)
  for n in range(7):
    one = answers(model(), PROMPTS, int(yes_N[n]), int(no_N[n]), length=16, batch=4)
    np.testing.assert_array_equal([odds_N[n], mass_N[n]], [one[0][n], one[1][n]])


def test_neither_batch_nor_length_nor_order_matters():
  odds_N, mass_N = answers(model(), PROMPTS, 11, 50, length=16, batch=4)
  for how in (dict(batch=7), dict(batch=3, length=24)):
    again = answers(model(), PROMPTS, 11, 50, **how)
    np.testing.assert_allclose(again, (odds_N, mass_N), atol=TOLERANCE)
  back = answers(model(), PROMPTS[::-1], 11, 50, length=16, batch=4)
  np.testing.assert_allclose(back[0], odds_N[::-1], atol=TOLERANCE)


def test_one_program_serves_all_models_and_questions():
  """Of a config and shape: as many prompts as there are, any two tokens, other weights."""
  probes.read_answers.clear_cache()
  other = jax.tree.map(lambda w: 2 * w, model())
  for weights, some, yes in ((model(), PROMPTS, 1), (other, PROMPTS[:2], 2), (model(), PROMPTS, 3)):
    answers(weights, some, yes, 4, length=16, batch=4)
  assert probes.read_answers._cache_size() == 1


def test_on_a_mesh_as_on_one_device_and_whole_on_every_host():
  cfg = llama2.tiny(width=32, heads=4, kv_heads=2, mlp=48, depth=2, vocab=64)
  mesh = make_mesh(data=2, fsdp=2, tensor=2)
  spread = born(cfg.build, mesh, jax.random.key(0))
  single = jax.device_put(spread, jax.devices()[0])
  for ask in (
    lambda model: states(model, PROMPTS, length=16, batch=4),
    lambda model: answers(model, PROMPTS, 11, 50, length=16, batch=4),
  ):
    np.testing.assert_allclose(ask(spread), ask(single), atol=TOLERANCE)
  tokens_NT, segment_NT = probes.padded(cfg, PROMPTS[:4], 16)
  with jax.set_mesh(mesh):
    (x_BLD,) = probes._states(spread, tokens_NT, segment_NT, mean(tokens_NT, segment_NT))
  assert x_BLD.is_fully_replicated


@pytest.mark.parametrize(
  'prompts, how, says',
  [
    ([], {}, 'there are no prompts'),
    ([[1], []], {}, 'prompt 1 is empty'),
    (['a text'], {}, 'lists of token ids'),
    ([[1, 2.5]], {}, 'lists of token ids'),
    ([[1, 64]], {}, 'token id 64 is outside the vocabulary of 64'),
    ([[1, -1]], {}, 'token id -1 is outside'),
    ([[1], [1] * 9], dict(length=8), 'prompt 1 has 9 tokens, and length=8'),
    ([[1] * 200], {}, 'prompt 0 has 200 tokens.*a model of 128'),
    ([[1]], dict(batch=0), 'batch=0'),
    ([[1]], dict(yes=64), 'token id 64 is outside'),
    ([[1]], dict(yes=[1, 2]), 'yes=.*one a prompt'),
    ([[1]], dict(no='no'), 'no=no: give one token id'),
  ],
)
def test_bad_input_is_one_line(prompts, how, says):
  how = dict(yes=1, no=2) | how
  with pytest.raises(UserError, match=says):
    answers(model(), prompts, **how)
