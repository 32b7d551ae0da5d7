"""Rules 1 to 8 of PPO.md: what is sampled, what is masked, and who reads which position."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from jaxalign.config import UserError
from jaxalign.rl import players
from jaxalign.rl.players import Rules
from jaxalign.sealing import seal
from jaxalign.stages import ppo
from tests.rl import playing

EIGHT = (8, 1, 1)
COLD = 0.7


@functools.cache
def seen(**how):
  """(world, what its players say of the first batch), on the host."""
  world = playing.world(temperature=COLD, **how)
  return world, jax.device_get(playing.see(world))


def by_hand(world, got, row, temperature, model=None):
  """(logprobs, entropies, values) of one row alone, without padding, token by token."""
  live = got.segment_BT[row] != 0
  tokens = got.tokens_BT[row][live]
  model = model or world.state.model['policy']
  logp = log_softmax(np.asarray(model.logits(tokens[None])[0], np.float64) / temperature, -1)
  n, length = len(tokens), int(got.length_B[row])
  before = np.arange(n - length, n) - 1
  entropy = -(np.exp(logp) * logp).sum(-1)[before]
  values = np.asarray(world.state.model['critic'](jnp.asarray(tokens)[None]))[0][before]
  return logp[before, tokens[n - length :]], entropy, values


def test_rules_1_4_6_every_row_reads_as_it_would_alone_at_temperature():
  """Left padding, positions, the slice that predicts the response, one temperature everywhere; and
  the tokens lie where the prompts end."""
  world, got = seen()
  for row in range(0, 16, 3):
    logprob, entropy, values = by_hand(world, got, row, COLD)
    n = int(got.length_B[row])
    np.testing.assert_allclose(got.logprob_BR[row, :n], logprob, atol=2e-5)
    np.testing.assert_allclose(got.sampled_BR[row, :n], logprob, atol=2e-5)
    np.testing.assert_allclose(got.entropy_BR[row, :n], entropy, atol=2e-5)
    np.testing.assert_allclose(got.value_BR[row, :n], values, atol=2e-5)
    assert (got.logprob_BR[row, n:] == 0).all() and (got.value_BR[row, n:] == 0).all()


def test_rules_2_3_masks_come_from_lengths_and_end_is_an_action():
  """The end token is pad too (Llama users set pad = eos): it is in the mask where it was sampled,
  and nowhere after. Prompts hold it as well, unmasked."""
  world, got = seen()
  assert got.finished_B.any() and not got.finished_B.all()
  for row, length in enumerate(got.length_B):
    answer = got.tokens_BT[row, 8:]
    ends = np.flatnonzero(np.isin(answer[:length], (2, 9, 11)))
    assert got.response_BR[row].sum() == length and got.response_BR[row, :length].all()
    assert bool(got.finished_B[row]) == (len(ends) == 1)
    if got.finished_B[row]:
      assert ends[0] == length - 1 and (answer[length:] == 2).all()  # what follows is pad = eos
      assert got.logprob_BR[row, length - 1] != 0  # the decision to end has a probability
    assert (got.segment_BT[row, 8:] == got.response_BR[row]).all()


def test_rule_4_greedy_and_cold_policies_and_truncated_sampling_are_refused():
  for temperature in (0.0, -1.0):
    with pytest.raises(UserError, match='rules.temperature=.*at least 0.001'):
      seal(Rules(temperature=temperature), 'rules')
  names = {field.name for field in dataclasses.fields(Rules)}
  assert not names & {'top_k', 'top_p'}


def test_rule_4_every_token_is_a_draw_from_the_whole_distribution_at_temperature():
  """EasyDeL sampled with top_p .95, EasyLM at .7, and both scored at 1. The row's key and the slot
  decide a draw, so it can be drawn again from the logits of a plain forward."""
  world, got = seen()
  key_B = ppo.keys(world.state.key, 0, 16)
  logits_BTV = world.state.model['policy'].logits(got.tokens_BT, got.segment_BT)
  logits_BRV = logits_BTV[:, -7:-1] / COLD

  def draw(key, t, logits_V):
    return jax.random.categorical(jax.random.fold_in(key, t), logits_V)

  again_BR = jax.vmap(jax.vmap(draw, (None, 0, 0)), (0, None, 0))(key_B, jnp.arange(6), logits_BRV)
  np.testing.assert_array_equal(again_BR[got.response_BR], got.tokens_BT[:, 8:][got.response_BR])


CAMPAIGN = pytest.mark.campaign


@pytest.mark.parametrize(
  'dtype, tolerance, gap, mesh',
  [
    ('float32', 1e-6, 1e-4, (1, 1, 1)),
    pytest.param('bfloat16', 2e-3, 0.2, (1, 1, 1), marks=CAMPAIGN),
    pytest.param('float32', 1e-6, 1e-4, EIGHT, marks=CAMPAIGN),
    pytest.param('bfloat16', 2e-3, 0.2, EIGHT, marks=CAMPAIGN),
  ],
)
def test_rule_5_the_first_minibatch_finds_the_policy_that_sampled(dtype, tolerance, gap, mesh):
  """In every iteration; KL to the same weights is 0 in the first, at any temperature."""
  cfg = dataclasses.replace(playing.CFG, dtype=dtype)
  _, told = playing.play(playing.world(cfg=cfg, mesh=mesh, temperature=COLD), 2)
  for metrics in told:
    assert abs(metrics['first_ratio'] - 1) < tolerance
    assert abs(metrics['first_ratio_max'] - 1) < tolerance
    assert metrics['first_clip_fraction'] == 0 and abs(metrics['first_approx_kl']) < tolerance
    assert metrics['sampler_gap_max'] < gap  # it samples by the weights as they are now
  assert told[0]['kl_sequence'] == 0 == told[0]['kl_token_k3']
  assert told[1]['kl_sequence'] != 0 and told[1]['ratio_max'] > 1.001  # it did move


def test_rule_8_samples_are_of_seed_iteration_and_row_alone():
  """Any mesh, any company: half the rows sample what they sampled among all."""
  _, got = seen()
  _, spread = seen(mesh=(2, 2, 2))
  _, half = seen(rows=8)
  np.testing.assert_array_equal(got.tokens_BT, spread.tokens_BT)
  np.testing.assert_array_equal(got.tokens_BT[:8], half.tokens_BT)
  world, _ = seen()
  other = jax.device_get(playing.see(world, step=1))
  keys = [players.row_keys(world.state.key, step, 4) for step in (0, 1)]
  data = np.concatenate([jax.random.key_data(k) for k in keys])
  assert len(np.unique(data, axis=0)) == 8  # no two rows of two iterations share a key
  assert (other.tokens_BT[:, 8:] != got.tokens_BT[:, 8:]).any()


@pytest.mark.parametrize('groups', [2, 8])
def test_rows_read_in_groups_are_read_as_one(groups):

  def f(rows):
    return dict(twice=rows['x_B'] * 2, rows=rows['y_BT'] + rows['x_B'][:, None])

  rows = dict(x_B=jnp.arange(16.0), y_BT=jnp.arange(48.0).reshape(16, 3))
  for a, b in zip(jax.tree.leaves(f(rows)), jax.tree.leaves(players.in_groups(f, groups, rows))):
    np.testing.assert_array_equal(a, b)


def test_rows_without_a_prompt_only_fill_the_batch():
  """As at the end of a pass over held-out prompts: no response, no score, no NaN anywhere."""
  world, _ = seen()
  stacked = world.feed.at(0, 1)
  empty = jax.tree.map(lambda x: x.at[:, 4:].set(0), stacked)
  key_B = ppo.keys(world.state.key, 0, 16)
  with jax.set_mesh(world.mesh):
    got = jax.device_get(ppo.collect(world.game, world.state.model, empty, key_B, world.given))
  assert got.live_B.tolist() == [True] * 4 + [False] * 12
  assert not got.response_BR[4:].any() and got.finished_B[4:].all()
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(got))


@pytest.mark.parametrize(
  'change, says',
  [
    (dict(dual_clip=1.1), 'dual_clip=1.1: above 1'),
    (dict(gamma=1.5), 'gamma=1.5: at least 0 and at most 1'),
    (dict(kl_stop=0.0), 'kl_stop=0.0: at least 1e-12'),
    (dict(beta=-0.1), 'beta=-0.1: at least 0'),
    (dict(beta=0.0, kl_target=6.0), 'no factor leads away from 0'),
  ],
)
def test_bad_rules(change, says):
  with pytest.raises(UserError, match=says):
    seal(Rules(**change), 'rules')


@CAMPAIGN
def test_one_token_responses_and_all_truncated():
  """R = 1: the first slot is the last; and without an end token no row ever finishes."""
  cfg = dataclasses.replace(playing.CFG, eos=())
  world = playing.world(cfg=cfg, R=1)
  _, told = playing.play(world, 2)
  assert told[0]['truncated'] == 1 and told[0]['length'] == 1 and told[0]['kl_sequence'] == 0
  assert all(np.isfinite(list(metrics.values())).all() for metrics in told)
