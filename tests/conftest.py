"""Eight fake CPU devices, how programs are compiled, the order of files, and the shared data.

Programs are compiled without most of XLA's optimizations, which take more time than they save where
everything is tiny: what is tested here does not depend on them. Where it does, a file says
`pytestmark = pytest.mark.usefixtures('optimized')`. On jax 0.10, which Python 3.11 gets, XLA's new
fusion emitters are left out as well: they take two thirds of what compiling then costs. The newest
jax knows no other way; and children that are given XLA_FLAGS of their own compile as users do. All
of a program is compiled in one piece.

A run's cache of compiled programs is one of the session, never the user's: what is tested is this
code, not what an earlier one compiled. Children, who run the same programs again, share it.
"""

import gc
import os
import pathlib
import random
import sys

import pytest

from jaxalign.sharding import meshes
from tests.train import running  # no jax

# Before jax is imported, and only where the caller has not chosen otherwise.
os.environ.setdefault('JAX_PLATFORMS', 'cpu')
os.environ.setdefault('HF_HUB_OFFLINE', '1')  # a test that reaches for the network fails at once
if 'xla_force_host_platform_device_count' not in os.environ.get('XLA_FLAGS', ''):
  flags = os.environ.get('XLA_FLAGS', '') + ' --xla_force_host_platform_device_count=8'
  os.environ['XLA_FLAGS'] = f'{flags} {running.PATIENT} {running.QUICK}'.strip()

TESTS = pathlib.Path(__file__).resolve().parent
SHARED = TESTS / '../../shared/data'
# Made once a machine, by .ci/smollm2.py; before `cache` below moves the user's caches.
SMOLLM2 = pathlib.Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache') / 'jaxalign/smollm2'

_MOST_MAPPINGS = 5_000

# The longest files, longest first: the rest fills what is left, and all workers end together.
LONGEST = (
  'resume_test.py',
  'study/rl_test.py',
  'study/texts/whole_test.py',
  'study/run/runner_test.py',
  'stages/evaluate_test.py',
  'benchmarks/gpu_test.py',
  'launch/rehearse_chain_test.py',
  'ppo_resume_test.py',
  'pairs_resume_test.py',
  'launch/pod_test.py',
  'launch/follow_test.py',
  'configs_test.py',
  'stages/ppo_vader_test.py',
  'rl/improve_test.py',
  'stages/ppo_test.py',
  'rl/players_test.py',
  'stages/ppo_turn_test.py',
  'launch/rehearse_test.py',
  'stages/doctors/ppo_rehearsal_test.py',
  'stages/reward_test.py',
  'stages/dpo_test.py',
)


def pytest_addoption(parser):
  parser.addoption('--shuffle', type=int, help='a seed for the order of files and their tests')


def pytest_collection_modifyitems(config, items):
  rank = {name: n for n, name in enumerate(LONGEST)}
  items.sort(key=lambda item: rank.get(str(item.path.relative_to(TESTS)), len(rank)))
  seed = config.getoption('--shuffle')
  if seed is not None:
    chance = lambda name: random.Random(f'{seed} {name}').random()
    items.sort(key=lambda item: (chance(item.path), chance(item.nodeid)))


def pytest_configure():
  optimizations(False)
  gc.set_threshold(100_000, 50, 100)  # looking for cycles among millions of objects took a tenth


def optimizations(on):
  import jax

  jax.config.update('jax_disable_most_optimizations', not on)


@pytest.fixture(scope='module', autouse=True)
def programs_let_go():
  """After a file, where many programs are held. Of a session's thousands each keeps memory and some
  mappings of it; a worker that had 12,000 of these once died in XLA's compiler.

  What earlier files left is put aside: each evaluation collects its garbage twice, and to look
  through half a million old objects took half of the time of its tests."""
  gc.collect()  # of what is new since the last file, or garbage would be put aside too
  gc.freeze()
  yield
  if 'jax' in sys.modules and _mappings() > _MOST_MAPPINGS:
    sys.modules['jax'].clear_caches()
    gc.unfreeze()
    gc.collect()


def _mappings():
  """Of this process; 0 where the system does not tell."""
  try:
    with open('/proc/self/maps', 'rb') as file:
      return sum(1 for _ in file)
  except OSError:
    return 0


@pytest.fixture(scope='module')
def optimized():
  """As users compile, for a whole file."""
  optimizations(True)
  yield
  optimizations(False)


@pytest.fixture(scope='module')
def one_device():
  """A laptop's one device, not the suite's eight, for a whole file whose subject is not the mesh:
  programs for eight take twice as long, and their threads wait for one another."""
  import jax

  from jaxalign.stages import bon, evaluate, ppo, training

  one = lambda *_, **__: meshes.make_mesh(1, 1, 1, devices=jax.devices()[:1])
  with pytest.MonkeyPatch.context() as patch:
    for stage in (training, ppo, bon, evaluate):
      patch.setattr(stage, 'make_mesh', one)
    yield


@pytest.fixture(scope='session', autouse=True)
def cache(tmp_path_factory):
  """A pathlib.Path: where runs keep compiled programs, one place for all workers of a session."""
  place = tmp_path_factory.getbasetemp()
  if 'PYTEST_XDIST_WORKER' in os.environ:
    place = place.parent  # of all workers
  (place / 'compiled').mkdir(exist_ok=True)
  os.environ['XDG_CACHE_HOME'] = str(place / 'user')
  return place / 'compiled'


@pytest.fixture(scope='session')
def shared():
  """shared('hh-rlhf/...') is a path in the shared data; where absent, it skips by that name."""

  def find(name):
    path = SHARED / name
    if not path.exists():
      pytest.skip(f'shared data {name} is not beside this checkout')
    return path

  return find


@pytest.fixture(scope='session')
def smollm2():
  """The directory of SmolLM2-135M-Instruct (Q4_1); where it was not made, it skips by that name."""
  place = SMOLLM2.expanduser()
  if not (place / 'config.json').exists():
    pytest.skip(f'SmolLM2 is not here: .venv/bin/python .ci/smollm2.py {SMOLLM2}')
  return place


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
