"""jaxalign list: the configs that ship, read and not run."""

import os
import subprocess
import sys

import pytest

from jaxalign import config_file, main
from jaxalign.doors import listing

MADE_UP = '''"""SFT: of a model\nthat is made up. And more.

  a command

Cost: :no variant.
:smoke   a tiny one,
         on two lines. Unseen.
:\x1b[31mred  no name of a variant
Expect: nothing.
"""

from typing import Literal

Variant = Literal['', 'smoke', 'bare']


def get_config(variant: Variant = ''):
  raise SystemExit('a file is not run')
'''


def listed(capsys, *args):
  status = main.main(['jaxalign', 'list', *args])
  out, err = capsys.readouterr()
  return status, out.splitlines() if status == 0 else err


@pytest.mark.parametrize('name', config_file.shipped())
def test_the_variants_are_those_that_the_config_takes(name):
  found = listing.read(name, config_file.shipped()[name])
  assert list(found.variants) == config_file.variants(name)
  assert found.variants['smoke'] and found.what


def test_what_a_docstring_says_of_itself_and_of_its_variants(tmp_path):
  (tmp_path / 'sft_mine.py').write_text(MADE_UP)
  found = listing.read('sft_mine', tmp_path / 'sft_mine.py')
  assert found.what == 'SFT: of a model that is made up.'
  assert found.variants == {'smoke': 'a tiny one, on two lines.', 'bare': ''}
  lines = listing.table([found], 30)
  assert lines == ['sft_mine  SFT: of a model tha…', '  :smoke  a tiny one, on two …', '  :bare']


def test_all_are_listed_or_those_that_have_a_word(capsys):
  status, lines = listed(capsys)
  names = [line.split()[0] for line in lines if not line.startswith(' ')]
  assert status == 0 and names == list(config_file.shipped())
  status, lines = listed(capsys, 'VALUEWORLD')
  assert [line.split()[0] for line in lines[:2]] == ['study_valueworld', ':quick']


@pytest.mark.parametrize(
  'args, says',
  [
    (('nowhere\x1b[31m',), "no config that ships has 'nowhere\\x1b[31m'"),
    (('a', 'b'), 'list takes one WORD at most'),
    (('--al',), 'jaxalign list --help lists the flags'),
  ],
)
def test_bad_input_is_one_line(args, says, capsys):
  status, err = listed(capsys, *args)
  assert status == 2 and says in err and err.count('\n') == 1 and '\x1b' not in err


def test_who_reads_has_read_enough():
  reads, writes = os.pipe()
  os.close(reads)
  command = [sys.executable, '-m', 'jaxalign.main', 'list']
  done = subprocess.run(command, stdout=writes, stderr=subprocess.PIPE)
  os.close(writes)
  assert (done.returncode, done.stderr) == (0, b'')


def test_neither_it_nor_the_version_waits_for_jax():
  code = """if True:
    import sys
    from jaxalign.main import main
    assert main(['jaxalign', 'list']) == main(['jaxalign', '--version']) == 0
    sys.exit(bool({'jax', 'numpy', 'etils.epath'} & set(sys.modules)))
  """
  subprocess.run([sys.executable, '-c', code], check=True, capture_output=True)
