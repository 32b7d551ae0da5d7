"""Eight fake CPU devices, and where the shared data lies.

No persistent compilation cache: a fresh checkout would gain nothing, and a cached executable could
hide what a test is there to see. Whoever reruns much can set JAX_COMPILATION_CACHE_DIR.
"""

import os
import pathlib

import pytest

# Before jax is imported, and only where the caller has not chosen otherwise.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ.setdefault('HF_HUB_OFFLINE', '1')  # a test that reaches for the network fails at once
if 'xla_force_host_platform_device_count' not in os.environ.get('XLA_FLAGS', ''):
  flags = os.environ.get('XLA_FLAGS', '') + ' --xla_force_host_platform_device_count=8'
  os.environ['XLA_FLAGS'] = flags.strip()

SHARED = pathlib.Path(__file__).resolve().parents[1] / '../shared/data'


@pytest.fixture(scope='session')
def shared():
  """shared('hh-rlhf/...') is a path in the shared data; where absent, it skips by that name."""

  def find(name):
    path = SHARED / name
    if not path.exists():
      pytest.skip(f'shared data {name} is not beside this checkout')
    return path

  return find


@pytest.fixture
def bucket():
  """gs://bucket in fsspec's memory filesystem: the code path of a remote place, not its network."""
  import fsspec
  from etils.epath import backend
  from fsspec.implementations.memory import MemoryFileSystem
  from fsspec.registry import _registry

  class Bucket(MemoryFileSystem):
    protocol = ('gs', 'gcs')
    store = {}
    pseudo_dirs = ['']

    @classmethod
    def _strip_protocol(cls, path):
      return '/' + path.removeprefix('gs://').strip('/')

  fsspec.register_implementation('gcs', Bucket, clobber=True)
  backend.fsspec_backend._get_filesystem.cache_clear()
  yield 'gs://bucket'
  _registry.pop('gcs')
  backend.fsspec_backend._get_filesystem.cache_clear()
