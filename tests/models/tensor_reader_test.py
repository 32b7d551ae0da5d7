"""Boxes against numpy's own slicing, and what was read to get them."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from jaxalign.models import tensor_files, tensor_reader
from jaxalign.models.tensor_reader import Reader, aligned

SHAPE = (64, 8, 96)  # seen so; stored as [64 * 8, 96]


@pytest.fixture
def stored(tmp_path):
  def make(dtype='float32', change=None):
    array = np.random.default_rng(3).standard_normal((512, 96)).astype(jnp.dtype(dtype))
    if change:
      change(array)
    arrays = {'before': np.ones(3, 'f4'), 'w': array, 'after': np.ones(5, 'f4')}
    safetensors.numpy.save_file(arrays, tmp_path / 'x.safetensors')
    return tensor_files.header(tmp_path / 'x.safetensors')['w'], array.reshape(SHAPE)

  return make


class Counting(Reader):
  """Counts the bytes asked of the file."""

  bytes = 0

  def _read(self, stored, element, out):
    self.bytes += out.nbytes
    super()._read(stored, element, out)


def box(*ends):
  return tuple(slice(*pair) for pair in ends)


BOXES = [
  box((0, 64), (0, 8), (0, 96)),
  box((3, 9), (0, 8), (0, 96)),
  box((3, 9), (2, 4), (0, 96)),
  box((0, 64), (7, 8), (0, 96)),
  box((0, 64), (0, 8), (90, 96)),
  box((63, 64), (7, 8), (95, 96)),
]


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
@pytest.mark.parametrize('chunk', [1, 5000, 1 << 20])
def test_every_box_is_numpys_slice(stored, dtype, chunk, monkeypatch):
  monkeypatch.setattr(tensor_reader, 'CHUNK', chunk)
  where, array = stored(dtype)
  with Reader() as reader:
    for wanted in BOXES:
      out = aligned([s.stop - s.start for s in wanted], dtype)
      assert reader.fill(where, SHAPE, [(wanted, out)]) is False
      assert out.tobytes() == array[wanted].tobytes()


def test_many_boxes_at_once_and_cast(stored):
  where, array = stored()
  halves = [box((0, 64), a, b) for a, b in itertools.product([(0, 4), (4, 8)], [(0, 48), (48, 96)])]
  for dtype in 'float32', 'bfloat16', 'float16':
    wants = [(half, aligned((64, 4, 48), dtype)) for half in halves]
    with Reader() as reader:
      assert not reader.fill(where, SHAPE, wants)
    for half, out in wants:
      assert out.tobytes() == array[half].astype(jnp.dtype(dtype)).tobytes()


def test_only_what_is_needed_is_read(stored):
  where, array = stored()
  with Counting() as reader:
    for wanted in BOXES[:4]:
      reader.bytes = 0
      reader.fill(where, SHAPE, [(wanted, aligned(array[wanted].shape, 'float32'))])
      row = array[0].nbytes  # 3 kB: below a page, so a whole row of the first axis is read
      assert reader.bytes == row * (wanted[0].stop - wanted[0].start)


def test_long_runs_are_read_by_the_run_and_not_by_the_row(tmp_path):
  array = np.random.default_rng(0).standard_normal((4, 3, 2048), 'f4')
  safetensors.numpy.save_file({'w': array}, tmp_path / 'x.safetensors')
  where = tensor_files.header(tmp_path / 'x.safetensors')['w']
  wanted = box((0, 4), (1, 2), (1024, 2048))
  out = aligned((4, 1, 1024), 'float32')
  with Counting() as reader:
    reader.fill(where, array.shape, [(wanted, out)])
  assert reader.bytes == out.nbytes
  assert out.tobytes() == array[wanted].tobytes()


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16', 'float32', 'float64'])
@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf, -np.nan])
@pytest.mark.parametrize('place', [(0, 0), (511, 95), (200, 50)])
def test_one_bad_value_is_seen(stored, dtype, value, place):
  where, _ = stored(dtype, lambda a: a.__setitem__(place, value))
  left, right = (box((0, 64), (0, 8), ends) for ends in ((0, 48), (48, 96)))
  with Reader() as reader:
    for wants in ([BOXES[0]], [left, right]):
      pairs = [(w, aligned([s.stop - s.start for s in w], dtype)) for w in wants]
      assert reader.fill(where, SHAPE, pairs) is True


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16', 'float32'])
def test_the_largest_of_each_type_are_finite(stored, dtype):
  limits = jnp.finfo(dtype)
  values = [limits.max, limits.min, limits.smallest_subnormal, -0.0]
  where, _ = stored(dtype, lambda a: a.__setitem__((0, slice(0, 4)), values))
  with Reader() as reader:
    assert not reader.fill(where, SHAPE, [(BOXES[0], aligned(SHAPE, dtype))])


def test_a_file_cut_while_it_is_read(stored):
  where, _ = stored()
  with open(where.file, 'r+b') as f:
    f.truncate(where.start + 1000)
  with Reader() as reader, pytest.raises(tensor_reader.UserError, match='ended while it was read'):
    reader.fill(where, SHAPE, [(BOXES[0], aligned(SHAPE, 'float32'))])


def test_equal_compares_bits(stored, monkeypatch):
  monkeypatch.setattr(tensor_reader, 'CHUNK', 4096)
  where, array = stored()
  other = array.copy().reshape(512, 96)
  folder = tensor_files.epath.Path(where.file).parent
  safetensors.numpy.save_file({'w': other}, folder / 'same.safetensors')
  other[511, 95] = -other[511, 95]
  safetensors.numpy.save_file({'w': other}, folder / 'other.safetensors')
  same, changed = (tensor_files.header(folder / f'{n}.safetensors')['w'] for n in ('same', 'other'))
  with Reader() as reader:
    assert reader.equal(where, same)
    assert not reader.equal(where, changed)
