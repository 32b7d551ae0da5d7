"""PPO's arithmetic against loops in plain Python, with poison wherever the mask is off."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.rl import ppo
from jaxalign.train.fingerprint import flat

# left- and right-padded; a hole inside; nothing; one token; everything; first and last only
ROWS = '0011100', '0110110', '0' * 7, '0001000', '1' * 7, '1000001'
MASK = np.array([list(row) for row in ROWS]) == '1'
B, T = MASK.shape
POISON = np.resize([np.nan, np.inf, -np.inf, 1e30], MASK.shape)


@pytest.fixture(params=[(np.float32, 1e-6), (np.float64, 1e-12)], ids=['fp32', 'fp64'])
def exact(request):
  """(dtype, tolerance), where no type is promoted behind our back."""
  with jax.enable_x64(request.param[0] is np.float64), jax.numpy_dtype_promotion('strict'):
    yield request.param


def draw(seed, dtype, scale=1.0, shape=(B, T)):
  """Numbers where the mask is on, poison elsewhere."""
  x = scale * np.random.default_rng(seed).normal(size=shape)
  return (np.where(MASK, x, POISON) if shape == (B, T) else x).astype(dtype)


def close(found, wanted, tolerance, scale=1.0):
  np.testing.assert_allclose(np.asarray(found), wanted, rtol=tolerance, atol=tolerance * scale)


def cells():
  return [(b, t) for b in range(B) for t in range(T) if MASK[b, t]]


def gae_loop(reward, value, gamma, lam, end):
  """By definition: the discounted sum of all later deltas, over the sampled tokens alone."""
  advantage, target = np.zeros((B, T)), np.zeros((B, T))
  for b in range(B):
    at = [t for t in range(T) if MASK[b, t]]
    following = [*(value[b, t] for t in at[1:]), end[b]][: len(at)]
    delta = [reward[b, t] + gamma * v - value[b, t] for t, v in zip(at, following, strict=True)]
    for i, t in enumerate(at):
      advantage[b, t] = sum((gamma * lam) ** (j - i) * delta[j] for j in range(i, len(at)))
      target[b, t] = advantage[b, t] + value[b, t]
  return advantage, target


@pytest.mark.parametrize(
  'kind, bootstrap', [(bool, 0), (np.int32, 1), (np.uint8, 0), (np.float32, 1)]
)
def test_gae_is_the_sum_of_later_deltas(exact, kind, bootstrap):
  dtype, tolerance = exact
  reward, value, end = draw(0, dtype), draw(1, dtype), draw(2, dtype, shape=(B,))
  given = {'bootstrap_B': end} if bootstrap else {}
  found = jax.jit(lambda *a: ppo.gae(*a, 0.97, 0.9, **given))(reward, value, MASK.astype(kind))
  wide = [np.float64(x) for x in (reward, value, end if bootstrap else 0 * end)]
  for x, y in zip(found, gae_loop(*wide[:2], 0.97, 0.9, wide[2]), strict=True):
    assert x.dtype == dtype
    close(x, y, tolerance, 3)


def test_gae_sends_no_gradient():
  value = np.where(MASK, draw(1, np.float32), 0)

  def loss(v, end):
    return sum(x.sum() for x in ppo.gae(v, v, MASK, 0.9, 0.9, bootstrap_B=end))

  for grad in jax.grad(loss, (0, 1))(value, np.ones(B, np.float32)):
    assert not np.any(grad)


def test_whiten_has_unbiased_unit_variance(exact):
  dtype, tolerance = exact
  for scale, offset in ((1, 0), (1e-12, 0), (1e15, 0), (2.0, 5.0)):
    x = draw(3, dtype, scale) + dtype(offset)
    live = np.float64(x[MASK])
    wanted = np.zeros((B, T))
    wanted[MASK] = (live - live.mean()) / live.std(ddof=1)
    close(jax.jit(ppo.whiten)(x, MASK), wanted, tolerance, 3)
  white = np.asarray(ppo.whiten(draw(3, dtype), MASK))
  halves = [ppo.whiten(draw(3, dtype)[i : i + 3], MASK[i : i + 3]) for i in (0, 3)]
  assert np.abs(white - np.concatenate(halves)).max() > 0.01  # per minibatch is another thing


@pytest.mark.parametrize('n', [0, 1, 2, 100_003])
def test_whiten_without_spread_is_zero_and_differentiable(exact, n):
  dtype, _ = exact
  x = np.full((1, 100_003), 0.1, dtype)
  mask = np.arange(x.size)[None] < n
  for shift, wanted in ((True, 0.0), (False, dtype(0.1))):
    assert (ppo.whiten(x, mask, shift) == np.where(mask, wanted, 0)).all()
    assert np.isfinite(jax.grad(lambda x, s=shift: (ppo.whiten(x, mask, s) ** 2).sum())(x)).all()


def test_whiten_gradient(exact):
  dtype, tolerance = exact
  x, pull = np.where(MASK, draw(3, dtype), 0), draw(4, dtype)
  grad = jax.grad(lambda x: jnp.where(MASK, ppo.whiten(x, MASK) * np.nan_to_num(pull), 0).sum())(x)
  live, g = np.float64(x[MASK]), np.float64(pull[MASK])
  n, spread = live.size, live.std(ddof=1)
  z = (live - live.mean()) / spread
  wanted = np.zeros((B, T))
  wanted[MASK] = (g - g.mean() - z * (g * z).sum() / (n - 1)) / spread
  close(grad, wanted, tolerance, 3)


def test_kl_estimates(exact):
  dtype, tolerance = exact
  logprob = np.array([-1.0, -2.5, -0.1, -30.0, -3.0], dtype)
  ref = np.array([-1.0, -0.5, -4.0, -3.0, -3.0001], dtype)
  k = np.float64(logprob) - np.float64(ref)
  for kind, wanted in dict(k1=k, k2=k * k / 2, k3=np.expm1(-k) + k, abs=np.abs(k)).items():
    close(ppo.kl_estimate(logprob, ref, kind), wanted, tolerance)

    for x in np.array([-1e4, 1e4, 0, -100], dtype):
      value, grad = jax.value_and_grad(ppo.kl_estimate)(x, np.zeros_like(x), kind)
      assert np.isfinite([value, grad]).all() and (kind == 'k1' or value >= 0)
  with pytest.raises(UserError, match="'k4'.*k1"):
    ppo.kl_estimate(logprob, ref, 'k4')


def rewards_loop(score, logprob, ref, beta):
  reward = np.zeros((B, T))
  for b, t in cells():
    reward[b, t] = -beta * (logprob[b, t] - ref[b, t])
    if not MASK[b, t + 1 :].any():
      reward[b, t] += score[b]
  return reward


@pytest.mark.parametrize('kind', [bool, np.int32, np.uint8, np.float32])
def test_rewards_pay_k1_and_earn_the_score_on_the_last_token(exact, kind):
  dtype, tolerance = exact
  score, logprob, ref = draw(5, dtype, shape=(B,)), draw(6, dtype), draw(7, dtype)
  score[2] = np.nan  # of the empty row
  found = jax.jit(ppo.shape_rewards)(score, logprob, ref, MASK.astype(kind), 0.3)
  close(found, rewards_loop(*(np.float64(x) for x in (score, logprob, ref)), 0.3), tolerance)
  assert found.dtype == dtype


def test_integer_scores_and_arrays_do_not_truncate():
  zero = np.zeros((B, T), np.int32)
  reward = np.asarray(ppo.shape_rewards(np.full(B, 0.7, np.float32), zero, zero, MASK, 0.1))
  assert reward.max() == np.float32(0.7)
  reward = ppo.shape_rewards(np.ones(B, np.int32), zero, zero + 1, MASK, 0.25)
  close(reward.sum(), 5 + 0.25 * MASK.sum(), 1e-6)
  advantage, _ = ppo.gae(zero + 1, zero, MASK, 0.5, 0.5)
  assert advantage[4, 5] == 1.25


def policy_loop(logprob, old, advantage, low, high, dual):
  """(sum of losses, gradient of that sum, tokens clipped, tokens dual-clipped)."""
  loss, grad, clipped, dualled = 0.0, np.zeros((B, T)), 0, 0
  for b, t in cells():
    ratio, a = math.exp(logprob[b, t] - old[b, t]), advantage[b, t]
    binds = (a > 0 and ratio > 1 + high) or (a < 0 and ratio < 1 - low)
    held = min(max(ratio, 1 - low), 1 + high)
    token, slope = (-a * held, 0.0) if binds else (-a * ratio, -a * ratio)
    if dual is not None and a < 0 and token > -a * dual:
      token, slope, dualled = -a * dual, 0.0, dualled + 1
    loss, grad[b, t], clipped = loss + token, slope, clipped + binds
  return loss, grad, clipped, dualled


@pytest.mark.parametrize('kind, dual', [(bool, None), (np.int32, 1.5), (np.float32, 1.5)])
def test_policy_loss_and_gradient(exact, kind, dual):
  dtype, tolerance = exact
  args = draw(8, dtype, 0.5), draw(9, dtype, 0.5), draw(10, dtype)
  call = jax.jit(jax.value_and_grad(lambda *a: ppo.policy_loss(*a, 0.2, 0.3, dual), has_aux=True))
  (loss, stats), grad = call(*args, MASK.astype(kind))
  total, slope, clipped, dualled = policy_loop(*(np.float64(x) for x in args), 0.2, 0.3, dual)
  n = MASK.sum()
  close(loss, total / n, tolerance)
  close(grad, slope / n, tolerance)
  assert clipped > 2 and (dualled > 0) == (dual is not None)
  stats = jax.tree.map(float, stats)
  assert stats['clip_fraction'] == (clipped, n)
  assert stats['dual_clip_fraction'] == (dualled, n)
  gap = np.float64(args[0][MASK]) - np.float64(args[1][MASK])
  sums = {'ratio': np.exp(gap), 'approx_kl': np.exp(gap) - 1 - gap, 'approx_kl_k1': -gap}
  for name, x in sums.items():
    close(stats[name], (x.sum(), n), tolerance, 10)
  close(stats['ratio_max'], (np.exp(gap).max(), 1), tolerance)


@pytest.mark.parametrize('gap', [-1e4, 1e4])
def test_policy_loss_stays_finite_far_away(gap):
  for advantage in (-1.0, 0.0, 1.0):
    x, a = (np.full((B, T), number, np.float32) for number in (gap, advantage))
    loss = jax.value_and_grad(ppo.policy_loss, has_aux=True)
    (value, stats), grad = loss(x, np.zeros_like(a), a, MASK, 0.2, 0.2, 3.0)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((value, stats, grad)))


def value_loop(value, old, target, clip):
  loss, grad, clipped = 0.0, np.zeros((B, T)), 0
  for b, t in cells():
    v, r = value[b, t], target[b, t]
    near = v if clip is None else old[b, t] + min(max(v - old[b, t], -clip), clip)
    binds = (near - r) ** 2 > (v - r) ** 2
    loss += max((v - r) ** 2, (near - r) ** 2) / 2
    grad[b, t], clipped = 0 if binds else v - r, clipped + binds
  return loss, grad, clipped


@pytest.mark.parametrize('clip', [None, 0.2])
def test_value_loss_and_gradient(exact, clip):
  dtype, tolerance = exact
  args = draw(11, dtype), draw(12, dtype), draw(13, dtype)
  loss = functools.partial(ppo.value_loss, clip=clip)
  (found, stats), grad = jax.jit(jax.value_and_grad(loss, has_aux=True))(*args, MASK)
  total, slope, clipped = value_loop(*(np.float64(x) for x in args), clip)
  n = MASK.sum()
  close(found, total / n, tolerance)
  close(grad, slope / n, tolerance)
  stats = jax.tree.map(float, stats)
  assert stats['value_clip_fraction'] == (clipped, n) and (clipped > 0) == (clip is not None)
  v, r = np.float64(args[0][MASK]), np.float64(args[2][MASK])
  wanted = 1 - (r - v).var() / r.var()
  close(ppo.explained_variance(args[0], args[2], MASK), wanted, tolerance, 3)
  mean = {name: np.float64(a) / np.float64(b) for name, (a, b) in stats.items()}
  error, spread = ((mean[f'{x}_sq'] - mean[x] ** 2) for x in ('error', 'return'))
  close(1 - error / spread, wanted, 10 * tolerance)


def test_explained_variance_of_returns_that_do_not_vary():
  flat = np.full((B, T), 0.1, np.float32)
  assert ppo.explained_variance(draw(0, np.float32), flat, MASK) == 0
  assert ppo.explained_variance(flat, flat, 0 * MASK) == 0
  assert ppo.explained_variance(draw(0, np.float32), draw(0, np.float32), MASK) == 1


def test_nothing_to_learn_from_is_zero_everywhere():
  x, none = np.full((B, T), np.nan, np.float32), np.zeros((B, T), np.int32)
  policy = jax.value_and_grad(ppo.policy_loss, has_aux=True)(x, x, x, none, 0.2, 0.2, 3.0)
  value = jax.value_and_grad(ppo.value_loss, has_aux=True)(x, x, x, none, 0.2)
  rest = ppo.gae(x, x, none, 1.0, 1.0), ppo.shape_rewards(x[:, 0], x, x, none, 0.1)
  for leaf in jax.tree.leaves((policy, value, rest, ppo.whiten(x, none), ppo.total(x, none))):
    assert not np.any(leaf)
  empty = np.zeros((2, 0), np.float32)
  assert ppo.shape_rewards(np.ones(2), empty, empty, empty, 0.1).shape == (2, 0)
  assert ppo.gae(empty, empty, empty, 1.0, 1.0)[0].shape == ppo.whiten(empty, empty).shape == (2, 0)


def test_any_split_into_microbatches_gives_the_same_update():
  args = [draw(seed, np.float32, 0.5) for seed in (8, 9, 10)] + [MASK]
  policy = functools.partial(ppo.policy_loss, clip_low=0.2, clip_high=0.2)
  for loss in (policy, functools.partial(ppo.value_loss, clip=0.2)):
    whole, stats = loss(*args)
    grad = jax.grad(lambda *a, f=loss: f(*a)[0])(*args)
    parts = [[x[i:j] for x in args] for i, j in ((0, 1), (1, 2), (2, 3), (3, 6))]
    shares = [loss(*part, count=MASK.sum()) for part in parts]
    close(sum(share for share, _ in shares), whole, 1e-6)
    grads = [jax.grad(lambda *a, f=loss: f(*a, count=MASK.sum())[0])(*part) for part in parts]
    close(np.concatenate(grads), grad, 1e-6)
    for name in set(stats) - {'ratio_max'}:
      close(np.sum([s[name] for _, s in shares], 0), stats[name], 2e-6, 5)


def test_bf16_is_computed_in_fp32():
  small = [jnp.asarray(draw(seed, np.float32, 0.5), jnp.bfloat16) for seed in (8, 9, 10)]
  large = [x.astype(jnp.float32) for x in small]
  calls = (
    lambda a, b, c: ppo.gae(a, b, MASK, 0.9, 0.9, bootstrap_B=jnp.ones(B, a.dtype)),
    lambda a, b, c: ppo.policy_loss(a, b, c, MASK, 0.2, 0.2, 3.0),
    lambda a, b, c: ppo.value_loss(a, b, c, MASK, 0.2),
    lambda a, b, c: (ppo.whiten(a, MASK), ppo.sequence_kl(a, b, MASK)),
    lambda a, b, c: ppo.shape_rewards(jnp.ones(B, a.dtype), a, b, MASK, 0.1),
  )
  with jax.numpy_dtype_promotion('strict'):
    for call in calls:
      for x, y in zip(jax.tree.leaves(call(*small)), jax.tree.leaves(call(*large)), strict=True):
        assert x.dtype == jnp.float32 and (x == y).all()


def test_sequence_kl_counts_rows_not_tokens():
  logprob, ref = draw(6, np.float32), draw(7, np.float32)
  kl, rows = ppo.sequence_kl(logprob, ref, MASK)
  assert rows == 5
  close(kl, (np.float64(logprob[MASK]) - np.float64(ref[MASK])).sum(), 1e-6, 10)


def test_adaptive_kl_is_zieglers(exact):
  dtype, tolerance = exact
  control = ppo.AdaptiveKL(beta=dtype(0.1), target=dtype(6.0), horizon=dtype(100), high=dtype(0.12))
  step, beta = jax.jit(ppo.AdaptiveKL.update), 0.1
  for kl, n in ((6.3, 64), (60.0, 64), (1.0, 16), (-2.0, 64), (60.0, 600), (np.nan, 0), (5.9, 8)):
    control = step(control, dtype(kl), n)
    if not math.isnan(kl):
      beta = min(0.12, beta * (1 + min(max(kl / 6 - 1, -0.2), 0.2) * n / 100))
    close(control.beta, beta, tolerance)
    assert control.beta.dtype == dtype
  low = ppo.AdaptiveKL(dtype(1e-3), 6.0, 1.0).update(0.0, 10**6)  # a factor below 0: the bound
  assert low.beta == dtype(1e-6) and low.update(60.0, 10).beta > low.beta
  assert ppo.AdaptiveKL(1, 6.0, 100.0).update(6.6, 10).beta > 1  # an integer beta is not truncated


def test_a_checkpoint_knows_every_number_of_both_states_by_its_name():
  """The names under which old checkpoints hold them: one that is renamed is not found again."""
  control = ppo.AdaptiveKL(*np.ones(5))
  assert list(flat(control)) == ['beta', 'target', 'horizon', 'low', 'high']
  assert list(flat(ppo.RunningMoments())) == ['count', 'mean', 'm2', 'low']


@pytest.mark.parametrize('offset', [0.0, 1e3, 1e5])
def test_running_moments_far_from_zero(offset):
  x = (offset + np.random.default_rng(0).normal(size=(400, 16))).astype(np.float32)
  moments, step = ppo.RunningMoments(), jax.jit(ppo.RunningMoments.update)
  for batch in x:
    moments = step(moments, batch)
  live = np.float64(x)
  assert moments.count == x.size
  close(np.float64(moments.mean) + np.float64(moments.low), live.mean(), 1e-10, 1e4)
  close(moments.std, live.std(ddof=1), 2e-6)
  hosts = [ppo.RunningMoments().update(part) for part in np.split(x, 4)]
  merged = hosts[0].merge(hosts[1]).merge(hosts[2].merge(hosts[3]))
  close(merged.std, live.std(ddof=1), 2e-6)


def test_running_moments_weights_and_edges(exact):
  dtype, tolerance = exact
  x, weight = draw(0, dtype, shape=(12,)), np.array([1, 0, 1] * 4)
  x[1::3] = np.nan
  moments = ppo.RunningMoments().update(x[:6], weight[:6]).update(x[6:], weight[6:].astype(bool))
  moments = moments.update(x[1::3], np.zeros(4)).merge(ppo.RunningMoments())  # nothing new
  live = np.float64(x[weight == 1])
  close(moments.std, live.std(ddof=1), tolerance)
  wanted = (live - live.mean()) / live.std(ddof=1)
  close(moments.normalise(x[weight == 1]), wanted, tolerance, 3)
  assert moments.mean.dtype == dtype
  new = ppo.RunningMoments()
  assert new.std == 0 and new.normalise(dtype(3)) == 3
  flat = new.update(np.full(7, 0.1, dtype)).update(np.full(5, 0.1, dtype))
  assert flat.std == 0 and flat.normalise(dtype(0.1)) == 0
  assert new.update(dtype(5)).normalise(dtype(6)) == 1  # one score, not yet a batch
