"""Stages on a pod of processes, through the launcher, broken in each. Two stages on two processes
here: all four on four are `python -m launch.rehearse_chain`, some fifteen minutes of CPU."""

import json
import shutil
import subprocess
import sys

import pytest

from launch import rehearse_chain
from tests.train import running


@pytest.mark.campaign
def test_a_chain_that_is_broken_in_every_stage_ends_as_the_unbroken_one(tmp_path, cache):
  root = tmp_path / 'chain'
  flags = ['--hosts=2', '--stages=2', f'--root={root}']
  command = [sys.executable, '-m', 'launch.rehearse_chain', *flags]
  how = dict(env=running.environment(cache), cwd=running.ROOT, text=True, capture_output=True)
  ended = subprocess.run(command, **how)
  assert ended.returncode == 0, ended.stdout + ended.stderr
  said = ended.stdout.splitlines()
  assert sum(line.startswith('== killed process') for line in said) == 2
  again = [line for line in said if 'starting again from the last save (1 of 50)' in line]
  assert len(again) == 2, said  # on a starved machine one start more may be needed
  assert len({line.split()[1] for line in again}) == 2, again  # another worker each time
  assert sum('going on from step' in line for line in said) >= 2, said
  for stage in ('explain', 'sft'):
    assert len(rehearse_chain.metrics(root / 'broken' / stage)) == 8
  last = root / 'broken' / 'sft' / 'metrics.jsonl'
  last.write_text(last.read_text().replace('"step": 8', '"step": 9'))
  assert list(rehearse_chain.differences(root, 'sft')) == ['sft: metrics differ from step 8 on']


def finished(workdir, loss=1.5, mark=7):
  state = workdir / 'checkpoints' / '2' / 'fingerprint'
  state.mkdir(parents=True)
  (state / 'metadata').write_text(json.dumps(dict(embed_VD=mark)))
  rows = [dict(step=1, loss=2.0, seconds=id(workdir)), dict(step=2, loss=loss, seconds=3)]
  (workdir / 'metrics.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))
  (workdir / 'evals.jsonl').write_text('{}\n')


@pytest.mark.parametrize(
  'how, says',
  [
    ({}, []),
    (dict(loss=1.6), ['sft: metrics differ from step 2 on']),
    (dict(mark=8), ['sft: the last states differ']),
  ],
)
def test_what_differs_is_named(tmp_path, how, says):
  finished(tmp_path / 'unbroken' / 'sft')
  finished(tmp_path / 'broken' / 'sft', **how)
  assert list(rehearse_chain.differences(tmp_path, 'sft')) == says


def test_a_stage_that_broke_off_differs(tmp_path):
  finished(tmp_path / 'unbroken' / 'sft')
  shutil.copytree(tmp_path / 'unbroken', tmp_path / 'broken')
  path = tmp_path / 'broken' / 'sft' / 'metrics.jsonl'
  path.write_text(path.read_text().splitlines()[0] + '\n')
  (tmp_path / 'broken' / 'sft' / 'evals.jsonl').write_text('{"a": 1}\n')
  said = list(rehearse_chain.differences(tmp_path, 'sft'))
  assert said == ['sft: metrics differ from step 2 on', 'sft: evals.jsonl differs']
