"""Best-of-n: the same answers however they are drawn, kept as they come; and a gold that is one."""

import dataclasses
import json
import os
import pathlib
import signal

import numpy as np
import pytest
from etils import epath

from jaxalign import config, main, sealing
from jaxalign.config import UserError
from jaxalign.endings import UNFINISHED
from jaxalign.models import llama2
from jaxalign.rl import bon as arithmetic
from jaxalign.rl.judges import Judge
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import bon, judging
from jaxalign.stages.doctors import doctor
from tests.stages import trained_test

pytest.importorskip('matplotlib', reason='the report is an extra: jaxalign[report]')
SMOKE = str(pathlib.Path(__file__).resolve().parents[2] / 'configs/bon_llama2_7b.py:smoke')
CFG = llama2.tiny(width=32, heads=4, kv_heads=2, mlp=64, vocab=1024, length=128, eos=(2,))
pytestmark = pytest.mark.usefixtures('one_device')


def smoke(**changes):
  small = dict(model=CFG, count=3, n=4, batch=8, response=6)
  return sealing.seal(dataclasses.replace(main.load(SMOKE), **small | changes))


def answers(workdir):
  return [
    json.loads(x) for f in sorted(workdir.glob('bon-*.jsonl')) for x in f.read_text().splitlines()
  ]


@pytest.fixture(scope='module')
def whole(tmp_path_factory, one_device):
  workdir = tmp_path_factory.mktemp('whole')
  bon.run(smoke(), epath.Path(workdir))
  return workdir


def share_of_e(answer):
  return answer.count('e') / max(len(answer), 1)


def test_a_run_scores_every_answer_and_reports(whole):
  rows = answers(whole)
  assert [len(row['answers']) for row in rows] == [4, 4, 4]
  assert len({a for row in rows for a in row['answers']}) == 12, 'a key for every answer'
  for row in rows:
    np.testing.assert_allclose(row['proxy'], [share_of_e(a) for a in row['answers']], rtol=1e-6)
    twice = [share_of_e(a) - 2 * a.count('ee') / max(len(a), 1) for a in row['answers']]
    np.testing.assert_allclose(row['gold'], twice, rtol=1e-5)
  said = json.loads((whole / 'bon.json').read_text())
  assert said['n'] == [1, 2, 3, 4] and said['kl'] == arithmetic.kl(np.arange(1, 5)).tolist()
  best = np.mean([max(row['proxy']) for row in rows])
  np.testing.assert_allclose(said['mean']['proxy'][-1], best)
  assert said['judges']['proxy']['share_of_e'].endswith(':share_of_e')
  assert '<svg' in (whole / 'overoptimisation.html').read_text()


def test_the_same_answers_whatever_the_batch_and_the_mesh(whole, tmp_path, monkeypatch):
  monkeypatch.setattr(bon, 'make_mesh', make_mesh)
  bon.run(smoke(batch=2, mesh=config.Mesh(data=2, fsdp=1, tensor=4)), epath.Path(tmp_path))
  for ours, theirs in zip(answers(tmp_path), answers(whole), strict=True):
    assert (ours['prompt'], ours['answers']) == (theirs['prompt'], theirs['answers'])


def test_a_run_goes_on_behind_what_is_there(whole, tmp_path, capsys):
  for file in whole.glob('*'):
    if file.is_file() and file.name != 'bon-00001.jsonl':
      (tmp_path / file.name).write_text(file.read_text())
  first = (tmp_path / 'bon-00000.jsonl').stat().st_mtime_ns
  bon.run(smoke(), epath.Path(tmp_path))
  assert '3 of 3 prompts' in capsys.readouterr().out
  assert answers(tmp_path) == answers(whole)
  assert (tmp_path / 'bon-00000.jsonl').stat().st_mtime_ns == first
  with pytest.raises(UserError, match=r'of another run: temperature \(1.0 there, 0.5 here\)'):
    bon.run(smoke(temperature=0.5), epath.Path(tmp_path))
  assert answers(tmp_path) == answers(whole)


def telling(prompt, answer):
  os.kill(os.getpid(), signal.SIGTERM)
  return float(len(answer))


def test_told_to_stop_it_keeps_the_answers_so_far_and_is_not_done(tmp_path, capsys):
  cfg = smoke(proxy=(Judge(by=telling),), gold=())
  for chunk in range(2):
    with pytest.raises(SystemExit, match=str(UNFINISHED)):
      bon.run(cfg, epath.Path(tmp_path))
    assert len(list(tmp_path.glob('bon-*.jsonl'))) == chunk + 1
  assert (
    not (tmp_path / 'bon.json').exists() and 'the same command goes on' in capsys.readouterr().out
  )


def test_reward_models_judge_and_a_copy_of_the_proxy_is_refused(tmp_path):
  for name, seed in dict(a=0, b=0, c=1).items():
    trained_test.store(tmp_path / name, seed, cfg=CFG)
  proxy, copy, gold = (str(tmp_path / name) for name in 'abc')
  both = dict(proxy=(Judge(by=proxy),), gold=(Judge(by=gold, weight=2.0),))
  prints = judging.refuse_same_judge(both['proxy'], both['gold'])
  assert prints['proxy']['a'] != prints['gold']['c']
  same = dict(both, gold=(Judge(by=copy),))
  with pytest.raises(UserError, match='gold judge b is the proxy a .fingerprint'):
    bon.run(smoke(**same), epath.Path(tmp_path / 'out'))
  assert not (tmp_path / 'out').exists()
  (tmp_path / 'out').mkdir()
  bon.run(smoke(**both), epath.Path(tmp_path / 'out'))
  row = answers(tmp_path / 'out')[0]
  assert np.isfinite(row['gold']).all() and len(set(row['gold'])) == 4
  assert not np.allclose(row['gold'], row['proxy'])


def no_number(prompt, answer):
  return 'good'


def test_the_doctor_passes_the_smoke_and_finds_what_is_broken():
  one = doctor.Machine('one', 1, None)

  def state(**changes):
    return {check.name: check.state for check in bon.doctor(smoke(**changes), None, one)}

  assert {name for name, x in state().items() if x != 'ok'} == {'memory'}  # nobody knows it here
  small = doctor.Machine('small', 1, 1 << 18)
  assert {x.name: x.state for x in bon.doctor(smoke(), None, small)}['memory'] == 'FAIL'
  assert state(gold=(Judge(by=no_number),))['gold 0'] == 'FAIL'
  assert state(prompt=2)['prompts'] == 'FAIL'


@pytest.mark.parametrize(
  'changes, says',
  [
    (dict(n=2048), 'n=2048: at least 1 and at most 1,024'),
    (dict(n=6, batch=4), 'a multiple of the other'),
    (dict(temperature=0.0), 'temperature=0.0: at least 0.001'),
    (dict(prompt=125), 'was trained on 128 positions'),
    (dict(proxy=()), 'nothing would be picked'),
  ],
)
def test_bad_configs_are_one_line(changes, says):
  with pytest.raises(UserError, match=says):
    smoke(**changes)
