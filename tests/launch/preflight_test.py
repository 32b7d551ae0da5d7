"""What preflight answers, and how it refuses. Compiling itself is golden_test's."""

import dataclasses
import json
import pathlib
import subprocess
import sys

import pytest
from jax.sharding import AbstractMesh

from jaxalign import main
from jaxalign.models import llama2
from launch import compiling, preflight, programs, report, roofline, slices

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXPLAIN = f'--config={ROOT}/configs/explain_llama2_7b.py'
GIB = 2**30
OOM = """RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 25.06G of 15.75G hbm. Over.

Largest program allocations in hbm:

  1. Size: 8.00G
     Operator: op_type="dot" op_name="jit(many)/jvp()/dot_general" source_file="x.py"
     Shape: f32[16,4096,32000]{2,1,0:T(8,128)}
     Unpadded size: 8.00G
     ==========================

  2. Size: 512.0M
     Shape: bf16[1,4096,32000]{2,1,0}
     ==========================
"""


@pytest.fixture
def with_compiler(monkeypatch):
  monkeypatch.setattr(preflight, 'refuse_no_compiler', lambda: None)


def fake(monkeypatch, *programs):
  monkeypatch.setattr(preflight, 'compiled', lambda *args: [dict(p) for p in programs])


def program(peak, where='v5e-16', **changes):
  """An answer of `peak` GiB in 15.75."""
  peak, there = round(peak * GIB), round(15.75 * GIB)
  made = dict(
    name='train', slice=where, mesh=dict(data=1, fsdp=16, tensor=1), fits=peak <= there,
    peak_bytes=peak, hbm_bytes=there, flops=1e15, cycles=3_000_000_000, tokens=65_536, calls=10,
    bytes=dict(argument=peak, output=0, alias=0, temp=0, code=0, beside=0), wire_bytes=2**31,
    collectives=[
      dict(kind='all-gather', far=False, overlapped=True, bytes=2**31, count=64, source='w'),
      dict(kind='all-reduce', far=True, overlapped=False, bytes=2**20, count=1, source='g'),
    ],
    seconds=dict(arithmetic=0.3, at_best=2.0), bound='cycles', tokens_per_second=32_768, mfu=0.5,
    compile_seconds=30.0, stage_seconds=3600.0, largest=[dict(bytes=GIB, what='f32[8]')],
    remedy='--search, which compiles',
  )  # fmt: skip
  return made | changes


def test_the_border(monkeypatch, with_compiler, tmp_path, capsys):
  for peak, status in ((15.75, 0), (15.7501, 1)):
    fake(monkeypatch, program(peak))
    path = tmp_path / 'out.json'
    assert preflight.run([EXPLAIN, '--slice=v5e-16', f'--json={path}', '--price=1.5']) == status
    (told,) = json.loads(path.read_text())
    names = 'name slice fits peak_bytes hbm_bytes flops cycles tokens collectives'
    assert set(names.split()) <= told.keys() and told['fits'] == (status == 0)
    page = capsys.readouterr().out
    assert '16 chip-hours, 24 dollars' in page and ('does not fit' in page) == bool(status)
    assert ('--search, which compiles' in page) == bool(status)


@pytest.mark.parametrize(
  'argv, words',
  [
    (['--slice=v5e-16'], '--config'),
    ([EXPLAIN], '--slice'),
    ([EXPLAIN, '--slice=v5e-15'], 'nearest: v5e-16'),
    ([EXPLAIN, '--slice=v5e-16,v9-2'], 'kinds are'),
    ([EXPLAIN, '--slice=v5e-16', '--price=much'], '--price'),
    ([EXPLAIN, '--slice=v5e-16', '--prize=1'], '--prize'),
    ([EXPLAIN, '--slice=v5e-16', '--price=nan'], '--price: invalid amount value'),
    ([EXPLAIN, '--slice=v5e-16', '--timeout=-1'], '--timeout: invalid amount value'),
    ([EXPLAIN, '--slice=v5e-16', f'--json={ROOT}/README.md/x'], 'name another file'),
    ([EXPLAIN, '--slice=v5e-16', f'--json={ROOT}'], 'name another file'),
    ([EXPLAIN, '--slice=v5e-16', '--json=http://x/y'], '--json=http://x/y: http:// cannot'),
    ([EXPLAIN, '--slice=v5e-16', '--keep=http://x/y'], '--keep=http://x/y: http:// cannot'),
    ([EXPLAIN, '--slice=v5e\n-16'], 'write KIND-COUNT'),
    ([EXPLAIN, '--slice=v5e-16', '--search', '--keep=k'], 'with a second call'),
    ([EXPLAIN, '--slice=v5e-16', '--config.batch'], '--config.batch=VALUE'),
  ],
)
def test_bad_input_is_one_line(argv, words, with_compiler, capsys):
  assert preflight.run(argv) == 2
  said = capsys.readouterr().err
  assert said.startswith('error: ') and said.count('\n') == 1 and words in said


def test_a_bucket_is_no_path_under_here(monkeypatch, tmp_path, bucket):
  monkeypatch.setattr(preflight.os, 'access', lambda *_: False)
  preflight.refuse_unwritable(f'{bucket}/out.json')
  with pytest.raises(preflight.UserError, match='cannot be written'):
    preflight.refuse_unwritable(str(tmp_path / 'out.json'))


def test_without_the_compiler(monkeypatch, capsys):
  monkeypatch.setattr(preflight.importlib.util, 'find_spec', lambda name: None)
  assert preflight.run([EXPLAIN, '--slice=v5e-16']) == 2
  assert "pip install 'jaxalign[preflight]'" in capsys.readouterr().err


def test_the_child_says_what_is_wrong_with_a_config(tmp_path):
  """Before any compiler is needed: the same words as a run has."""
  argv = [sys.executable, '-m', 'launch.compiling', str(tmp_path / 'a'), f'{tmp_path}/none.py']
  child = subprocess.run([*argv, 'v5e-16'], capture_output=True, text=True, cwd=ROOT)
  assert child.returncode == 2 and child.stderr.startswith('error: --config=')


@pytest.mark.parametrize(
  'argv, words',
  [
    (['--config=none.py'], '--config=none.py'),
    ([EXPLAIN, '--config.batches=3'], 'batch'),
    ([EXPLAIN, '--config.batch=0'], 'config.batch=0'),
  ],
)
@pytest.mark.usefixtures('with_compiler')
def test_a_config_is_refused_before_it_waits_for_the_compiler(
  monkeypatch, tmp_path, capsys, argv, words
):
  def waited(*_):
    raise AssertionError('it waited for another')

  monkeypatch.setattr(preflight, 'alone', waited)
  assert preflight.run([*argv, '--slice=v5e-16']) == 2
  assert words in capsys.readouterr().err


@pytest.mark.parametrize(
  'code, says, words',
  [
    (-11, '', '(signal 11): it said nothing'),
    (-9, '', '(signal 9, for memory?): it said nothing'),
    (1, 'Traceback\n  File "x"\nRuntimeError: no such topology\n', '(status 1): RuntimeError: no'),
  ],
)
@pytest.mark.usefixtures('with_compiler')
def test_a_compiler_that_crashes_is_one_line(monkeypatch, capsys, tmp_path, code, says, words):
  ended = subprocess.CompletedProcess([], code, '', says)
  monkeypatch.setattr(subprocess, 'run', lambda *argv, **how: ended)
  monkeypatch.setattr(preflight, 'LOCK', tmp_path / 'lock')  # not the one that others compile under
  assert preflight.run([EXPLAIN, '--slice=v5e-16']) == 2
  said = capsys.readouterr().err
  assert said.startswith('error: v5e-16: the compiler process failed ') and words in said
  assert said.count('\n') == 1


@pytest.mark.usefixtures('with_compiler')
def test_a_search_that_finds_nothing_answers_with_what_it_tried(monkeypatch, tmp_path):
  fake(monkeypatch, program(26))
  argv = [EXPLAIN, '--slice=v5e-16', '--search', f'--json={tmp_path}/a.json']
  assert preflight.run(argv) == 1
  (told,) = json.loads((tmp_path / 'a.json').read_text())
  assert told['name'] == 'train' and told['peak_bytes'] == 26 * GIB and not told['fits']


def test_what_the_compiler_refuses():
  said = compiling.refused(OOM, beside=GIB)
  assert said['peak_bytes'] / GIB == pytest.approx(26.06, abs=1e-6)
  assert said['hbm_bytes'] == round(15.75 * GIB) and not said['fits']
  first, second = said['largest']
  assert first['bytes'] == 8 * GIB and 'f32[16,4096,32000]' in first['what']
  assert 'jvp()/dot_general' in first['what'] and second['bytes'] == GIB // 2
  assert said['cycles'] is None and said['collectives'] == []  # there, though nothing is known
  refused = program(26, **said)
  del refused['bytes'], refused['seconds'], refused['stage_seconds']
  page = report.page([refused], slices.parse('v5e-16'))
  assert 'does not fit: 10.31 GiB too much' in page and 'f32[16,4096,32000]' in page


def test_what_to_change_is_what_helps():
  cfg = main.load(EXPLAIN.removeprefix('--config='))
  cfg.model = dataclasses.replace(cfg.model, remat='qkv')
  learns = programs.Program('learn', None, ())
  said = compiling.remedy(cfg, learns, dict(hbm_bytes=GIB))
  assert said.startswith('--search, which compiles more microbatches') and '=' not in said
  samples = dataclasses.replace(learns, turns=511)  # in one go, whatever the microbatches
  said = compiling.remedy(cfg, samples, dict(hbm_bytes=GIB))
  assert said == 'a smaller --config.batch, or a larger slice'


def test_a_table_of_several_runs(tmp_path):
  big = program(26, name='collect')
  del big['bytes'], big['seconds'], big['cycles']
  (tmp_path / 'ppo.json').write_text(json.dumps([program(4), big]))
  head, rule, *rows = report.markdown([tmp_path / 'ppo.json'])
  assert {line.count('|') for line in (head, rule, *rows)} == {13}
  fits, refused = ([cell.strip() for cell in line.split('|')[1:-1]] for line in rows)
  assert fits[:7] == ['ppo', 'v5e-16', 'train', '4.00', '15.75', '3.000', '2.00']
  assert refused[2:7] == ['collect: does NOT fit', '26.00', '15.75', '', '']


def test_what_the_compiler_refuses_at_once():
  """The words of libtpu 0.0.52 for temporaries that no schedule could help."""
  words = (
    'RESOURCE_EXHAUSTED: E1000: CompileTimeHbmOom: Ran out of memory on HBM, the total memory '
    'required for HLO temporaries (480.00G) exceeds available HBM (15.75G). HLO module: jit_x.'
  )
  said = compiling.refused(words, beside=0)
  assert (said['peak_bytes'], said['largest']) == (480 * GIB, [])
  assert said['hbm_bytes'] == round(15.75 * GIB)


HINTS = {  # width, ways of fsdp: how many copies would leave whole tiles
  (4096, 256): '',
  (5120, 256): '--config.mesh.data=2',
  (5120, 64): '',
  (896, 64): '--config.mesh.data=4',  # 14, and 28 with two
  (5120, 1): '',
  (100, 4): '',  # no mesh of several ways fills a tile
}


@pytest.mark.parametrize('asked, flag', HINTS.items(), ids=str)
def test_a_width_that_fills_no_tile(asked, flag):
  width, ways = asked
  mesh = AbstractMesh((1, ways, 1), ('data', 'fsdp', 'tensor'))
  said = compiling.hint(llama2.tiny(width=width), mesh)
  assert flag in said and bool(flag) == bool(said)
  page = report.page([program(3.0, hint=said)] * 2, slices.parse('v5e-16'))
  assert page.count(said or 'pads and copies') == bool(said)


def test_bounds():
  """By hand: a v5e-16 has no ring, so one link each way along each of two axes."""

  class Asked:
    flops, tokens, turns, read, calls = 16 * 197e12, 1000, 1, 0, 4

  said = program(1, cycles=3_000_000_000)
  said['bytes'] |= dict(argument=819_000_000, output=819_000_000)
  said['collectives'][1] |= dict(far=False, bytes=90_000_000_000)
  said['collectives'][0] |= dict(bytes=9_000_000_000)
  found = roofline.bounds(said, Asked, slices.parse('v5e-16'), 16)
  seconds = found['seconds']
  assert (seconds['arithmetic'], seconds['cycles'], seconds['memory']) == (1.0, 2.0, 0.002)
  assert (seconds['links'], seconds['exposed'], seconds['network']) == (1.1, 1.0, 0.0)
  assert (seconds['at_best'], found['bound'], found['stage_seconds']) == (3.0, 'cycles', 12.0)
  assert found['mfu'] == round(1 / 3, 4) and found['tokens_per_second'] == 333
  told = roofline.bounds(said | dict(cache_bytes=819_000_000), Asked, slices.parse('v5e-16'), 16)
  assert told['seconds']['cycles'] == 2.001, 'a kernel of one token waits for what it reads'
  said['collectives'][1] |= dict(far=True, bytes=3_125_000_000)  # a second of a v5e's network share
  seconds = roofline.bounds(said, Asked, slices.parse('v5e-16'), 16)['seconds']
  assert (seconds['network'], seconds['exposed'], seconds['at_best']) == (1.0, 1.0, 3.0)


@pytest.mark.parametrize('text', ['{', '[3]', '[{"name": "x"}]', '3', '[' * 100_000])
def test_a_report_of_what_preflight_did_not_write(tmp_path, monkeypatch, capsys, text):
  path = tmp_path / 'a.json'
  path.write_text(text)
  monkeypatch.setattr(sys, 'argv', ['launch.report', str(path)])
  with pytest.raises(SystemExit, match='2'):
    report.main()
  said = capsys.readouterr().err
  assert said.startswith(f'error: {path} ') and said.count('\n') == 1
