"""A disk that is full, or that lets no file grow: one line, and what was saved before is whole."""

import contextlib
import errno
import os
import resource
import shutil
import subprocess

import pytest

from jaxalign.config import Saving, UserError
from jaxalign.train import saving
from jaxalign.train.saving import Saves
from tests.train import problem, running
from tests.train.saving_test import restored, twin_on


@pytest.fixture
def small_disk(tmp_path):
  """A file system of 1 MiB; needs root."""
  place = tmp_path / 'disk'
  place.mkdir()
  mount = ['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', str(place)]
  if shutil.which('mount') is None or subprocess.run(mount, capture_output=True).returncode:
    pytest.skip('mounting a small tmpfs needs root')
  yield place
  subprocess.run(['umount', '-l', str(place)], check=True)


@contextlib.contextmanager
def files_of_at_most(size):
  """As `ulimit -f` has it: whoever writes more gets EFBIG, as from a full disk ENOSPC."""
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
  try:
    yield
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_checkpoint_that_cannot_be_written_is_one_line_and_the_one_before_is_whole(tmp_path):
  """The same of a whole run and a full disk is a campaign, below."""
  mesh, _, state, step, feed = problem.begin((1, 1, 1))
  says = r'a checkpoint could not be written under .*those before it are whole'
  with Saves(tmp_path, Saving(keep=9)) as saves:
    saves.save(state)
    saves.wait()
    later, _ = problem.advance(mesh, state, step, feed, 0, 2)
    with pytest.raises(UserError, match=says) as error, files_of_at_most(200):
      saves.save(later)
      saves.wait()
    assert '\n' not in str(error.value)
  got = restored(tmp_path, twin_on(1, 1, 1)[1])
  assert got.step == 0 and saving.newest(tmp_path) == 0


@pytest.mark.parametrize('code, says', [(errno.ENOSPC, 'No space left'), (errno.EIO, 'OSError')])
def test_why_a_checkpoint_could_not_be_written(code, says):
  with pytest.raises(UserError, match=f'could not be written under here .{says}'):
    with saving._blame('here'):
      raise OSError(code, os.strerror(code))


@pytest.mark.campaign
def test_a_run_on_a_full_disk_ends_with_one_line_and_goes_on_when_there_is_room(
  small_disk, tmp_path, cache
):
  """About eight checkpoints of this model fit, and all are to be kept."""
  command = running.command(small_disk, steps=40, saving_every=1, saving_keep=100)
  status, said = running.finish(running.start(command, cache))
  errors = [line for line in said.splitlines() if line.strip().startswith('error: ')]
  assert status == 2 and len(errors) == 1, said
  assert errors[0].strip().startswith('error: a checkpoint could not be written under'), said
  assert 'Traceback' not in said, said  # nor those that tensorstore's threads had to say
  shutil.copytree(small_disk, tmp_path / 'roomy')
  got = saving.newest(tmp_path / 'roomy')
  assert got > 1
  command = running.command(tmp_path / 'roomy', steps=40, saving_every=1, saving_keep=2)
  said = running.run(command, cache)
  assert 'damaged' not in said and len(running.metrics(tmp_path / 'roomy')) == 40
