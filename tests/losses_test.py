"""The losses against loops in plain numpy, gradients too; and what they must never allocate."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxalign.config import UserError
from jaxalign.losses import head as of_head
from jaxalign.losses import logits as of_logits
from jaxalign.losses import preference

B, T, D, V = 3, 7, 5, 11
pytestmark = pytest.mark.usefixtures('optimized')


@pytest.fixture(params=[(np.float32, 1e-6), (np.float64, 1e-12)], ids=['fp32', 'fp64'])
def exact(request):
  """(dtype, tolerance), where no type is promoted behind our back."""
  with jax.enable_x64(request.param[0] is np.float64), jax.numpy_dtype_promotion('strict'):
    yield request.param


def value_and_grad(*args, **kwargs):
  """One compilation instead of one per operation."""
  return jax.jit(jax.value_and_grad(*args, **kwargs))


def grad(*args):
  return jax.jit(jax.grad(*args))


def close(found, wanted, tolerance, scale=1.0):
  np.testing.assert_allclose(np.asarray(found), wanted, rtol=tolerance, atol=tolerance * scale)


def inputs(dtype):
  """Hidden states, head, bias, tokens, and a cotangent for each token's two outputs."""
  random = np.random.default_rng(0)
  shapes = (B, T, D), (V, D), (V,), (B, T), (B, T)
  x, head, bias, pull, push = (random.normal(size=shape).astype(dtype) for shape in shapes)
  return x, head, bias, random.integers(0, V, (B, T)), pull, push


def read_loop(logits, token):
  """One position: (log-probability, its gradient, entropy, its gradient), by their definitions."""
  log_z = logits.max() + math.log(sum(math.exp(z - logits.max()) for z in logits))
  p = np.array([math.exp(z - log_z) for z in logits])
  entropy = -sum(q * math.log(q) for q in p if q > 0)
  slope = [-q * (math.log(q) + entropy) if q > 0 else 0.0 for q in p]
  return logits[token] - log_z, (np.arange(len(p)) == token) - p, entropy, np.array(slope)


def hidden_loop(x, head, bias, tokens, pull, push, temperature):
  """Both outputs per token, and the gradients of sum(pull * logprob + push * entropy)."""
  x, head, bias, pull, push = (np.float64(a) for a in (x, head, bias, pull, push))
  out, grads = np.zeros((2, B, T)), [np.zeros(a.shape) for a in (x, head, bias)]
  for b, t in np.ndindex(B, T):
    logits = (head @ x[b, t] + bias) / temperature
    out[0, b, t], d_logprob, out[1, b, t], d_entropy = read_loop(logits, tokens[b, t])
    slope = (pull[b, t] * d_logprob + push[b, t] * d_entropy) / temperature
    grads[0][b, t] = slope @ head
    grads[1] += np.outer(slope, x[b, t])
    grads[2] += slope
  return out, grads


def test_the_likeliest_token_is_the_first_of_equal_ones(exact):
  dtype, tolerance = exact
  x, head, bias, *_ = inputs(dtype)
  head[7], bias[7] = head[2], bias[2] = head[2], 9.0  # two equal tokens, above all others' bias
  logits = np.einsum('BTD,VD->BTV', x, head) + bias
  best = logits.argmax(-1)
  assert 2 in best and 7 not in best
  for tokens in (best, np.where(best == 2, 7, best)):
    found, is_best = jax.jit(of_head.logprobs_and_best, static_argnums=4)(x, head, bias, tokens, 3)
    wanted, _ = of_head.token_logprobs_from_hidden(x, head, bias, tokens, entropy=False)
    close(found, wanted, tolerance)
    np.testing.assert_array_equal(is_best, tokens == best)


@pytest.mark.parametrize('chunk, temperature', [(1, 1.0), (3, 0.7), (7, 1.0), (50, 0.7)])
def test_chunked_logprobs_and_entropy(exact, chunk, temperature):
  dtype, tolerance = exact
  x, head, bias, tokens, pull, push = inputs(dtype)

  def loss(x, head, bias):
    out = of_head.token_logprobs_from_hidden(x, head, bias, tokens, temperature, chunk)
    return (pull * out[0] + push * out[1]).sum(), out

  (_, out), found = value_and_grad(loss, (0, 1, 2), has_aux=True)(x, head, bias)
  wanted_out, wanted = hidden_loop(x, head, bias, tokens, pull, push, temperature)
  close(out, wanted_out, tolerance, 3)
  for a, b in zip(found, wanted, strict=True):
    assert a.dtype == dtype
    close(a, b, tolerance, 10)


@pytest.mark.parametrize('kind, chunk', [(bool, 2), (np.int32, 3), (np.float32, 128)])
def test_next_token(exact, chunk, kind):
  dtype, tolerance = exact
  x, head, bias, targets, pull, push = inputs(dtype)
  weight = (2 * np.abs(pull) > 0.5).astype(kind)
  x = np.where((weight == 0)[..., None], np.resize([np.nan, np.inf], x.shape), x).astype(dtype)
  targets = np.where(weight == 0, -100, targets)

  def loss(x, head, bias):
    nll, count, right = of_head.next_token(x, head, targets, weight, bias, chunk)
    return nll, (count, right)

  (nll, (count, right)), found = value_and_grad(loss, (0, 1, 2), has_aux=True)(x, head, bias)
  live = np.where((weight == 0)[..., None], 0, x)
  known = np.where(weight == 0, 0, targets)
  out, wanted = hidden_loop(live, head, bias, known, -np.float64(weight), 0 * push, 1.0)
  close(nll, -(np.float64(weight) * out[0]).sum(), tolerance, 10)
  for a, b in zip(found, wanted, strict=True):
    close(a, b, tolerance, 10)
  assert float(count) == weight.sum()
  best = (np.float64(live) @ np.float64(head).T + bias).argmax(-1)
  assert float(right) == (weight * (best == targets)).sum()


def test_next_token_without_bias_float_weights_and_nothing(exact):
  dtype, tolerance = exact
  x, head, bias, targets, pull, _ = inputs(dtype)
  nll, count, _ = of_head.next_token(x, head, targets, np.abs(pull))
  out, _ = hidden_loop(x, head, 0 * bias, targets, pull, pull, 1.0)
  close(nll, -(np.abs(np.float64(pull)) * out[0]).sum(), tolerance, 10)
  close(count, np.abs(np.float64(pull)).sum(), tolerance)
  poisoned = value_and_grad(lambda x, h: of_head.next_token(x, h, targets, 0 * targets)[0], (0, 1))
  assert not any(np.any(leaf) for leaf in jax.tree.leaves(poisoned(np.nan * x, head)))
  assert of_head.next_token(x[:, :0], head, targets[:, :0], pull[:, :0])[0] == 0


def test_an_unknown_target_that_counts_is_loud():
  x, head, bias, targets, pull, _ = inputs(np.float32)
  for bad in (-100, V):
    wrong = np.where(np.arange(T) == 3, bad, targets)
    loss = value_and_grad(lambda h, t=wrong: of_head.next_token(x, h, t, pull, chunk=2)[0])
    assert all(np.isnan(leaf).any() for leaf in loss(head))


def test_a_masked_position_sends_no_gradient_whatever_it_holds():
  x, head, bias, tokens, _, _ = inputs(np.float32)
  mask = np.arange(T) % 3 > 0

  def loss(x, head, bias):
    both = of_head.token_logprobs_from_hidden(x, head, bias, tokens, 1.0, 3)
    return sum(jnp.where(mask, out, 0).sum() for out in both)

  poisoned = np.where(mask[:, None], x, np.nan)
  found, wanted = (grad(loss, (0, 1, 2))(a, head, bias) for a in (poisoned, x))
  for a, b in zip(found, wanted, strict=True):
    close(a, b, 1e-6)


@pytest.mark.parametrize('temperature', [1.0, 0.3])
def test_how_logits_are_read_and_their_gradient(exact, temperature):
  dtype, tolerance = exact
  logits = 3 * np.random.default_rng(1).normal(size=(B, T, V)).astype(dtype)
  tokens = np.int32(inputs(dtype)[3])
  one, none = np.ones((B, T), dtype), np.zeros((B, T), dtype)
  logits[0, 0] = np.where(np.arange(V) == tokens[0, 0], 0, -np.inf)  # certain
  logits[0, 1] += dtype(1e4)
  logits[0, 2] *= dtype(1e3)
  cold = of_logits.checked_temperature(temperature, logits)
  (logprob, entropy), norm = jax.jit(of_logits.read_logits)(logits, tokens, cold)
  pulled = jax.jit(of_logits.pulled)
  slope = pulled(logits, tokens, cold, entropy, norm, one, none)
  bend = pulled(logits, tokens, cold, entropy, norm, none, one)
  for b, t in np.ndindex(B, T):
    wanted = read_loop(np.float64(logits[b, t]) / temperature, tokens[b, t])
    close(logprob[b, t], wanted[0], tolerance, 5)
    close(entropy[b, t], wanted[2], tolerance, 5)
    close(slope[b, t] * temperature, wanted[1], tolerance, 5)
    close(bend[b, t] * temperature, wanted[3], tolerance, 5)
  assert logprob.dtype == entropy.dtype == slope.dtype == dtype


def test_bf16_matmuls_sum_in_fp32():
  x, head, bias, tokens, pull, push = inputs(np.float32)
  small = [jnp.asarray(a, jnp.bfloat16) for a in (x, head, bias)]
  large = [a.astype(jnp.float32) for a in small]

  def loss(x, head, bias):
    out = of_head.token_logprobs_from_hidden(x, head, bias, tokens, 1.0, 3)
    return (pull * out[0] + push * out[1]).sum(), out

  with jax.numpy_dtype_promotion('strict'):
    (_, a), slopes = value_and_grad(loss, (0, 1, 2), has_aux=True)(*small)
  (_, b), wanted = value_and_grad(loss, (0, 1, 2), has_aux=True)(*large)
  assert a[0].dtype == a[1].dtype == jnp.float32
  close(a, b, 1e-5)
  for found, exactly in zip(slopes, wanted, strict=True):
    assert found.dtype == jnp.bfloat16
    close(found.astype(jnp.float32), exactly, 0.02, 2)


@pytest.mark.parametrize('temperature', [0, 0.0, -1.0, math.nan])
def test_a_temperature_that_is_no_policy_is_refused(temperature):
  x, head, bias, tokens, _, _ = inputs(np.float32)
  with pytest.raises(UserError, match='temperature'):
    of_head.token_logprobs_from_hidden(x, head, bias, tokens, temperature)
  with pytest.raises(UserError, match='chunk'):
    of_head.next_token(x, head, tokens, tokens, chunk=0)


def test_chunks_map_over_a_further_axis():
  x, head, bias, tokens, pull, _ = inputs(np.float32)
  slope = grad(lambda x: of_head.next_token(x, head, tokens, pull, bias, 3)[0])
  many = jax.vmap(slope)(jnp.stack([x, 2 * x]))
  close(many[1], slope(2 * x), 1e-6)


def plain(x, head, targets, weight):
  logits = jnp.einsum('BTD,VD->BTV', x, head, preferred_element_type=jnp.float32)
  logprob = jnp.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], -1)[..., 0]
  return -(weight * logprob).sum()


def hidden_policy(x, head, targets, weight):
  out = of_head.token_logprobs_from_hidden(x, head, None, targets)
  return (weight * (out[0] + out[1])).sum()


def next_token_sum(*args):
  return of_head.next_token(*args)[0]


@pytest.mark.parametrize('f', [next_token_sum, hidden_policy])
def test_on_a_tpu_the_gradient_of_x_waits_until_the_head_s_is_home(f, monkeypatch):
  """The same numbers; without the barrier its compiler keeps all of the head's gradient."""
  random = np.random.default_rng(0)
  x, head = (np.float32(random.normal(size=size)) for size in ((2, 9, 8), (30, 8)))
  args = x, head, random.integers(0, 30, (2, 9)), np.ones((2, 9), np.float32)

  def graded():
    return jax.jit(jax.grad(lambda *args: f(*args), (0, 1)))

  wanted, text = graded()(*args), graded().lower(*args).as_text()
  assert 'optimization_barrier' not in text
  monkeypatch.setattr(of_head, 'platform', lambda: 'tpu')
  assert 'optimization_barrier' in graded().lower(*args).as_text()
  for a, b in zip(graded()(*args), wanted, strict=True):
    close(a, b, 1e-6, 1)


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
def test_no_whole_array_of_logits(dtype):
  B, T, D, V = 4, 512, 64, 32000
  shapes = ((B, T, D), dtype), ((V, D), dtype), ((B, T), jnp.int32), ((B, T), jnp.float32)
  args = [jax.ShapeDtypeStruct(*shape) for shape in shapes]
  losses = plain, next_token_sum, hidden_policy
  ran = [value_and_grad(f, (0, 1)).lower(*args).compile() for f in losses]
  temp = [c.memory_analysis().temp_size_in_bytes for c in ran]
  assert max(temp[1:]) < temp[0] / 3
  whole = re.compile(rf'\[({B},{T}|{T},{B}|{B * T}),{V}\]')
  assert whole.search(ran[0].as_text()) and not any(whole.search(c.as_text()) for c in ran[1:])


@pytest.mark.parametrize('f', [next_token_sum, hidden_policy])
def test_a_mesh_agrees_and_never_gathers_the_vocabulary(f):
  B, T, D, V = 8, 300, 16, 1238
  random = np.random.default_rng(0)
  x, head = (np.float32(random.normal(size=size)) for size in ((B, T, D), (V, D)))
  args = x, head / 4, random.integers(0, V, (B, T)), np.ones((B, T), np.float32)
  call = value_and_grad(f, (0, 1))
  wanted = call(*args)
  mesh = jax.make_mesh((4, 2), ('data', 'tensor'), (AxisType.Auto,) * 2)
  specs = [PartitionSpec(axis) for axis in ('data', 'tensor', 'data', 'data')]
  placed = [jax.device_put(a, NamedSharding(mesh, s)) for a, s in zip(args, specs, strict=True)]
  for a, b in zip(jax.tree.leaves(call(*placed)), jax.tree.leaves(wanted), strict=True):
    close(a, b, 2e-5, 5)
  assert not re.search(rf'\[[0-9,]*\b{V}\b', call.lower(*placed).compile().as_text())


def terry_loop(chosen, rejected, margin, center, weight):
  loss, slope = 0.0, []
  for c, r, m, w in zip(chosen, rejected, margin, weight, strict=True):
    z = c - r - m
    loss += w * (math.log1p(math.exp(-abs(z))) + max(-z, 0) + center * (c + r) ** 2)
    s = math.exp(-max(z, 0)) / (math.exp(-max(z, 0)) + math.exp(min(z, 0)))  # sigmoid(-z)
    slope.append(w * (-s + 2 * center * (c + r)))
  return loss / sum(weight), np.array(slope) / sum(weight)


@pytest.mark.parametrize('center', [0.0, 0.01])
def test_bradley_terry(exact, center):
  dtype, tolerance = exact
  chosen = np.array([1, -2, 0.5, 3, 1e4, -1e4, 40], dtype)
  rejected = np.array([0, 1, 0.5, 3, -1e4, 1e4, -60], dtype)
  margin = np.array([0, 0.5, 0, 1, 0, 2, 0], dtype)
  call = value_and_grad(preference.bradley_terry, has_aux=True)
  (loss, stats), slope = call(chosen, rejected, margin, center)
  args = [np.float64(a) for a in (chosen, rejected, margin)]
  wanted = terry_loop(*args, center, np.ones(7))
  close(loss, wanted[0], tolerance)
  close(slope, wanted[1], tolerance)
  stats = jax.tree.map(float, stats)
  assert stats['accuracy'] == (4, 7)  # three right, two ties
  close(stats['margin'], ((args[0] - args[1]).sum(), 7), tolerance)
  bare = preference.bradley_terry(chosen, rejected, center=center)[0]
  close(bare, terry_loop(*args[:2], 0 * args[2], center, np.ones(7))[0], tolerance)
  assert loss.dtype == dtype


def test_bradley_terry_padding_integers_and_microbatches():
  chosen, rejected = np.array([3, 1, 2, 0], np.int32), np.array([1, 1, 3, 9], np.int32)
  terry = jax.jit(preference.bradley_terry)
  loss, stats = terry(chosen, rejected)
  close(loss, terry_loop(chosen, rejected, 0 * chosen, 0, chosen * 0 + 1)[0], 1e-6)
  assert stats['accuracy'] == (1.5, 4)
  halves = [terry(chosen[i : i + 2], rejected[i : i + 2], count=4)[0] for i in (0, 2)]
  close(sum(halves), loss, 1e-6)
  padded = np.float32([3, 1, np.nan, np.inf])

  def part(c):
    return preference.bradley_terry(c, padded[::-1][::-1] - 1, weight_B=np.array([1, 1, 0, 0]))

  (kept, stats), slope = value_and_grad(part, has_aux=True)(padded)
  close(kept, math.log1p(math.exp(-1)), 1e-6)
  assert stats['accuracy'] == (2, 2) and np.isfinite(slope).all() and not slope[2:].any()
  nothing, _ = terry(padded, padded, weight_B=np.zeros(4))
  assert nothing == 0
  half = terry(jnp.ones(3, jnp.bfloat16), jnp.zeros(3, jnp.bfloat16))[0]
  assert half.dtype == jnp.float32
