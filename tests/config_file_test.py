"""Configs that ship are found by name, in a checkout and where only the package is installed."""

import pathlib
import shutil
import subprocess
import sys

import pytest

from jaxalign import config_file
from jaxalign.config import UserError

ROOT = pathlib.Path(__file__).resolve().parents[1]


def test_a_name_is_the_file_of_the_checkout():
  assert config_file.SHIPPED == ROOT / 'configs'
  there = sorted(path for path in (ROOT / 'configs').glob('*.py') if path.stem != '__init__')
  assert list(config_file.shipped().values()) == there
  assert config_file.load('sft_llama2_7b:smoke') == config_file.load(
    f'{ROOT}/configs/sft_llama2_7b.py:smoke'
  )


@pytest.mark.parametrize(
  'spec, says',
  [
    ('sft_llama2', 'nearest: sft_llama2_7b, '),
    ('mine', 'nearest: mine.py '),  # a file here, by its whole name
    ('__init__', 'no config that ships is called so'),
    ('', 'no config that ships is called so'),
    ('sft_phi2.py', 'no config file sft_phi2.py; nearest: sft_phi2'),
    ('configs/sft_phi', 'no config file configs/sft_phi'),
    ('mine_.py', 'no config file mine_.py; nearest: mine.py'),  # which no folder is
  ],
)
def test_a_name_that_is_not_there_has_neighbours(spec, says, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'mine.py').write_text('')
  (tmp_path / 'mine_.py').mkdir()
  with pytest.raises(UserError) as error:
    config_file.load(spec)
  assert says in str(error.value)


def test_what_setuptools_packs_has_the_configs():
  discovery = pytest.importorskip('setuptools.discovery')
  packed = discovery.PEP420PackageFinder.find(str(ROOT), include=['jaxalign*'])
  rooms = {path.parent.relative_to(ROOT) for path in (ROOT / 'configs').rglob('*.py')}
  assert {'jaxalign.shipped.' + '.'.join(room.parts) for room in rooms} <= set(packed)


INSTALLED = """
import sys
site, here = sys.argv[1:]
sys.path.insert(0, site)
from jaxalign import config_file
assert config_file.load('mine.py').lr == 3.0
for name in [name for name in sys.modules if name.partition('.')[0] == 'configs']:
  del sys.modules[name]
sys.path.insert(0, here)
assert config_file.load('adam_small').lr == 2.0
assert sys.modules['configs.adam'].__file__.startswith(site)
assert f'{site}/jaxalign' not in sys.path
print(config_file.SHIPPED)
"""
SMALL = 'from configs import adam\n\n\ndef get_config():\n  return adam.get_config(lr=2.0)\n'
ADAM = """
from jaxalign.config import AdamW


def get_config(lr=1.0):
  return AdamW(lr=lr)
"""


@pytest.mark.parametrize('place', ['jaxalign/shipped/configs', 'configs'])
def test_where_there_is_no_checkout_a_name_is_found(place, tmp_path):
  """In a wheel, and in a copy of a checkout that has no links, as a pod's; also in a directory with
  a package of somebody else that is called configs."""
  site, here = tmp_path / 'site', tmp_path / 'here'
  (site / 'jaxalign').mkdir(parents=True)
  for path in (ROOT / 'jaxalign').glob('*.py'):
    shutil.copy(path, site / 'jaxalign')
  shipped = dict(__init__='', adam=ADAM, adam_small=SMALL)
  for folder, files in ((here / 'configs', dict(__init__='')), (site / place, shipped)):
    folder.mkdir(parents=True)
    for name, text in files.items():
      (folder / f'{name}.py').write_text(text)
  (here / 'mine.py').write_text(SMALL.replace('2.0', '3.0'))
  command = [sys.executable, '-I', '-c', INSTALLED, str(site), str(here)]
  done = subprocess.run(command, cwd=here, capture_output=True, text=True)
  assert (done.returncode, done.stdout) == (0, f'{site / place}\n'), done.stderr
