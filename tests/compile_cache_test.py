"""What preflight's stand-ins compile is loaded by the run, and what differs is not."""

import os
import pathlib

import jax
import jax.numpy as jnp
import pytest
from jax.extend import backend

from jaxalign import compile_cache, main, overrides, sealing
from jaxalign.config import UserError
from launch import programs

CONFIGS = pathlib.Path(__file__).resolve().parents[1] / 'configs'
FIELDS = {
  'model.width': 32, 'model.depth': 1, 'model.heads': 4, 'model.kv_heads': 4, 'model.mlp': 64,
  'length': 128, 'batch': 8, 'steps': 12, 'steps_per_call': 4, 'eval_every': 12, 'saving.every': 12,
}  # fmt: skip
SPEC = f'{CONFIGS}/sft_llama2_7b.py:smoke'


@pytest.fixture
def small(monkeypatch):
  """Also programs that take no second are kept."""
  settings = compile_cache.SETTINGS | dict(jax_persistent_cache_min_compile_time_secs=0.0)
  monkeypatch.setattr(compile_cache, 'SETTINGS', settings)


@pytest.fixture
def run(tmp_path, capfd):
  """run(name) -> the lines that a real run with --compiled says of its train step."""

  def do(name):
    jax.clear_caches()  # as a new process would begin
    flags = [f'--config.{field}={value}' for field, value in FIELDS.items()]
    argv = [f'--config={SPEC}', f'--workdir={tmp_path}/{name}', f'--compiled={tmp_path}/kept']
    assert main.main(['jaxalign', *argv, *flags]) == 0
    lines = capfd.readouterr().err.splitlines()
    return lines, [line for line in lines if 'many' in line.split(':')[0]] or lines

  return do


def test_a_run_loads_what_preflight_compiled(small, run, tmp_path):
  cfg = main.load(SPEC)
  for field, value in FIELDS.items():
    overrides.override(cfg, field, str(value))
  mesh, (train,) = programs.programs_of(sealing.seal(cfg), jax.devices())
  with compile_cache.used(tmp_path / 'kept' / compile_cache.cpu_features()), jax.set_mesh(mesh):
    train.lower().compile()
  _, (said,) = run('first')
  assert 'loaded from' in said and 'of compiling saved' in said


def test_what_was_compiled_otherwise_is_compiled_anew(small, tmp_path, monkeypatch, capfd):
  compiled = tmp_path / 'kept'
  of_a_run(compiled)
  capfd.readouterr()
  monkeypatch.setenv('LIBTPU_INIT_ARGS', '--xla_of_another_run=true')  # part of the hash
  row = dict(config='x', slice='v5e-16', name='train')
  with monkeypatch.context() as patch:
    patch.setattr(jax, '__version__', '0.9.9')
    compile_cache.note(
      compiled, [row | compile_cache.stamp(backend.get_backend()) | dict(flags='')]
    )
  of_a_run(compiled)
  lines = capfd.readouterr().err.splitlines()
  assert any('compiled in' in line and 'and kept in' in line for line in lines)
  (why,) = [line for line in lines if 'compiled otherwise' in line]
  assert f'jax 0.9.9, here {jax.__version__}' in why and '--xla_of_another_run=true' in why


def test_what_disagrees_is_said_once(tmp_path):
  here = compile_cache.stamp(backend.get_backend())
  row = lambda name, **more: dict(config='c', slice='v5e-16', name=name) | here | more
  assert compile_cache.disagreement(tmp_path, here) is None  # nothing kept, nothing to say
  compile_cache.note(tmp_path, [row('collect', jaxlib='1'), row('learn', jaxlib='1', flags='--y')])
  line = compile_cache.disagreement(tmp_path, here)
  assert f'(jaxlib 1, here {here["jaxlib"]})' in line and '\n' not in line
  compile_cache.note(tmp_path, [row('collect')])
  assert compile_cache.disagreement(tmp_path, here) is None  # one may do: the hash decides
  assert [r['name'] for r in compile_cache.listed(tmp_path)] == ['learn', 'collect']


def test_settings_come_back(tmp_path):
  before = jax.config.jax_compilation_cache_dir
  with compile_cache.used(tmp_path / 'a'):
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / 'a')
  assert jax.config.jax_compilation_cache_dir == before
  (tmp_path / 'file').write_text('')
  refused = pytest.raises(UserError, match='file/b cannot hold compiled programs: Not a dir')
  with refused, compile_cache.used(tmp_path / 'file' / 'b'):
    pass


def of_a_run(directory=None):
  """A program is compiled in a run's cache; what is then in the user's."""
  jax.clear_caches()  # as a new process would begin
  with compile_cache.of_a_run(directory):
    jax.jit(lambda x: x * 3 + 1)(jnp.ones(5))
  return {path.name: path.read_bytes() for path in compile_cache.user_cache().rglob('*-cache')}


def test_a_run_keeps_its_programs_in_the_user_s_cache(small, tmp_path, monkeypatch, capfd):
  """Once: a second run writes nothing anew. The CPU is part of the place, and nothing is said."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  first = of_a_run()
  assert first and of_a_run() == first
  assert [path.name for path in compile_cache.user_cache().iterdir()] == [
    compile_cache.cpu_features()
  ]
  assert of_a_run(tmp_path / 'named') == first and any((tmp_path / 'named').rglob('*-cache'))
  assert jax.config.jax_compilation_cache_dir is None
  said = capfd.readouterr().err
  assert f'in {tmp_path}/named' in said and str(compile_cache.user_cache()) not in said


def test_a_cache_that_cannot_be_written_stops_no_run(small, tmp_path, monkeypatch):
  (tmp_path / 'file').write_text('')
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
  assert of_a_run() == {}


def test_the_oldest_programs_go(tmp_path):
  for n in range(5):
    path = tmp_path / 'cpu' / f'{n}-cache'
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes(100))
    os.utime(path, (n, n))
  compile_cache.prune(tmp_path, 250)
  assert sorted(path.name for path in tmp_path.rglob('*-cache')) == ['3-cache', '4-cache']
