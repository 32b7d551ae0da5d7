"""The shared arithmetic against loops and formulas in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxalign.models import layers
from jaxalign.models.adapters import Adapted
from jaxalign.sharding.meshes import make_mesh

RANDOM = np.random.default_rng(0)


def normal(*shape):
  return RANDOM.standard_normal(shape).astype(np.float32)


@pytest.fixture(autouse=True)
def strict():
  """Our own maths promotes nothing by accident."""
  with jax.numpy_dtype_promotion('strict'):
    yield


@pytest.mark.parametrize('bias', [False, True], ids=['rms_norm', 'layer_norm'])
def test_norms(bias):
  x_BTD, scale_D, bias_D = normal(2, 3, 8) + 5 * bias, normal(8), normal(8)
  wide = x_BTD.astype(np.float64)
  wide -= bias * wide.mean(-1, keepdims=True)
  expected = wide / np.sqrt((wide**2).mean(-1, keepdims=True) + 1e-2) * scale_D + bias * bias_D
  norm, vectors = (layers.layer_norm, [bias_D]) if bias else (layers.rms_norm, [])
  ours = norm(jnp.array(x_BTD), scale_D, *vectors, 1e-2)
  np.testing.assert_allclose(ours, expected, atol=3e-6)


def angle(position_BT, theta, turns):
  return layers.rope_angle(position_BT, theta ** -(jnp.arange(0, turns, 2) / turns))


def by_angle(x_BHTK):
  return layers.rope(x_BHTK, angle(1000 + jnp.arange(2)[None], 10_000.0, 4))


@pytest.mark.parametrize(
  'f, vectors', [(layers.rms_norm, (1.0,)), (layers.layer_norm, (1.0, 0.0)), (by_angle, None)]
)
def test_bfloat16_stays_and_is_computed_in_float32(f, vectors):
  """A mean of squares over 4096 entries in bfloat16 would be far off."""
  x = jnp.array(normal(1, 1, 2, 4096) * 100, jnp.bfloat16)

  def run(dtype):
    more = () if vectors is None else (*(jnp.full(4096, v, dtype) for v in vectors), 1e-5)
    return f(x.astype(dtype), *more)

  assert run(jnp.bfloat16).dtype == jnp.bfloat16
  np.testing.assert_array_equal(run(jnp.bfloat16), run(jnp.float32).astype(jnp.bfloat16))


@pytest.mark.parametrize('half', [4, 3], ids=['whole head', 'part of it'])
def test_halves_change_places_alike_on_every_platform(half):
  x_BHTK = jnp.array(normal(2, 3, 4, 8), jnp.bfloat16)
  ours, gpus = (f(x_BHTK, half) for f in (layers._by_product, layers._by_pieces))
  assert ours.dtype == gpus.dtype == jnp.float32
  np.testing.assert_array_equal(ours, gpus)
  np.testing.assert_array_equal(gpus[..., 0], -x_BHTK[..., half].astype(jnp.float32))


def test_rope_is_a_rotation_of_complex_numbers():
  x_BHTK, position_BT = normal(2, 3, 5, 12), RANDOM.integers(0, 50, (2, 5))
  turned = 8
  out = layers.rope(jnp.array(x_BHTK), angle(jnp.array(position_BT), 100.0, turned))
  for i in range(turned // 2):
    angle_BT = position_BT * 100.0 ** (-2 * i / turned)
    z = (x_BHTK[..., i] + 1j * x_BHTK[..., i + 4]) * np.exp(1j * angle_BT)[:, None]
    np.testing.assert_allclose(out[..., i], z.real, atol=1e-5)
    np.testing.assert_allclose(out[..., i + 4], z.imag, atol=1e-5)
  np.testing.assert_array_equal(out[..., turned:], x_BHTK[..., turned:])


def test_positions_count_anew_in_every_segment():
  segment_BT = RANDOM.integers(0, 3, (20, 15)).astype(np.int32)
  segment_BT[0], segment_BT[1, :4], segment_BT[1, 4:] = 1, 0, 1
  expected_BT = np.zeros_like(segment_BT)
  for b, t in np.ndindex(*segment_BT.shape):
    if t and segment_BT[b, t] == segment_BT[b, t - 1]:
      expected_BT[b, t] = expected_BT[b, t - 1] + 1
  ours = layers.position_in_segment(jnp.array(segment_BT))
  assert ours.dtype == jnp.int32
  np.testing.assert_array_equal(ours, expected_BT)


EQUATIONS = {  # every matrix a block multiplies by
  'BTD,HKD->BHTK': ('low_RD', 'high_HKR'),
  'BHTK,DHK->BTD': ('low_RHK', 'high_DR'),
  'BTD,FD->BTF': ('low_RD', 'high_FR'),
  'BTF,DF->BTD': ('low_RF', 'high_DR'),
}
SIZE = dict(B=2, T=3, H=4, K=5, D=6, F=7, R=2)


@pytest.mark.parametrize('where', ['cpu', 'tpu'])
@pytest.mark.parametrize('T', [3, 1])
@pytest.mark.parametrize('equation', EQUATIONS)
def test_dot_is_einsum_with_or_without_an_adapter(equation, T, where, monkeypatch):
  monkeypatch.setattr(layers, 'platform', lambda: where)
  sizes = SIZE | dict(T=T)

  def draw(letters):
    return normal(*(sizes[letter] for letter in letters))

  of_x, of_w = equation.split('->')[0].split(',')
  x, w = draw(of_x), draw(of_w)
  np.testing.assert_allclose(layers.dot(equation, x, w), np.einsum(equation, x, w), atol=1e-5)

  low, high = EQUATIONS[equation]
  factors = {name: draw(name.split('_')[1]) for name in (low, high)}
  letters = f'{high.split("_")[1]},{low.split("_")[1]}->{of_w}'
  merged = w + 0.5 * np.einsum(letters, factors[high], factors[low])
  ours = layers.dot(equation, x, Adapted(w, factors, 0.5))
  np.testing.assert_allclose(ours, np.einsum(equation, x, merged), atol=1e-5)


PRODUCTS = [  # equation, w
  ('BTD,FD->BTF', (40, 24)),
  ('BTD,HKD->BHTK', (2, 8, 24)),
  ('BHTK,DHK->BTD', (24, 2, 8)),
  ('BTD,HKD->BHTK', (2, layers.LANES, 24)),
]


@pytest.mark.parametrize('outputs, cut', [(8, False), (128, True), (1024, False)])
def test_a_weight_of_middle_size_is_multiplied_some_rows_at_a_time(outputs, cut):
  """512 rows on a CPU: a small weight is in the cache either way, with a huge one it costs more."""
  x, w = jnp.zeros((1, 512, 512)), jnp.zeros((outputs, 512))
  made = str(jax.make_jaxpr(functools.partial(layers.dot, 'BTD,FD->BTF'))(x, w))
  assert ('scan' in made) == cut


@pytest.mark.parametrize('equation, shape', PRODUCTS, ids=str)
@pytest.mark.parametrize('where, T', [('cpu', 150), ('cpu', 257), ('tpu', 32)])
@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16], ids=['fp32', 'bf16'])
def test_value_and_gradient_of_dot(equation, shape, where, T, dtype, monkeypatch):
  """They are the plain einsum's, in its types: on a CPU 150 rows part by part and 257 whole, and
  the way a TPU takes."""
  monkeypatch.setattr(layers, 'LARGE', 0)
  monkeypatch.setattr(layers, 'platform', lambda: where)
  of_x, of_w = equation.split('->')[0].split(',')
  sizes = dict(zip(of_w, shape)) | dict(B=4, T=T)
  x, w = (jnp.array(normal(*s), dtype) for s in ([sizes[letter] for letter in of_x], shape))
  y = jnp.einsum(equation, x, w)
  weight = jnp.cos(jnp.arange(y.size, dtype=jnp.float32)).reshape(y.shape)

  def graded(product):
    def total(x, w):
      y = product(x, w)
      return (y.astype(jnp.float32) * weight).sum(), y

    grads, out = jax.jit(jax.grad(total, (0, 1), has_aux=True))(x, w)
    return out, *grads

  plain = graded(lambda x, w: jnp.einsum(equation, x, w))
  for ours, theirs in zip(graded(lambda x, w: layers.dot(equation, x, w)), plain):
    assert ours.dtype == theirs.dtype
    ours, theirs = (np.asarray(a, np.float32) for a in (ours, theirs))
    close = 1e-5 if dtype == jnp.float32 else 2e-2
    np.testing.assert_allclose(ours, theirs, atol=close * np.abs(theirs).max())


@pytest.mark.parametrize('where', ['cpu', 'tpu'])
@pytest.mark.parametrize('equation', EQUATIONS)
def test_a_token_at_a_time_moves_and_no_weight_is_gathered(equation, where, monkeypatch):
  monkeypatch.setattr(layers, 'platform', lambda: where)
  of_x, of_w = equation.split('->')[0].split(',')

  def mapped(T):
    sizes = SIZE | dict(B=8, T=T)
    x, w = (jnp.zeros([sizes[letter] for letter in letters]) for letters in (of_x, of_w))
    return 'shard_map' in str(jax.make_jaxpr(lambda x, w: layers.dot(equation, x, w))(x, w))

  with jax.set_mesh(make_mesh(fsdp=8)):
    assert not mapped(1) and mapped(3)


def test_parts_are_equal_and_not_small():
  assert [layers._parts(n) for n in (1, 256, 600, 1008, 2048)] == [1, 1, 3, 4, 8]
  assert layers._parts(1021) == 1  # a prime: whole


@pytest.mark.parametrize('outputs, inputs', [(24, 8), (8, 24)])
def test_a_weight_s_gradient_whichever_side_is_wider(outputs, inputs, monkeypatch):
  monkeypatch.setattr(layers, 'LARGE', 0)
  dy_no, x_ni = normal(40, outputs), normal(40, inputs)
  lowered = jax.jit(layers.of_weight).lower(dy_no, x_ni)
  assert ('optimization_barrier' in lowered.as_text()) == (outputs > inputs)
  wanted = dy_no.astype(np.float64).T @ x_ni
  np.testing.assert_allclose(lowered.compile()(dy_no, x_ni), wanted, rtol=1e-5, atol=1e-5)


def test_for_an_adapter_s_gradient_a_cpu_turns_its_small_factor():
  x, w, low, high = normal(1, 96, 64), normal(320, 64), normal(4, 64), normal(320, 4)

  def total(x, low, high):
    adapted = Adapted(w, dict(low_RD=low, high_FR=high), 0.5)
    return jnp.sin(layers.dot('BTD,FD->BTF', x, adapted)).sum()

  run = jax.jit(jax.grad(total, (0, 1, 2))).lower(x, low, high).compile()
  assert 'f32[320,96]' not in run.as_text()
  thin, slope = 0.5 * x[0] @ low.T, np.cos(x[0] @ w.T + 0.5 * x[0] @ low.T @ high.T)
  wanted = slope @ (w + 0.5 * high @ low), 0.5 * high.T @ slope.T @ x[0], slope.T @ thin
  for ours, theirs in zip(run(x, low, high), wanted):
    np.testing.assert_allclose(ours.reshape(theirs.shape), theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('T, barriers', [(3, 3), (1, 1)])
def test_what_a_tpu_makes_once_changes_no_value_and_no_gradient(T, barriers, monkeypatch):
  """A norm's result, its gradient and SwiGLU's; a token at a time only the last."""
  given = [jnp.array(normal(*shape)) for shape in ((2, T, 8), (8,), (2, T, 8))]

  def loss(x_BTD, scale_D, up_BTD):
    h_BTD = layers.apart(layers.rms_norm(x_BTD, scale_D, 1e-2))
    return (layers.swiglu(h_BTD, up_BTD) ** 2).sum()

  def graded(where):
    monkeypatch.setattr(layers, 'platform', lambda: where)
    jax.clear_caches()  # of what was traced for the other
    run = jax.value_and_grad(lambda *given: loss(*given), (0, 1, 2))
    return run(*given), str(jax.make_jaxpr(run)(*given)).count('optimization_barrier')

  (plain, none), (made, some) = graded('cpu'), graded('tpu')
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), plain, made)
  assert none == 0 and some == barriers
