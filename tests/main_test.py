import importlib.metadata
import json
import pathlib
import platform
import subprocess
import sys
import textwrap

import pytest

from jaxalign import main as jaxalign_main
from jaxalign.endings import UNFINISHED

CONFIG = """
import dataclasses
import json
from typing import Literal
from jaxalign.config import AdamW, UserError

@dataclasses.dataclass(kw_only=True)
class Config:
  steps: int = 2
  fault: Literal['none here', 'user', 'own', 'keyboard', 'exit', 'full'] = 'none here'
  optim: AdamW = dataclasses.field(default_factory=AdamW)

def get_config(variant: Literal['', 'smoke'] = ''):
  return Config(steps=1) if variant == 'smoke' else Config()

def run(cfg, workdir):
  assert workdir.is_absolute()
  written = json.loads((workdir / 'config.json').read_text())
  if cfg.fault == 'user':
    raise UserError('the corpus is empty:\\ngive another')
  if cfg.fault == 'own':
    raise RuntimeError('first line\\nsecond line')
  if cfg.fault == 'keyboard':
    raise KeyboardInterrupt
  if cfg.fault == 'full':
    raise OSError(28, 'No space left on device', 'w/x')
  if cfg.fault == 'exit':
    raise SystemExit(cfg.steps)
  try:
    cfg.optim.lr = 0.0
  except AttributeError as error:
    (workdir / 'ran').write_text(f'{written["steps"]} {written["optim"]["lr"]} {error}')
"""


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
  """call(args) -> (status, the last lines of stderr), run in tmp_path beside a tiny config."""
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'tiny.py').write_text(CONFIG)

  def do(*args):
    status = jaxalign_main.main(['jaxalign', *args])
    out, err = capsys.readouterr()
    return status, out if status == 0 else err

  return do


def test_a_stage_runs_with_its_sealed_written_config(call, tmp_path):
  status, _ = call('--config=tiny.py:smoke', '--workdir=w', '--config.optim.lr=3e-6')
  assert status == 0
  assert (tmp_path / 'w/ran').read_text() == '1 3e-06 AdamW.lr: the config is sealed'
  assert sorted(file.name for file in (tmp_path / 'w').iterdir()) == ['config.json', 'ran']


def test_a_second_call_starts_from_the_file_again(call, tmp_path):
  call('--config=tiny.py', '--workdir=w', '--config.steps=7')
  assert json.loads((tmp_path / 'w/config.json').read_text())['steps'] == 7
  call('--config=tiny.py', '--workdir=w')
  assert json.loads((tmp_path / 'w/config.json').read_text())['steps'] == 2


@pytest.mark.parametrize(
  'args, says',
  [
    ('--workdir=w', '--config is missing'),
    ('--config=tiny.py', '--workdir is missing'),
    ('--config=no_such_file.py', '--workdir is missing'),  # said before a config costs seconds
    ('--config=tiny.py --wrokdir=w', 'Did you mean: workdir'),
    ('--config=tiny.py --optim.lr=3', 'a field of the config is --config.FIELD=VALUE'),
    ('--config=tiny.py w', 'w: the only words are prepare, judge, compare, sample, chat, serve, '),
    ('run --config=tiny.py', 'what runs a config needs none'),
    ('--config=tiny.py --workdir=http://x/y', '--workdir=http://x/y: http:// cannot be opened'),
    ('--config=tiny.py --workdir=w --compiled=ftp://x', '--compiled=ftp://x: ftp:// cannot'),
    ('compare http://x/y b', 'http://x/y: http:// cannot be opened here'),
    ('--config=tin.py --workdir=w', 'there is no config file tin.py; nearest: tiny.py'),
    ('--config=sft_phi --workdir=w', 'called so; nearest: sft_phi2, '),
    ('--config=sft_phi2:smok --workdir=w', 'no variant smok: it has smoke; nearest: smoke'),
    ('--config=tiny.py:smok --workdir=w', 'no variant smok: it has smoke; nearest: smoke'),
    ('--config=tiny.py --workdir=w --config.stesp=3', 'no field stesp; nearest: steps'),
    ('--config=tiny.py --workdir=w --config.optim.lr=fast', 'optim.lr=fast: takes a float'),
    ('--config=tiny.py --workdir=w --config.steps 3', 'set as --config.steps=VALUE'),
    ('--config.steps=3 --workdir=w', '--config is missing'),
    ('--config.steps=3 --help', 'name one, --config=FILE.py'),
    ('--config=tiny.py --workdir=w --config.fault=user', 'the corpus is empty: give another'),
  ],
)
def test_what_the_user_can_mend_is_one_line_and_status_2(call, args, says):
  status, err = call(*args.split())
  assert status == 2
  assert says in err
  assert err.startswith('error: ') and err.count('\n') == 1


@pytest.mark.parametrize(
  'text, says',
  [
    ('x = 1', "has no get_config(variant='')"),
    ('def get_config(:', 'cannot be read: SyntaxError'),
    ('import no_such_module', 'cannot be read: ModuleNotFoundError'),
    ('def get_config(): return 1 / 0', 'get_config failed: ZeroDivisionError'),
    ('import sys; sys.exit(0)', 'cannot be read: SystemExit: 0'),
    ('def get_config(): raise SystemExit', 'get_config failed: SystemExit'),
    ('class Odd(BaseException): pass\nraise Odd', 'cannot be read: Odd'),
    ('def get_config(a, b): pass', 'get_config failed: TypeError'),
    ('get_config = 3', 'get_config failed: TypeError'),
    ('def get_config(): return 3', 'get_config returned int, not a dataclass'),
    ('from jaxalign.config import Mesh as get_config', 'has no run(cfg, workdir)'),
    (
      'from jaxalign.config import AdamW\ndef get_config(): return AdamW(lr="1")',
      "config.lr='1': takes a float",
    ),
  ],
)
def test_a_bad_config_file_is_one_line(call, tmp_path, text, says):
  (tmp_path / 'bad.py').write_text(text)
  status, err = call('--config=bad.py', '--workdir=w')
  assert (status, err.count('\n')) == (2, 1)
  assert says in err
  assert not (tmp_path / 'w').exists(), 'nothing is written before the config is known to be good'


def test_a_file_without_variants_says_so(call, tmp_path):
  (tmp_path / 'bare.py').write_text('def get_config(): return 3')
  assert 'no variant smoke: it has none' in call('--config=bare.py:smoke', '--workdir=w')[1]


def test_our_own_faults_have_status_1_and_a_traceback_on_request(call):
  args = '--config=tiny.py', '--workdir=w', '--config.fault=own'
  assert call(*args) == (
    1,
    'error: RuntimeError: first line second line (--debug shows the traceback)\n',
  )
  with pytest.raises(RuntimeError, match='second line'):
    call(*args, '--debug')


def test_what_exits_before_the_run_is_done_is_a_fault_unless_it_was_told_to_stop(call):
  args = '--config=tiny.py', '--workdir=w', '--config.fault=exit'
  assert call(*args, '--config.steps=0')[0] == 1
  assert 'called exit(0) before the run was done' in call(*args, '--config.steps=0')[1]
  assert call(*args, f'--config.steps={UNFINISHED}') == (UNFINISHED, '')


def test_a_full_disk_is_mended_by_the_user(call):
  status, err = call('--config=tiny.py', '--workdir=w', '--config.fault=full')
  assert status == 2 and err == (
    'error: w/x cannot be written (No space left on device): make room or mend the place, and the '
    'same command goes on\n'
  )


def test_the_keyboard_stops_with_one_line(call):
  status, err = call('--config=tiny.py', '--workdir=w', '--config.fault=keyboard')
  assert (status, err.count('\n')) == (130, 1)


DOCTOR = """
def doctor(cfg, workdir, machine):
  from jaxalign.stages.doctors.doctor import Check
  return [Check('steps', 'FAIL' if cfg.steps == 7 else 'ok', f'{cfg.steps} on {machine.devices}')]
"""


def test_the_doctor_runs_nothing_and_says_what_fails(call, tmp_path):
  assert 'is no stage that can doctor' in call('--config=tiny.py', '--workdir=w', '--doctor')[1]
  (tmp_path / 'tiny.py').write_text(CONFIG + DOCTOR)
  status, out = call('--config=tiny.py', '--workdir=w', '--doctor', '--slice=v5e-64')
  assert status == 0 and out.splitlines()[-1] == '3 ok, 0 FAIL, 0 skipped'
  assert 'steps    ok       2 on 64' in out and not (tmp_path / 'w').exists()
  with_doctor = '--config=tiny.py', '--workdir=w', '--doctor'
  assert jaxalign_main.main(['jaxalign', *with_doctor, '--config.steps=7']) == 1
  assert jaxalign_main.main(['jaxalign', *with_doctor, '--config.optim.eps=-1']) == 1
  status, err = call(*with_doctor, '--slice=big')
  assert status == 2 and 'write KIND-COUNT' in err
  assert '--slice only says' in call('--config=tiny.py', '--workdir=w', '--slice=v5e-4')[1]


def test_the_doctor_sees_that_a_workdir_holds_another_run(call, tmp_path, capsys):
  (tmp_path / 'tiny.py').write_text(CONFIG + DOCTOR)
  call('--config=tiny.py', '--workdir=w')
  (tmp_path / 'w/checkpoints/3').mkdir(parents=True)
  command = ['--config=tiny.py', '--workdir=w', '--doctor']
  assert jaxalign_main.main(['jaxalign', *command]) == 0
  assert jaxalign_main.main(['jaxalign', *command, '--config.steps=5']) == 1
  assert 'steps (2 there, 5 here)' in capsys.readouterr().out


def test_help_lists_the_flags_and_the_fields_of_a_config(call):
  status, out = call('--help')
  assert status == 0 and '--config.optim.lr=3e-6' in out and '--workdir' in out
  status, out = call('--config=tiny.py:smoke', '--help')
  assert '--config.steps=1  (an int)' in out
  assert '--config.optim.b2=0.95  (a float at least 0 and below 1)' in out


def test_a_config_that_ships_is_named_where_there_is_no_checkout(call):
  status, out = call('--config=sft_phi2:smoke', '--help')
  assert status == 0 and '--config.steps=' in out


def test_the_version_is_one_line(call):
  version, jax = (importlib.metadata.version(name) for name in ('jaxalign', 'jax'))
  said = f'jaxalign {version}, jax {jax}, Python {platform.python_version()}\n'
  assert call('--version') == (0, said)


def test_the_command_itself(tmp_path):
  """Once as a process: the exit status, and one line on stderr."""
  (tmp_path / 'tiny.py').write_text(CONFIG)
  command = [sys.executable, '-m', 'jaxalign.main', f'--config={tmp_path}/tiny.py']
  bad = subprocess.run(
    [*command, '--workdir=w', '--config.steps=x'], capture_output=True, text=True
  )
  assert (bad.returncode, bad.stdout) == (2, '')
  assert bad.stderr == 'error: --config.steps=x: takes an int\n'


def test_help_does_not_wait_for_libraries():
  """etils.epath alone brings asyncio and unittest.mock, half of what --help would take."""
  code = """
    import sys
    from jaxalign.main import main
    main(['jaxalign', '--help'])
    sys.exit(bool({'jax', 'etils.epath', 'asyncio'} & set(sys.modules)))
  """
  subprocess.run([sys.executable, '-c', textwrap.dedent(code)], check=True, capture_output=True)


def test_a_stage_that_trains_does_not_wait_for_scipy():
  """A quarter of all that it would import, for numbers that only an evaluation ends with."""
  root = pathlib.Path(__file__).resolve().parents[1]
  names = [f'{root}/configs/{name}_llama2_7b.py:smoke' for name in ('sft', 'reward', 'dpo', 'ppo')]
  code = f"""
    import sys
    from jaxalign import main
    for name in {names}:
      main.stage_of(main.load(name))
    sys.exit('scipy' in sys.modules)
  """
  subprocess.run([sys.executable, '-c', textwrap.dedent(code)], check=True, capture_output=True)
