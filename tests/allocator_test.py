"""Large arrays lie in memory the process already has; where accelerators are, nothing changes."""

import glob
import platform
import subprocess
import sys

import pytest

from jaxalign import allocator

FAULTS = """
import resource
import numpy as np
from jaxalign import allocator
if {keep}: assert allocator.keep_freed()
np.ones(2**24).sum()  # 128 MiB: taken, cleared by the kernel, freed
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(2**24).sum()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='glibc only')
def test_what_was_freed_is_used_again(monkeypatch):
  if any(glob.glob(path) for path in allocator.ACCELERATORS):
    pytest.skip('this machine has an accelerator: nothing is changed')
  run = lambda keep: subprocess.run(
    [sys.executable, '-c', FAULTS.format(keep=keep)], capture_output=True, text=True, check=True
  )
  faults, kept = (int(run(keep).stdout) for keep in (False, True))
  assert kept < 16 and (faults > 4 * kept + 32)


GIVEN_BACK = """
import ctypes
from jaxalign import allocator
assert allocator.keep_freed()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.sbrk.restype = ctypes.c_void_p
libc.malloc.argtypes = libc.sbrk.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
taken = libc.malloc(5 * 2**29)  # 2.5 GiB, of which no page is touched
ends = libc.sbrk(0)
libc.free(taken)
print(ends - libc.sbrk(0))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='glibc only')
def test_more_than_two_gib_stay_too():
  """The temporaries of a step of a 135 M model: once given back each time, as a limit is an int."""
  if any(glob.glob(path) for path in allocator.ACCELERATORS):
    pytest.skip('this machine has an accelerator: nothing is changed')
  run = [sys.executable, '-c', GIVEN_BACK]
  assert int(subprocess.run(run, capture_output=True, text=True, check=True).stdout) == 0


def test_an_accelerators_host_is_left_alone(monkeypatch, tmp_path):
  (tmp_path / 'accel0').touch()
  monkeypatch.setattr(allocator, 'ACCELERATORS', (str(tmp_path / 'accel*'),))
  monkeypatch.setattr(allocator.ctypes, 'CDLL', lambda _: pytest.fail('must not be asked'))
  assert not allocator.keep_freed()
