import importlib.machinery
import json
import re
import struct
import sys
import types

import jax
import numpy as np
import pytest

from jaxalign import chips
from jaxalign.config import Logging, UserError
from jaxalign.train import metrics
from jaxalign.train.metrics import Log


def log_of(path, start=0, steps=100, tokens=10, **logging):
  return Log(path, Logging(**logging), start=start, steps=steps, tokens=tokens)


def stacked(*losses, weight=2.0):
  losses = np.array(losses, np.float32)
  weights = np.full(len(losses), weight, np.float32)
  return dict(loss=(losses * weights, weights))


def lines(path, name='metrics.jsonl'):
  text = (path / name).read_text()
  return [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]


def test_every_step_has_one_line(tmp_path):
  with log_of(tmp_path) as log:
    log.steps(1, stacked(5.0))
    log.steps(4, stacked(4.0, 3.0, 2.0))
  assert [(r['step'], r['loss']) for r in lines(tmp_path)] == [(1, 5), (2, 4), (3, 3), (4, 2)]
  assert all(set(r) == {'step', 'loss', 'seconds'} for r in lines(tmp_path))


def test_what_is_flushed_survives_a_kill(tmp_path):
  log = log_of(tmp_path)
  log.steps(2, stacked(1.0, 2.0))
  log.flush()
  assert len(lines(tmp_path)) == 2  # nobody closed it


def test_a_resumed_run_says_again_only_what_it_does_again(tmp_path):
  with log_of(tmp_path) as log:
    log.steps(5, stacked(1, 2, 3, 4, 5))
  with log_of(tmp_path, start=3) as log:
    log.steps(5, stacked(40, 50))
  assert [r['step'] for r in lines(tmp_path)] == [1, 2, 3, 4, 5]
  assert [r['loss'] for r in lines(tmp_path)] == [1, 2, 3, 40, 50]


def test_what_is_not_finite_is_null_as_json_has_it(tmp_path):
  with log_of(tmp_path) as log:
    log.steps(2, stacked(np.nan, np.inf))
    log.scores(2, dict(loss=float('nan')))
  assert [r['loss'] for r in lines(tmp_path)] == [None, None]
  assert lines(tmp_path, 'evals.jsonl') == [dict(step=2, loss=None)]


def test_a_metric_of_no_weight_is_nothing_and_no_error(tmp_path):
  with log_of(tmp_path) as log:
    log.steps(1, stacked(0.0, weight=0.0))
  assert lines(tmp_path)[0]['loss'] == 0


def test_scores_have_their_own_file_and_each_step_once(tmp_path):
  with log_of(tmp_path) as log:
    for step in (2, 4, 6):
      log.scores(step, dict(loss=step / 10))
  with log_of(tmp_path, start=3) as log:
    log.scores(4, dict(loss=9.0))
  assert lines(tmp_path, 'evals.jsonl') == [dict(step=2, loss=0.2), dict(step=4, loss=9.0)]
  assert lines(tmp_path) == [] and not list(tmp_path.glob('*.tmp'))


def test_a_bucket_holds_the_same_lines(bucket):
  from etils import epath

  path = epath.Path(bucket) / 'run'
  with log_of(path) as log:
    log.steps(2, stacked(1.0, 2.0))
    log.flush()
    assert len(lines(path)) == 2
    log.steps(3, stacked(3.0))
  with log_of(path, start=2) as log:
    log.steps(3, stacked(30.0))
  assert [(r['step'], r['loss']) for r in lines(path)] == [(1, 1), (2, 2), (3, 30)]


def test_the_progress_line(tmp_path, capsys):
  feed = types.SimpleNamespace(waited=0.0)
  with Log(tmp_path, Logging(), start=0, steps=2000, tokens=512, feed=feed) as log:
    log._began -= 10
    feed.waited = 2.5
    log.steps(1, stacked(2.0))
    log._recent[0] = (log._recent[0][0] - 10, 1)  # ten seconds ago
    log._shown = 0
    log.steps(1001, stacked(2.25))
  first, line = capsys.readouterr().err.strip().splitlines()
  assert first.startswith('step 1/2,000  loss 2.0000')
  assert re.match(r'step 1,001/2,000  loss 2.2500  5[01](\.\d)? k tokens/s  ', line)
  assert '  0:09 left  25% waiting for data' in line or '  0:10 left  25% waiting' in line
  assert re.search(r'  (\d+\.\d) GiB$', line) and not line.endswith('  0.0 GiB')


@pytest.mark.parametrize('flops, shown', [(197e9, 'MFU 10.0%'), (0.0, '')], ids=['known', 'not'])
def test_the_progress_line_on_a_chip(tmp_path, monkeypatch, capsys, flops, shown):
  """A stage that counts no flops, as PPO, has no MFU."""
  monkeypatch.setattr(chips, 'of_device', lambda name: chips.CHIPS['v5e'])
  with Log(tmp_path, Logging(), start=0, steps=99, tokens=10, flops=flops) as log:
    log.steps(1, stacked(2.0))
    log._recent[0] = (log._recent[0][0] - 1e6, 1)  # so long that a slow machine does not show
    log._shown = 0
    log.steps(1 + 10**7 * jax.device_count(), stacked(2.0))
  line = capsys.readouterr().err.strip().splitlines()[-1]
  assert 'tokens/s' in line and (shown in line if shown else 'MFU' not in line)


def test_only_the_first_process_writes_and_shows(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(jax, 'process_index', lambda: 1)
  with log_of(tmp_path, tensorboard=True) as log:
    log.steps(100, stacked(*range(100)))
    log.scores(100, dict(loss=1.0))
    log.note('hello')
    log.flush()
  assert list(tmp_path.iterdir()) == [] and capsys.readouterr().err == ''


def events(path):
  """[(step, tag, value)] of event files, and the steps at which a session began: read by hand."""
  proto = pytest.importorskip('tensorboardX.proto.event_pb2')
  scalars, sessions = [], []
  for file in sorted((path / 'tensorboard').iterdir()):
    data = file.read_bytes()
    while data:
      (length,) = struct.unpack('<Q', data[:8])
      event = proto.Event.FromString(data[12 : 12 + length])
      data = data[16 + length :]
      scalars += [(event.step, v.tag, v.simple_value) for v in event.summary.value]
      sessions += [event.step] if event.HasField('session_log') else []
  return scalars, sessions


def test_tensorboard_gets_every_so_many_steps(tmp_path):
  pytest.importorskip('tensorboardX')
  with log_of(tmp_path, tensorboard=True, every=2) as log:
    log.steps(4, stacked(1.0, 2.0, 3.0, 4.0))
    log.scores(4, dict(held_out=0.5, text='not a number'))
  assert events(tmp_path) == ([(2, 'loss', 2.0), (4, 'loss', 4.0), (4, 'held_out', 0.5)], [])
  with log_of(tmp_path, start=2, tensorboard=True, every=2) as log:
    log.steps(4, stacked(30.0, 40.0))
  assert events(tmp_path)[1] == [3]  # from here on, what the killed run said is hidden


def test_its_own_reader_reads_the_last_step_too(tmp_path):
  pytest.importorskip('tensorboardX')
  reader = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')
  with Log(tmp_path, Logging(tensorboard=True, every=2), start=0, steps=3, tokens=1) as log:
    log.steps(3, stacked(1.0, 2.0, 3.0))
  found = reader.EventAccumulator(str(tmp_path / 'tensorboard')).Reload()
  assert [(e.step, e.value) for e in found.Scalars('loss')] == [(2, 2.0), (3, 3.0)]


def test_wandb_gets_scalars_and_no_secret(tmp_path, monkeypatch):
  """A stand-in for the package, which needs an account: what does it get to see?"""
  said = []
  wandb = types.ModuleType('wandb')
  wandb.__spec__ = importlib.machinery.ModuleSpec('wandb', None)

  def init(**how):
    said.append(how)
    return types.SimpleNamespace(
      log=lambda values, step: said.append((step, values)), finish=lambda: said.append('end')
    )

  wandb.init, wandb.Error = init, RuntimeError
  monkeypatch.setitem(sys.modules, 'wandb', wandb)
  monkeypatch.setenv('WANDB_API_KEY', 'key-of-mine')
  monkeypatch.setenv('HF_TOKEN', 'token-of-mine')
  for home in (tmp_path / 'a' / 'run', tmp_path / 'b' / 'run'):
    with log_of(home, wandb='values', every=1) as log:
      log.steps(1, stacked(2.0))
  begun, scalars, end = said[:3]
  assert (begun['project'], begun['name'], begun['resume']) == ('values', 'run', 'allow')
  assert scalars == (1, dict(loss=2.0)) and end == 'end'
  assert begun['id'] != said[3]['id']  # two workdirs of one name are two runs
  assert 'of-mine' not in repr(said) + ''.join(p.read_text() for p in tmp_path.rglob('*.jsonl'))


def test_wandb_itself_keeps_them_offline(tmp_path, monkeypatch):
  pytest.importorskip('wandb')
  for name, value in dict(MODE='offline', DIR=str(tmp_path), SILENT='true').items():
    monkeypatch.setenv(f'WANDB_{name}', value)
  with log_of(tmp_path, wandb='values', every=1) as log:
    log.steps(1, stacked(2.125))
  (file,) = tmp_path.rglob('*.wandb')
  assert b'2.125' in file.read_bytes()


def test_what_wandb_refuses_is_one_line(tmp_path, monkeypatch):
  wandb = types.ModuleType('wandb')
  wandb.__spec__, wandb.Error = importlib.machinery.ModuleSpec('wandb', None), RuntimeError

  def init(**_):
    raise wandb.Error('No API key configured.')

  wandb.init = init
  monkeypatch.setitem(sys.modules, 'wandb', wandb)
  with pytest.raises(UserError, match='logging.wandb=mine: No API key configured. .*WANDB_MODE'):
    log_of(tmp_path, wandb='mine')


@pytest.mark.parametrize('package, field', [('tensorboardX', 'tensorboard'), ('wandb', 'wandb')])
def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, package, field):
  monkeypatch.setitem(sys.modules, package, None)
  with pytest.raises(UserError, match=rf"logging.{field} needs: pip install 'jaxalign\[{field}\]'"):
    log_of(tmp_path, **{field: True if field == 'tensorboard' else 'project'})


@pytest.mark.parametrize('calls', [1, 8])
def test_a_window_of_steps_is_traced(tmp_path, calls):
  """Also where a call takes more steps than the window has."""
  with log_of(tmp_path, profile=(2, 4)) as log:
    for end in range(calls, 4 * calls + 1, calls):
      jax.block_until_ready(jax.numpy.sin(np.ones(3)))
      log.steps(end, stacked(*[1.0] * calls))
      assert log._tracing == (end in ((2, 3) if calls == 1 else (8,)))
  assert len(list((tmp_path / 'profile').rglob('*.xplane.pb'))) == 1


def test_a_window_that_lies_behind_is_not_traced_again(tmp_path):
  with log_of(tmp_path, start=4, profile=(2, 4)) as log:
    log.steps(5, stacked(1.0))
  assert not (tmp_path / 'profile').exists()


def test_a_trace_is_ended_with_the_run(tmp_path):
  with log_of(tmp_path, profile=(1, 400)) as log:
    log.steps(2, stacked(1.0, 2.0))
  assert list((tmp_path / 'profile').rglob('*.xplane.pb'))


@pytest.mark.parametrize('torn', [b'{"step": 3, "lo', b'\xff', b'\0' * 4096])
def test_a_power_cut_costs_the_last_line_alone(tmp_path, torn):
  path = tmp_path / 'evals.jsonl'
  path.write_bytes(b'{"step": 1}\n{"step": 2}\n' + torn)
  assert [line['step'] for line in metrics.lines_until(path, 9)] == [1, 2]
  metrics.append(path, [dict(step=3)], 3)
  assert path.read_text() == '{"step": 1}\n{"step": 2}\n{"step": 3}\n'
