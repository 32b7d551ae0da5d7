"""What cuDNN is told of packed rows, against the rule of segments; its results, where a GPU is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxalign.models import attention, cudnn

T = 12
ROWS = {  # a row, and whether its runs say all
  'one document': ([1] * T, True),
  'all padding': ([0] * T, True),
  'packed': ([1] * 3 + [2] * 4 + [3] * 5, True),
  'padding on either side': ([0] * 2 + [1] * 7 + [0] * 3, True),
  'padding between': ([1] * 3 + [0] * 2 + [2] * 3 + [0] * 2 + [3] * 2, True),
  'other numbers': ([7] * 5 + [3] * 7, True),
  'a document in pieces': ([1] * 3 + [0] * 4 + [1] * 5, False),
  'two documents in turn': ([1] * 3 + [2] * 3 + [1] * 3 + [2] * 3, False),
  'as many as told': ([1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5, 5], True),
  'one more': ([1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6], False),
  'each token its own': (range(1, T + 1), False),
}
MOST = 5
TOLD = [name for name, (_, told) in ROWS.items() if told]


def array(*rows):
  return jnp.array([list(row) for row in rows], jnp.int32)


def seen(begin_M, length_M):
  """[T,T]: what a kernel lets a query see that goes from run to run."""
  mask_TT = np.zeros((T, T), bool)
  for begin, length in zip(np.asarray(begin_M), np.asarray(length_M)):
    for t in range(begin, begin + length if begin >= 0 else begin):
      mask_TT[t, begin : t + 1] = True
  return mask_TT


@pytest.mark.parametrize('name', ROWS)
def test_places_say_what_segments_say(name):
  row, told = ROWS[name]
  segment_BT = array(row)
  found = jax.jit(cudnn.places, static_argnums=1)(segment_BT, MOST)
  assert bool(found.told) == told
  assert bool(found.whole) == (len(set(row)) == 1)
  rule_TT = attention.visible(T, T, segment_BT, segment_BT)[0]
  ours_TT = seen(found.begin_BM[0], found.length_BM[0])
  needed_T = np.array([id != 0 for id in row])  # nothing reads what padding sees
  same = (ours_TT == rule_TT)[needed_T].all()
  assert same == told
  if told:
    assert ours_TT.any(1).all()  # every query sees something: no slot is left unwritten


def test_one_row_of_many_decides_for_all():
  rows = [ROWS[name][0] for name in TOLD]
  assert bool(cudnn.places(array(*rows), MOST).told)
  assert not bool(cudnn.places(array(*rows, ROWS['one more'][0]), MOST).told)
  assert not bool(cudnn.places(array([1] * T, ROWS['packed'][0]), MOST).whole)


def test_runs_come_first_and_none_follows():
  """As the kernel wants it: lengths and places to the left, -1 for runs that are not there."""
  found = cudnn.places(array(ROWS['packed'][0]), MOST)
  assert found.begin_BM.tolist() == [[0, 3, 7, -1, -1]]
  assert found.length_BM.tolist() == [[3, 4, 5, -1, -1]]
  assert found.begin_BM.dtype == found.length_BM.dtype == jnp.int32


def test_what_cannot_be_placed_goes_by_the_mask():
  q, k = (jax.ShapeDtypeStruct((2, heads, T, 8), jnp.bfloat16) for heads in (4, 2))
  assert cudnn._can_place(q, q)
  assert cudnn._can_place(q, k) == (jax.__version_info__ >= (0, 11, 2))
  assert not cudnn._can_place(jax.ShapeDtypeStruct((2**11, 2**10, 2**4, 2**6), jnp.bfloat16), q)


@pytest.mark.skipif(jax.default_backend() != 'gpu', reason='needs an NVIDIA GPU')
@pytest.mark.parametrize('heads', [(4, 4), (4, 2)], ids=['all', 'grouped'])
@pytest.mark.parametrize('names', [['one document'], TOLD, list(ROWS)], ids=['0', '1', '2'])
def test_cudnn_is_xla(names, heads):
  """Values and gradients, each way of `packed`: on a GPU, with JAX_PLATFORMS=cuda."""
  segment_BT = jnp.repeat(array(*(ROWS[name][0] for name in names)), 16, axis=1)
  B, length = segment_BT.shape
  keys = jax.random.split(jax.random.key(0), 4)
  sizes = (heads[0], heads[1], heads[1], heads[0])
  q, k, v, w = (
    jax.random.normal(key, (B, n, length, 64), jnp.bfloat16) for key, n in zip(keys, sizes)
  )
  w *= (segment_BT != 0)[:, None, :, None]

  def run(impl):
    def total(q, k, v):
      out = attention.attend(q, k, v, segment_BT=segment_BT, impl=impl)
      return (out.astype(jnp.float32) * w).sum(), out * (segment_BT != 0)[:, None, :, None]

    return jax.jit(jax.grad(total, (0, 1, 2), has_aux=True))(q, k, v)

  for impl in ('cudnn', 'cudnn_packed'):
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a.astype(float), b.astype(float), atol=0.03),
      run(impl),
      run('xla'),
    )
