"""Scorer and Critic against a numpy reading of the decoder's last hidden states."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxalign.models.heads import Critic, Scorer, last_real
from tests.golden import cases
from tests.golden.cases import TOLERANCE

TOKENS = np.random.RandomState(0).randint(0, 64, (4, 9)).astype(np.int32)
LEFT = np.array([[0] * 0 + [1] * 9, [0] * 3 + [1] * 6, [0] * 8 + [1], [0] * 5 + [1] * 4], np.int32)
RIGHT = LEFT[:, ::-1]


@functools.cache
def head(kind, name='llama_grouped'):
  score_D = np.random.RandomState(1).standard_normal(cases.config(name).width)
  scalar = kind(cases.model(name), jax.random.key(0))
  scalar.score_D[...] = jnp.array(score_D, jnp.float32)
  return scalar


run = jax.jit(lambda scalar, tokens_BT, segment_BT: scalar(tokens_BT, segment_BT))


def oracle(scalar, tokens_BT, segment_BT):
  x_BTD = np.asarray(jax.jit(type(scalar.decoder).__call__)(scalar.decoder, tokens_BT, segment_BT))
  return x_BTD.astype(np.float64) @ np.asarray(scalar.score_D[...], np.float64)


@pytest.mark.parametrize('segment_BT', [None, LEFT, RIGHT], ids=['whole', 'left', 'right'])
def test_a_scorer_reads_at_the_last_real_token(segment_BT):
  scores = run(head(Scorer), TOKENS, segment_BT)
  values_BT = oracle(head(Scorer), TOKENS, segment_BT)
  last = [8] * 4
  if segment_BT is not None:
    last = [max(t for t in range(9) if row[t]) for row in segment_BT]
  assert scores.dtype == jnp.float32
  np.testing.assert_allclose(scores, values_BT[np.arange(4), last], atol=TOLERANCE)
  np.testing.assert_array_equal(last_real(TOKENS, segment_BT), last)


@pytest.mark.parametrize('segment_BT', [None, LEFT], ids=['whole', 'left'])
def test_a_critic_values_every_prefix(segment_BT):
  values_BT = run(head(Critic, 'phi2'), TOKENS, segment_BT)
  assert values_BT.shape == TOKENS.shape and values_BT.dtype == jnp.float32
  expected = oracle(head(Critic, 'phi2'), TOKENS, segment_BT)
  np.testing.assert_allclose(values_BT, expected, atol=TOLERANCE)


def test_a_critic_starts_from_a_reward_model():
  scorer = head(Scorer)
  critic = Critic(scorer.decoder, score_D=scorer.score_D)
  values_BT = run(critic, TOKENS, LEFT)
  scores = run(scorer, TOKENS, LEFT)
  np.testing.assert_allclose(values_BT[:, -1], scores, atol=TOLERANCE)


def test_a_fresh_head_starts_near_zero_and_is_trained():
  scorer = Scorer(cases.model('llama_grouped'), jax.random.key(3))
  assert 0 < float(jnp.abs(scorer.score_D[...]).max()) < 0.1
  gradient = jax.jit(jax.grad(lambda scorer: scorer(TOKENS, LEFT).sum()))(scorer)
  assert jnp.abs(gradient.score_D[...]).max() > 0.1
  assert jnp.abs(gradient.decoder.blocks.q_HKD[...]).max() > 0


def test_values_are_float32_over_a_bfloat16_decoder():
  scalar = Critic(cases.model('llama_grouped', dtype='bfloat16'), score_D=head(Critic).score_D)
  values_BT = run(scalar, TOKENS, None)
  exact = run(head(Critic), TOKENS, None)
  assert values_BT.dtype == jnp.float32
  assert np.abs(values_BT - exact).max() < 0.05 * np.abs(exact).max()
