"""jaxalign completion: what bash offers behind TAB, and that no key waits for jax."""

import os
import shutil
import subprocess
import sys
import types

import pytest

from jaxalign import config_file, files, main
from jaxalign.doors import completion

SHELL = shutil.which('bash')


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
  """The user's cache, empty; a process that was begun to read fields is only counted."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'home'))
  begun = []
  counts = types.SimpleNamespace(
    Popen=lambda words, **_: begun.append(words[-1]), DEVNULL=subprocess.DEVNULL
  )
  monkeypatch.setattr(completion, 'subprocess', counts)
  return begun


def test_the_first_word_is_a_command():
  every = completion.candidates('jaxalign ')
  assert {'show ', 'compare ', 'lm-eval ', 'completion '} <= set(every)
  assert completion.candidates('jaxalign sa') == ['sample ', 'samples ']
  assert completion.candidates('jaxalign show ') == []  # files: bash knows them


@pytest.mark.parametrize(
  'line, wanted',
  [
    ('jaxalign --doc', ['--doctor ']),
    ('CUDA=1 .venv/bin/jaxalign --wor', ['--workdir=']),
    ('jaxalign serve --po', ['--port=']),
    ('jaxalign show runs --p', ['--page ']),
    ('jaxalign show runs --work', []),
    ('jaxalign --config=study_w', ['--config=study_why']),
    ('jaxalign --config=nothing', []),
    ('jaxalign --config=study_why:s', ['--config=study_why:smoke ']),
    (
      'jaxalign --config=eval_tr',
      ['--config=eval_truthful'],
    ),
  ],
)
def test_flags_configs_and_variants(line, wanted):
  assert completion.candidates(line) == wanted


def test_variants_are_those_that_the_config_takes():
  said = completion.candidates('jaxalign --config=study_why:')
  assert [one[19:-1] for one in said] == sorted(config_file.variants('study_why'))


def test_variants_of_a_file_that_is_not_run(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  head = 'from typing import Literal\nraise SystemExit\n'
  (tmp_path / 'mine.py').write_text(
    head + "def get_config(variant: Literal['', 'big'] = ''): pass\n"
  )
  assert completion.candidates('jaxalign --config=mine.py:') == ['--config=mine.py:big ']
  (tmp_path / 'mine.py').write_text('def (')
  assert completion.candidates('jaxalign --config=mine.py:') == []


def test_fields_are_read_once_and_kept(home):
  line = 'jaxalign --config=sft_smollm2:smoke --workdir=x --config.'
  assert completion.candidates(line) == [] == completion.candidates(line)
  assert home == ['sft_smollm2:smoke']  # begun once, by two keys
  names = completion.fields('sft_smollm2:smoke')
  assert '--config.optim.lr' in names and '--config.optim' not in names
  assert '--config.optim.' in completion.candidates(line)
  assert completion.candidates(f'{line}optim.l') == ['--config.optim.lr=']
  assert '--config.train.0.source.' in completion.candidates(f'{line}train.0.')
  assert home == ['sft_smollm2:smoke']
  assert not list((files.user_cache() / 'completion').glob('*.begun'))


def test_fields_of_a_changed_package_are_read_again(home, monkeypatch):
  completion.fields('sft_smollm2:smoke')
  monkeypatch.setattr(completion, '_state', lambda: 'changed')
  assert completion.known_fields('sft_smollm2:smoke')  # the old ones meanwhile
  assert home == ['sft_smollm2:smoke']


def test_a_file_of_ones_own_is_not_run_by_a_key(home, tmp_path):
  (tmp_path / 'sft_smollm2.py').write_text('raise SystemExit')
  assert completion.candidates(f'jaxalign --config={tmp_path}/sft_smollm2.py --config.') == []
  assert home == []


def test_without_a_home_nothing_is_kept(monkeypatch, tmp_path):
  (tmp_path / 'file').write_text('')
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
  assert completion.candidates('jaxalign --config=sft_phi2 --config.') == []
  assert '--config.steps' in completion.fields('sft_phi2:smoke')


@pytest.mark.parametrize('args', [(), ('zsh',), ('words',), ('fields',), ('bash', 'more')])
def test_bad_input_is_one_line(args, capsys):
  assert main.main(['jaxalign', 'completion', *args]) == 2
  assert capsys.readouterr().err.count('\n') == 1


def test_no_key_waits_for_jax():
  code = """if True:
    import sys
    from jaxalign.main import main
    for line in ('jaxalign --config=', 'jaxalign --config=sft_phi2:', 'jaxalign --'):
      assert main(['jaxalign', 'completion', 'words', line]) == 0
    sys.exit(bool({'jax', 'numpy', 'etils.epath'} & set(sys.modules)))
  """
  subprocess.run([sys.executable, '-c', code], check=True, capture_output=True)


@pytest.mark.skipif(not SHELL, reason='bash is not here')
@pytest.mark.parametrize(
  'line, words, wanted',
  [
    ('jaxalign sh', ('jaxalign', 'sh'), ['show ']),
    ('jaxalign --config=study_w', ('jaxalign', '--config', '=', 'study_w'), ['study_why']),
    ('jaxalign --config=study_why:sm', ('--config', '=', 'study_why', ':', 'sm'), ['smoke ']),
    (
      'jaxalign --config=study_why:',
      ('--config', '=', 'study_why', ':'),
      ['develop ', 'full ', 'smoke '],
    ),
    ('jaxalign show x', ('jaxalign', 'show', 'x'), []),
  ],
)
def test_bash_gets_what_stands_behind_its_own_cut(line, words, wanted, tmp_path):
  here = tmp_path / 'jaxalign'
  here.write_text(f'#!{SHELL}\nexec {sys.executable} -m jaxalign.main "$@"\n')
  here.chmod(0o755)
  script = f"""
    source <({here} completion bash)
    complete -p jaxalign >&2
    COMP_LINE='{line}' COMP_POINT={len(line)}
    COMP_WORDS=({' '.join(words)}) COMP_CWORD={len(words) - 1}
    _jaxalign {here}
    printf '%s\\n' "${{COMPREPLY[@]}}"
  """
  root = str(config_file.SHIPPED.parent)
  env = os.environ | dict(PYTHONPATH=root)
  done = subprocess.run([SHELL, '-c', script], capture_output=True, text=True, env=env)
  assert done.stderr == 'complete -o default -o nospace -F _jaxalign jaxalign\n'
  assert done.stdout.split('\n')[:-1] == (wanted or [''])
