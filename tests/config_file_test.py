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
  ],
)
def test_a_name_that_is_not_there_has_neighbours(spec, says, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'mine.py').write_text('')
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
assert str(config_file.SHIPPED) == f'{site}/jaxalign/shipped/configs', config_file.SHIPPED
assert config_file.load('mine.py').steps == 3
for name in [name for name in sys.modules if name.partition('.')[0] == 'configs']:
  del sys.modules[name]
sys.path.insert(0, here)
assert config_file.load('explain_smollm2:smoke').steps > 3
assert sys.modules['configs.explain_llama2_7b'].__file__.startswith(site)
assert f'{site}/jaxalign' not in sys.path
"""
MINE = """
from configs import explain_smollm2


def get_config():
  cfg = explain_smollm2.get_config('smoke')
  cfg.steps = 3
  return cfg
"""


def test_where_the_package_alone_is_installed_a_name_is_found(tmp_path):
  """In a directory with a package of somebody else that is called configs, too."""
  site, here = tmp_path / 'site', tmp_path / 'here'
  skip = shutil.ignore_patterns('__pycache__', 'corpus')
  shutil.copytree(ROOT / 'jaxalign', site / 'jaxalign', ignore=skip)
  (here / 'configs').mkdir(parents=True)
  (here / 'configs' / '__init__.py').write_text('')
  (here / 'mine.py').write_text(MINE)
  command = [sys.executable, '-P', '-c', INSTALLED, str(site), str(here)]
  done = subprocess.run(command, cwd=here, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
