"""What is sent, and what is installed by."""

import re
import subprocess
import tarfile

import pytest

from launch import checkout
from launch.shell import PodError


def test_the_checkout_is_what_git_tracks(tmp_path):

  def git(*words):
    return subprocess.run(['git', '-C', tmp_path, *words], check=True)

  git('init', '-q')
  (tmp_path / 'a.py').write_text('1')
  (tmp_path / 'gone.py').write_text('1')
  git('add', '.')
  (tmp_path / 'gone.py').unlink()
  (tmp_path / 'notes.txt').write_text('mine')
  (tmp_path / 'a.py').write_text('2')
  path, mark = checkout.pack(tmp_path / 'x.tar', tmp_path)
  with tarfile.open(path) as tar:
    assert tar.getnames() == ['a.py'] and tar.extractfile('a.py').read() == b'2'
  assert checkout.pack(tmp_path / 'y.tar', tmp_path)[1] == mark
  (tmp_path / '.env').write_text('HF_TOKEN=x')
  git('add', '-f', '.env')
  with pytest.raises(PodError, match='.env looks like a secret'):
    checkout.tracked(tmp_path)


def test_the_lock_file_names_hashes_and_no_registry():
  text = (checkout.ROOT / 'launch' / 'requirements-tpu.lock').read_text()
  assert '://' not in text and '\njax==' in text and '\nlibtpu==' in text and '\ngcsfs==' in text
  pins = re.findall(r'^[a-z0-9][^ ]*==.*$', text, re.MULTILINE)
  assert len(pins) > 50 and all(line.endswith('\\') for line in pins)
