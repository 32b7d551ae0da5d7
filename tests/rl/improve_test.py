"""Rules 11 to 23 of PPO.md, and the same update from any split of the batch and on any mesh; what a
whole iteration does to a state is in improve_updates_test.py."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax

from jaxalign.models import phi2
from jaxalign.rl import improve, players, ppo, watch
from jaxalign.rl.players import Rules
from jaxalign.sharding.layout import layout
from tests.rl import playing

CAMPAIGN = pytest.mark.campaign


def game_of(rules, *weights):
  return players.Game(rules=rules, response=6, minibatches=1, microbatches=1, weights=weights)


def scored(finished, length, *, R=4, logprob=-1.0, reference=-1.5, value=0.0, after=9.0):
  """A Rollout of rows of these lengths, finished or truncated; what players say is constant."""
  B = len(length)
  mask_BR = np.arange(R) < np.array(length)[:, None]
  said = dict(logprob_BR=logprob, ref_logprob_BR=reference, sampled_BR=logprob, value_BR=value)
  said |= dict(entropy_BR=1.0, ref_entropy_BR=1.0)
  return players.Rollout(
    tokens_BT=np.full((B, 2 + R), 5, np.int32),
    segment_BT=np.concatenate([np.ones((B, 2), np.int32), mask_BR], 1),
    response_BR=mask_BR,
    length_B=np.array(length),
    finished_B=np.array(finished),
    live_B=np.array(length) > 0,
    after_B=np.full(B, after, np.float32),
    scores=(),
    **{name: np.where(mask_BR, np.float32(x), np.float32(0)) for name, x in said.items()},
  )


def test_rule_11_the_order_normalise_clip_penalty_then_kl():
  """Each of the steps lands where another order would give another number."""
  seen = scored([True, True, True, False], [4, 4, 4, 4])
  rules = Rules(normalise=True, reward_clip=1.0, missing_eos=3.0, beta=0.5)
  raw_B = np.array([10.0, 11.0, 12.0, 30.0], np.float32)
  start = ppo.RunningMoments().update(jnp.array([0.0, 2.0] * 8))
  got_raw, score_B, moments = improve.judged(game_of(rules, 2.0), (raw_B,), seen, start)
  np.testing.assert_allclose(got_raw, 2 * raw_B)
  whole = np.concatenate([[0.0, 2.0] * 8, 2 * raw_B])
  expected = np.clip((2 * raw_B - whole.mean()) / whole.std(ddof=1), -1, 1)
  expected[3] -= 3.0  # after the clip, so it is felt
  np.testing.assert_allclose(score_B, expected, rtol=1e-5)
  assert moments.count == 20
  reward_BR, *_ = improve.advantages(rules, score_B, seen, jnp.float32(0.5))
  np.testing.assert_allclose(reward_BR[:, :3], -0.25)  # beta * k1, after all of the above
  np.testing.assert_allclose(reward_BR[:, 3], expected - 0.25, rtol=1e-5)


def test_rule_5_old_logprobs_are_those_of_the_forward_not_of_the_sampler():
  """What the sampler said, from a cache and in another shape, is kept for a metric alone."""
  seen = scored([True, False], [2, 4])
  seen = dataclasses.replace(seen, sampled_BR=np.full((2, 4), np.nan, np.float32))
  reward_BR, advantage_BR, return_BR = improve.advantages(Rules(), jnp.ones(2), seen, 0.1)
  rows = improve.rows_of(seen, advantage_BR, return_BR)
  np.testing.assert_array_equal(rows['logprob_BR'], seen.logprob_BR)
  assert all(np.isfinite(x).all() for x in jax.tree.leaves((reward_BR, rows)))


def test_rule_12_the_score_is_a_float_on_the_last_valid_token():
  """Tunix cut 0.7 to 0, TRL put it one slot after the end; here a truncated row has one too."""
  seen = scored([True, False, True], [2, 4, 1])
  reward_BR, *_ = improve.advantages(Rules(), jnp.array([0.7, 0.8, 0.9]), seen, 0.0)
  expected = np.zeros((3, 4))
  expected[0, 1], expected[1, 3], expected[2, 0] = 0.7, 0.8, 0.9
  np.testing.assert_allclose(reward_BR, expected, rtol=1e-6)


def test_rule_11_several_judges_add_up_and_idle_rows_are_not_counted():
  seen = scored([True, True, True], [2, 4, 0])
  scores = jnp.array([1.0, 2.0, 50.0]), jnp.array([10.0, 20.0, 50.0])
  rules = Rules(normalise=True)
  raw_B, _, moments = improve.judged(game_of(rules, 1.0, -0.5), scores, seen, ppo.RunningMoments())
  np.testing.assert_allclose(raw_B, [-4.0, -8.0, 0.0])
  assert moments.count == 2 and moments.mean == -6


def test_rule_14_truncated_rows_may_go_on_being_worth_something():
  seen = scored([True, False], [4, 4], after=9.0)
  zero = jnp.zeros(2)
  for bootstrap, ends in ((False, [0, 0]), (True, [0, 9])):
    rules = Rules(bootstrap=bootstrap, lam=1.0)
    _, _, return_BR = improve.advantages(rules, zero, seen, 0.0)
    np.testing.assert_allclose(return_BR[:, 0], ends)


def test_rule_15_advantages_are_whitened_over_the_batch_and_returns_are_not():
  seen = scored([True] * 4, [4, 3, 2, 1])
  _, advantage_BR, return_BR = improve.advantages(Rules(), jnp.arange(4.0) * 10, seen, 0.0)
  live = np.asarray(advantage_BR)[seen.response_BR]
  np.testing.assert_allclose([live.mean(), live.std(ddof=1)], [0, 1], atol=1e-5)
  assert return_BR.max() == 30


@pytest.mark.parametrize('finished', [[True] * 3, [False] * 3], ids=['finished', 'truncated'])
def test_rule_15_no_variance_gives_zero_and_no_nan(finished):
  """Zero-variance rewards, one-token responses: what cannot be compared teaches nothing."""
  seen = scored(finished, [1, 1, 1], R=1)
  reward_BR, advantage_BR, return_BR = improve.advantages(Rules(), jnp.full(3, 0.1), seen, 0.0)
  assert (advantage_BR == 0).all() and np.allclose(return_BR, 0.1)
  metrics = watch.of_rollout(Rules(), seen, np.full(3, 0.1), np.full(3, 0.1), reward_BR, 0.0)
  assert all(np.isfinite(np.asarray(x)).all() for x in jax.tree.leaves(metrics))


def played(**how):
  state, told = playing.play(playing.world(lr=1e-3, **how), 2)
  return playing.weights(state), told


@pytest.fixture(scope='module')
def on_one_device():
  return played()


@pytest.mark.parametrize(
  'how',
  [
    dict(mesh=(2, 2, 2), microbatches=2),
    pytest.param(dict(mesh=(8, 1, 1)), marks=CAMPAIGN),
    pytest.param(dict(mesh=(1, 8, 1)), marks=CAMPAIGN),
    pytest.param(dict(mesh=(2, 2, 2)), marks=CAMPAIGN),
    pytest.param(dict(microbatches=8), marks=CAMPAIGN),
  ],
  ids=str,
)
def test_rule_18_the_same_updates_from_any_split_and_on_any_mesh(how, on_one_device):
  """Answers have unequal lengths, so a mean of means would be another update."""
  weights, told = on_one_device
  others, again = played(**how)
  assert max(np.abs(a - b).max() for a, b in zip(weights, others)) < 1e-5
  for one, other in zip(told, again):
    for name in ('reward_raw', 'kl_sequence', 'policy_loss', 'value_loss', 'entropy'):
      np.testing.assert_allclose(one[name], other[name], atol=1e-5)


def test_what_an_iteration_leaves_lies_as_what_it_was_given():
  """Else the next one is another program: train/state_test says what that costs."""
  sizes = dict(width=16, heads=2, kv_heads=2, mlp=16, depth=1, vocab=32, length=32)
  cfg = phi2.tiny(**sizes, remat='none')  # its biases are vectors over the tensor axis
  world = playing.world(mesh=(1, 1, 2), cfg=cfg, rows=4, P=4, R=2, minibatches=1)
  after, _ = playing.play(world, 1)
  homes = jax.tree.leaves(layout(after, world.mesh))
  for (path, x), home in zip(jax.tree.leaves_with_path(after), homes):
    assert x.sharding.is_equivalent_to(home, x.ndim), jax.tree_util.keystr(path)


def test_rule_23_a_fresh_permutation_in_every_epoch_and_iteration():
  world = playing.world()
  key = jax.random.key(0)
  order_SM = np.asarray(improve.order(world.game, key, 16))
  assert order_SM.shape == (4 * 2, 8)
  epochs = order_SM.reshape(4, 16)
  assert (np.sort(epochs, 1) == np.arange(16)).all()
  assert len({tuple(row) for row in epochs}) == 4
  other = np.asarray(improve.order(world.game, jax.random.fold_in(key, 1), 16))
  assert (other != order_SM).any()


def test_rules_11_13_learning_from_chance_to_the_maximum_under_an_adaptive_beta():
  """A function of the answer goes from 1/32 to 1 within 40 iterations, the critic explains it, beta
  moves with the KL of whole sequences, and running moments count every answer."""
  rules = dict(beta=0.02, kl_target=15.0, kl_horizon=320.0, normalise=True)
  world = playing.world(rows=32, R=6, lr=1e-2, minibatches=2, **rules)
  state, told = playing.play(world, 40)
  rewards = [m['reward_raw'] for m in told]
  assert np.mean(rewards[:2]) < 0.15 and np.mean(rewards[-3:]) > 0.95, rewards
  assert max(m['explained_variance'] for m in told) > 0.5
  beta = 0.02
  for metrics in told:
    assert metrics['beta'] == pytest.approx(beta, rel=1e-4)
    error = np.clip(metrics['kl_sequence'] / 15.0 - 1, -0.2, 0.2)
    beta *= 1 + error * 32 / 320
  assert told[0]['beta'] > min(m['beta'] for m in told) and told[-1]['kl_sequence'] > 3
  assert state.extra.moments.count == 40 * 32


def test_rule_19_pretraining_text_and_entropy_are_mixed_in():
  """The loss gains c * NLL of the rows' own text, and loses c * entropy; by the same weights."""
  world = playing.world()
  seen = playing.see(world)
  rows = improve.rows_of(seen, jnp.where(seen.response_BR, 1.0, 0.0), seen.value_BR)
  text_BT = jax.random.randint(jax.random.key(3), (16, 12), 3, 32)
  rows |= dict(ptx_tokens_BT=text_BT, ptx_weight_BT=jnp.ones((16, 12)))
  rows |= dict(ptx_segment_BT=jnp.ones_like(text_BT))
  rows |= dict(ptx_position_BT=jnp.broadcast_to(jnp.arange(12), (16, 12)))
  count = dict(tokens=seen.response_BR.sum(), ptx=16 * 11)

  def loss(**rules):
    loss = jax.jit(functools.partial(improve.loss_of, game_of(Rules(**rules))))
    return loss(world.state.model, rows, world.given, count)

  plain, _ = loss()
  mixed, stats = loss(ptx=0.5)
  logits = np.asarray(world.state.model['policy'].logits(text_BT), np.float64)[:, :-1]
  nll = -np.take_along_axis(log_softmax(logits, -1), np.asarray(text_BT)[:, 1:, None], -1).mean()
  np.testing.assert_allclose(mixed - plain, 0.5 * nll, rtol=1e-4)
  assert stats['ptx_loss'][1] == 16 * 11
  bonus, stats = loss(entropy=0.1)
  mean = seen.entropy_BR.sum() / seen.response_BR.sum()
  np.testing.assert_allclose(plain - bonus, 0.1 * mean, rtol=1e-4)


def test_distinct_counts_ngrams_within_rows():
  tokens_BR = jnp.array([[1, 2, 1, 2, 1], [3, 3, 3, 3, 3], [4, 5, 6, 7, 8]])
  mask_BR = jnp.arange(5) < jnp.array([5, 4, 3])[:, None]
  assert [float(x) for x in watch.distinct(tokens_BR, mask_BR, 2)] == [2 + 1 + 2, 4 + 3 + 2]
  assert [float(x) for x in watch.distinct(tokens_BR, mask_BR, 6)] == [0, 0]
  assert [float(x) for x in watch.distinct(tokens_BR[:, :1], mask_BR[:, :1], 1)] == [3, 3]


def test_flags_go_up_for_what_they_name():
  fine = dict(entropy=2, entropy_reference=3, repetition=0.1, truncated=0.1)
  fine |= dict(explained_variance=0.5, sampler_gap=0.001, kl_sequence=4)

  def flags(means):
    pairs = {name: (jnp.float32(x), jnp.float32(1)) for name, x in means.items()}
    return watch.flags(Rules(kl_target=5.0), pairs)['flags'][0]

  assert flags(fine) == 0
  worse = dict(entropy=0.5, repetition=0.9, truncated=0.9, explained_variance=-2, sampler_gap=1)
  for name, value in (worse | dict(kl_sequence=40)).items():
    assert flags(fine | {name: value}) == 1, name
