"""Headers that lie, and files that another library must read."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors
import safetensors.numpy

from jaxalign.config import UserError
from jaxalign.models import tensor_files


def write_raw(path, entries, data=b'', length=None):
  text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
  path.write_bytes((len(text) if length is None else length).to_bytes(8, 'little') + text + data)
  return path


def entry(dtype='F32', shape=(2,), start=0, stop=8):
  return dict(dtype=dtype, shape=list(shape), data_offsets=[start, stop])


@pytest.mark.parametrize('dtype', ['float32', 'float16', 'bfloat16', 'float64'])
def test_the_safetensors_library_reads_what_we_write(tmp_path, dtype):
  draw, sizes = np.random.default_rng(0).standard_normal, {'a': (3, 5), 'b.c': 1, 'none': (0, 4)}
  arrays = {name: draw(size).astype(jnp.dtype(dtype)) for name, size in sizes.items()}
  shapes = {name: (a.dtype, a.shape) for name, a in arrays.items()}
  tensor_files.write(tmp_path / 'x.safetensors', shapes, iter(arrays.values()))
  theirs = safetensors.numpy.load_file(tmp_path / 'x.safetensors')
  assert theirs.keys() == arrays.keys()
  for name, array in arrays.items():
    assert theirs[name].dtype == array.dtype and theirs[name].shape == array.shape
    assert theirs[name].tobytes() == array.tobytes()


def test_the_header_is_what_the_library_wrote(tmp_path):
  arrays = {'a': np.ones((3, 5), 'f4'), 'b': np.zeros((2,), 'f2')}
  safetensors.numpy.save_file(arrays, tmp_path / 'x.safetensors')
  raw = (tmp_path / 'x.safetensors').read_bytes()
  for name, stored in tensor_files.header(tmp_path / 'x.safetensors').items():
    assert raw[stored.start : stored.start + stored.nbytes] == arrays[name].tobytes()
    assert stored.flaw is None


CORRUPT = [b'', b'{"a": ', b'[1, 2]', b'{"a": 3}', b'\xff\xfe{}', b'[' * 100_000]
CORRUPT += [b'{"a": %s, "a": %s}' % ((json.dumps(entry()).encode(),) * 2)]
WRONG = [entry(stop='8'), entry(shape=(-2,)), entry(shape=(True, 2)), entry(dtype=['F32'])]
WRONG += [dict(entry(), data_offsets=[0, 4, 8])]
CASES = [(text, None) for text in CORRUPT] + [({'a': wrong}, None) for wrong in WRONG]
CASES += [({'a': entry()}, length) for length in (10**15, 20, 200 << 20)]


@pytest.mark.parametrize('entries, length', CASES)
def test_a_corrupt_header_is_one_line_naming_the_file(tmp_path, entries, length):
  file = write_raw(tmp_path / 'x.safetensors', entries, bytes(8), length)
  with pytest.raises(UserError, match='x.safetensors') as error:
    tensor_files.header(file)
  assert '\n' not in str(error.value)


@pytest.mark.parametrize('size', [0, 7])
def test_a_file_without_even_a_length(tmp_path, size):
  (tmp_path / 'x.safetensors').write_bytes(bytes(size))
  with pytest.raises(UserError, match=f'{size} bytes'):
    tensor_files.header(tmp_path / 'x.safetensors')


def test_flaws_are_kept_for_one_message(tmp_path):
  entries = {
    '__metadata__': {'format': 'pt'},
    'good': entry(),
    'int8': entry('I8', (8,), 8, 16),
    'long': entry(shape=(3,), start=16, stop=24),
    'over': entry(start=4, stop=12),
    'past': entry(start=24, stop=32),
    'back': entry(start=8, stop=0),
  }
  stored = tensor_files.header(write_raw(tmp_path / 'x.safetensors', entries, bytes(24)))
  assert stored['good'].flaw is None
  wanted = dict(int8='type I8', long='do not make', over='on the bytes of good', past='cut off')
  for name, words in (wanted | dict(back='-8')).items():
    assert words in stored[name].flaw, name


def index(path, weight_map):
  (path / 'model.safetensors.index.json').write_text(json.dumps(dict(weight_map=weight_map)))


OUTSIDE = ['../x.safetensors', '/etc/x.safetensors', 'a/b.safetensors', 'a\\b.safetensors', '']
OUTSIDE += ['..', 'pytorch_model.bin', 'x\0.safetensors', 'x.safetensors\n']


@pytest.mark.parametrize('file', OUTSIDE)
def test_an_index_stays_in_its_directory(tmp_path, file):
  inside = tmp_path / 'inside'
  inside.mkdir()
  write_raw(tmp_path / 'x.safetensors', {'a': entry()}, bytes(8))
  index(inside, {'a': file})
  with pytest.raises(UserError, match='outside its directory') as error:
    tensor_files.directory(inside)
  assert '\n' not in str(error.value)


@pytest.mark.parametrize(
  'text', ['', '{', '[]', '{}', '{"weight_map": 3}', '{"weight_map": {"a": 1}}']
)
def test_a_corrupt_index(tmp_path, text):
  (tmp_path / 'model.safetensors.index.json').write_text(text)
  with pytest.raises(UserError, match='index.json(: its weight_map is corrupt| cannot be read)'):
    tensor_files.directory(tmp_path)


def test_an_index_against_its_files(tmp_path):
  index(tmp_path, {'a': 'x.safetensors', 'b': 'x.safetensors'})
  with pytest.raises(UserError, match='not there: x.safetensors'):
    tensor_files.directory(tmp_path)
  write_raw(tmp_path / 'x.safetensors', {'a': entry(), 'c': entry(start=8, stop=16)}, bytes(16))
  stored = tensor_files.directory(tmp_path)
  assert stored['a'].flaw is None
  assert 'not in x.safetensors' in stored['b'].flaw
  assert 'c' in stored  # which no model asks for, and the comparison names


def test_the_single_file_comes_before_an_index_as_in_transformers(tmp_path):
  index(tmp_path, {'a': 'x.safetensors'})
  write_raw(tmp_path / 'model.safetensors', {'b': entry()}, bytes(8))
  assert list(tensor_files.directory(tmp_path)) == ['b']


def test_names_that_differ_in_the_layer_are_one_entry():
  names = [f'model.layers.{n}.up.weight' for n in (0, 1, 2, 5)] + ['lm_head.weight', 'layers.3.w']
  assert tensor_files.some(names) == 'model.layers.{0-2,5}.up.weight, lm_head.weight, layers.3.w'
  assert tensor_files.some(['a\nb']) == 'a b'
