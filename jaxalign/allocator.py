"""Freed memory stays with the process, where XLA computes on this machine's own cores.

XLA takes the memory of every step anew. Above 32 MiB glibc asks the kernel for it and gives it back
each time, and the kernel clears it page by page: a quarter of a tiny model's step.
"""

import ctypes
import glob
import platform

ACCELERATORS = '/dev/accel*', '/dev/vfio/[0-9]*', '/dev/nvidia[0-9]*'
# Of glibc's mallopt: nothing by mmap, nothing trimmed (-1: a number could be 2 GiB at most), one
# arena (the others can only mmap).
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


def keep_freed() -> bool:
  """Before jax touches a device: threads choose their arena once. True where it is done."""
  if platform.libc_ver()[0] != 'glibc' or any(glob.glob(path) for path in ACCELERATORS):
    return False
  mallopt = ctypes.CDLL(None).mallopt
  settings = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: -1, _M_ARENA_MAX: 1}
  return all(mallopt(option, value) for option, value in settings.items())
