"""The launcher against a cloud where things go wrong, and what its last line says."""

import json
import os
import re
import shlex
import stat
import subprocess
import sys

import pytest

from launch import checkout, gcloud, pod
from tests.launch import cloud

BASE = ['--name=p', '--zone=z1', '--project=q', '--poll=0.02', '--grace=5', '--ssh_patience=20']
UP = ' is up and costs money until this is run: '
REMOVE = 'gcloud compute tpus queued-resources delete p --zone=z1 --project=q --force --quiet'


@pytest.fixture
def place(tmp_path, monkeypatch):
  """place(**script) makes the cloud; runs that are left are ended."""
  here = tmp_path / 'cloud'
  monkeypatch.setenv('PATH', f'{here}/bin:{os.environ["PATH"]}')
  monkeypatch.setenv('CLOUD_HERE', str(here))
  monkeypatch.setenv('JAXALIGN_PYTHON', sys.executable)
  for name in pod.SECRETS:
    monkeypatch.delenv(name, raising=False)

  def make(**script):
    cloud.install(here, **script)
    return here

  yield make
  monkeypatch.setattr(cloud, 'HERE', here)
  cloud.lose_machines()


@pytest.fixture
def go(capsys):
  """go('up', ...) -> (exit status, lines)."""

  def run(verb, *flags, command=None):
    slice_ = [] if any(f.startswith('--slice') for f in flags) else ['--slice=v5e-16']
    after = ['--', *command] if command else []
    status = pod.main([verb, *BASE, *slice_, *flags, *after])
    return status, capsys.readouterr().out.splitlines()

  return run


@pytest.fixture
def toy(tmp_path):
  """toy(code): a command; `n` counts how often this worker began it, `me` is its number."""

  def write(code):
    path = tmp_path / 'toy.py'
    path.write_text(
      'import os, pathlib, signal, sys, time\n'
      'me = int(os.environ["HOME"][-1])\n'
      f'tally = pathlib.Path({str(tmp_path)!r}) / f"began{{me}}"\n'
      'n = len(tally.read_text()) if tally.exists() else 0\n'
      'tally.write_text("x" * (n + 1))\n'
      'print(f"begin {n}")\n' + code
    )
    return ['python', str(path)]

  return write


def began(tmp_path):
  return [len((tmp_path / f'began{w}').read_text()) for w in range(2)]


def test_up_waits_runs_and_says_what_stays(place, go, toy, tmp_path):
  here = place(states=['WAITING_FOR_RESOURCES'] * 3 + ['PROVISIONING', 'ACTIVE'])
  status, said = go('up', command=toy('print("step 7/7")'))
  assert status == 0, said
  assert said[:3] == [
    'p: asked for',
    'waiting for p: WAITING_FOR_RESOURCES',
    'waiting for p: PROVISIONING',
  ]
  assert 'begin 0' in said and 'step 7/7' in said and said[-2] == 'done'
  assert said[-1] == 'p' + UP + REMOVE
  assert began(tmp_path) == [1, 1]
  made = cloud.calls(here, 'create')
  assert len(made) == 1 and '--accelerator-type=v5litepod-16' in made[0]['argv']
  assert '--runtime-version=v2-alpha-tpuv5-lite' in made[0]['argv']


@pytest.mark.slow
def test_everything_twice_is_done_once(place, go, toy, tmp_path):
  here = place()
  command = toy('print("step 1/1")')
  for _ in range(2):
    assert go('up', command=command)[0] == 0
  assert len(cloud.calls(here, 'create')) == 1 and began(tmp_path) == [2, 2]
  for _ in range(2):
    status, said = go('down')
    assert status == 0 and said[-1] == 'nothing is left up: p is not there', said
  assert len(cloud.calls(here, 'delete')) == 1
  assert go('status') == (0, ['p: NONE'])
  assert go('stop') == (0, ['p is not there: nothing runs'])
  status, said = go('run', command=command)
  assert status == 1 and 'up asks for it' in said[0] and said[-1].startswith('nothing is left up')


def test_stop_ends_it_well(place, go, toy, tmp_path):
  place()
  wait = 'signal.signal(15, lambda *_: sys.exit(0))\nprint("step 1/9", flush=True)\ntime.sleep(60)'
  first = subprocess.Popen(
    [sys.executable, '-m', 'launch.pod', 'up', *BASE, '--slice=v5e-16', '--', *toy(wait)],
    stdout=subprocess.PIPE, text=True,
  )  # fmt: skip
  for line in first.stdout:
    if 'step 1/9' in line:
      break
  assert 'worker 1: running  step 1/9' in go('status')[1]
  assert go('logs', '--worker=1')[1][-1] == 'step 1/9'
  assert 'there are 2, from 0' in go('logs', '--worker=2')[1][-1]
  refused, said = go('run', command=['python', 'other.py'])
  assert refused == 1 and 'runs another command' in said[-2] and said[-1] == 'p' + UP + REMOVE
  status, said = go('stop')
  assert status == 0 and said[-3:-1] == [f'worker {n}: ended with exit status 0' for n in range(2)]
  rest = first.communicate(timeout=60)[0].splitlines()
  assert first.returncode == 0 and rest[-2].startswith('stopped, as asked'), rest
  assert rest[-1] == 'p' + UP + REMOVE and began(tmp_path) == [1, 1]


def test_no_capacity_for_a_while(place, go, toy):
  here = place(create=['RESOURCE_EXHAUSTED: There is no more capacity in the zone', ''])
  status, said = go('up', command=toy(''))
  assert status == 0 and 'no more capacity' in said[0] and len(cloud.calls(here, 'create')) == 2


def test_no_capacity_ever(place, go, toy):
  place(states=['WAITING_FOR_RESOURCES'])
  status, said = go('up', '--wait=0.0001', command=toy(''))
  assert status == 1 and 'no capacity within' in said[-2]
  assert said[-1] == 'p is WAITING_FOR_RESOURCES and will cost money until this is run: ' + REMOVE


def test_a_quota_is_not_waited_for(place, go, toy):
  here = place(create=["Quota limit 'TPUV5s' has been exceeded: RESOURCE_EXHAUSTED"] * 9)
  status, said = go('up', command=toy(''))
  assert status == 1 and 'was refused' in said[-2] and 'Quota' in said[-2]
  assert said[-1] == 'nothing is left up: p is not there' and len(cloud.calls(here, 'create')) == 1


def test_a_request_that_failed(place, go, toy):
  here = place(states=['FAILED:quota TPUV5s exceeded'])
  status, said = go('up', command=toy(''))
  assert status == 1 and 'the request failed: quota' in said[-2]
  assert said[-1].startswith('p is FAILED: it costs nothing') and said[-1].endswith(REMOVE)
  (here / 'script.json').write_text(json.dumps(dict(workers=2, account='me')))
  state = json.loads((here / 'state.json').read_text())
  state['queue'] = ['FAILED:no capacity in the interval']
  (here / 'state.json').write_text(json.dumps(state))
  status, said = go('up', command=toy(''))
  assert status == 0 and 'p is FAILED (no capacity in the interval): asking anew' in said
  assert len(cloud.calls(here, 'delete')) == 1 and len(cloud.calls(here, 'create')) == 2


def test_preempted_in_mid_run(place, go, toy, tmp_path):
  """The third look at worker 0 finds nothing: another machine, the same command."""
  here = place(preempt='status0:3')
  code = 'print(f"going on from step {3 * n}", flush=True)\nif n == 0: time.sleep(60)'
  status, said = go('up', '--spot', command=toy(code))
  assert status == 0, said
  assert 'p is SUSPENDED: preempted, or removed' in said
  assert 'gone: starting again from the last save (1 of 50)' in said
  assert began(tmp_path) == [2, 2] and len(cloud.calls(here, 'delete')) == 1
  assert [c for c in cloud.calls(here, 'create') if '--spot' in c['argv']] == cloud.calls(
    here, 'create'
  )
  assert len(cloud.calls(here, 'create')) == 2 and 'going on from step 3' in said


def test_one_worker_is_killed(place, go, toy, tmp_path):
  """The other waits for it in vain: both begin again, and what was said is streamed once."""
  place()
  code = """
if n == 0 and me == 1:
  time.sleep(0.3); os.kill(os.getpid(), 9)
if n == 0: print('step 3/9', flush=True); time.sleep(100)
print('step 9/9')
"""
  status, said = go('up', '--grace=0.2', command=toy(code))
  assert status == 0, said
  assert '--- worker 1: killed by signal 9' in said
  assert 'worker 1 was killed by signal 9: starting again from the last save (1 of 50)' in said
  assert said.count('step 3/9') == 1 and said.count('step 9/9') == 1
  assert began(tmp_path) == [2, 2]


def test_bad_input_is_shown_and_not_tried_again(place, go, toy, tmp_path):
  place()
  status, said = go('up', command=toy('print("error: no such field"); sys.exit(2)'))
  assert (
    status == 1 and 'the command refused its input' in said[-2] and said[-1] == 'p' + UP + REMOVE
  )
  assert said.count('error: no such field') == 3  # streamed, and both tails
  assert began(tmp_path) == [1, 1]


@pytest.mark.slow
def test_what_breaks_at_once_is_not_tried_for_ever(place, go, toy, tmp_path):
  place()
  status, said = go('up', command=toy('print("step 5/9"); sys.exit(me)'))
  assert status == 1 and '3 times in a row it was broken before any new step' in said[-2]
  assert began(tmp_path) == [4, 4]  # the first reached step 5
  assert '--- worker 1: ended with exit status 1' in said and said[-1] == 'p' + UP + REMOVE


@pytest.mark.slow
def test_told_to_stop_by_its_machine(place, go, toy, tmp_path):
  place()
  code = 'print("told to stop: saved at step 4" if n == 0 else "step 9/9")'
  status, said = go('up', command=toy(code))
  assert status == 0 and 'its machine told it to stop: starting again' in ' '.join(said)
  assert began(tmp_path) == [2, 2]


def test_ssh_that_hangs(place, go, toy, tmp_path):
  place(hangs={'start1': 1, 'status0': 1})
  status, said = go('up', '--ssh_patience=2', command=toy('print("step 1/1")'))
  assert status == 0, said
  assert any('worker 0 does not answer (no answer within 2 s)' in line for line in said)
  assert began(tmp_path) == [1, 1]


def test_a_dead_worker_is_named(place, go, toy, tmp_path):
  place(dead='1')
  status, said = go('up', command=toy(''))
  assert status == 1 and 'worker 1 could not install; worker 1 says: ERROR' in said[-2], said
  assert 'return code [255]' in said[-2] and said[-1] == 'p' + UP + REMOVE
  assert not (tmp_path / 'began0').exists()


def test_a_copy_that_breaks_off_is_made_again(place, go, toy):
  place(scp_breaks={'0': 2, '1': 1})
  assert go('up', command=toy(''))[0] == 0


UV = """#!/bin/sh
echo "$ANSWERS uv $*" >> "$CLOUD_HERE/uv"
case "$1" in
  venv) for last; do :; done; mkdir -p "$last/bin"
    printf '#!/bin/sh\\ntest "$1" = -c && exit\\nexec %s "$@"\\n' "$REAL" > "$last/bin/python"
    chmod +x "$last/bin/python";;
  pip) test "$(cat "$CLOUD_HERE/broken")" != yes || { echo 'the download broke off'; exit 1; }
    case "$ANSWERS" in prepare1:1) echo 'no space left'; exit 1;; esac;;
esac
"""


@pytest.fixture
def uv(place, monkeypatch):
  here = place()
  monkeypatch.delenv('JAXALIGN_PYTHON')
  monkeypatch.setenv('REAL', sys.executable)
  (here / 'broken').write_text('no')
  (here / 'bin' / 'uv').write_text(UV.replace('\\\\n', '\\n'))
  (here / 'bin' / 'uv').chmod(0o755)
  return here


@pytest.mark.slow
def test_a_partial_installation_is_made_anew_and_a_whole_one_kept(uv, go, toy, tmp_path):
  status, said = go('up', command=toy(''))
  assert status == 0 and '1 of 2 workers could not install; once more' in said, said
  made = [line for line in (uv / 'uv').read_text().splitlines() if ' uv venv ' in line]
  assert [line.split()[0] for line in made] == ['prepare0:1', 'prepare1:1', 'prepare1:2']
  assert '--require-hashes' in (uv / 'uv').read_text()
  assert go('up', command=toy('# again'))[0] == 0
  assert len([x for x in (uv / 'uv').read_text().splitlines() if ' uv venv ' in x]) == 3


def test_an_installation_that_fails_is_shown(uv, go, toy, tmp_path):
  (uv / 'broken').write_text('yes')
  status, said = go('up', command=toy(''))
  assert status == 1 and 'worker 0, 1 could not install' in said[-2]
  assert 'the download broke off' in said[-2] and said[-1] == 'p' + UP + REMOVE
  assert not (tmp_path / 'began0').exists()


def test_nobody_is_logged_in(place, go, toy):
  here = place()
  (here / 'script.json').write_text(json.dumps(dict(workers=2, account='')))
  status, said = go('up', command=toy(''))
  assert status == 1 and said[0] == 'error: gcloud has no active account: gcloud auth login'
  assert not cloud.calls(here, 'create')


def test_no_gcloud_at_all(go, toy, monkeypatch, tmp_path):
  monkeypatch.setenv('PATH', '/nowhere')
  status, said = go('up', command=toy(''))
  assert status == 1 and 'gcloud cannot be started' in said[0] and REMOVE in said[-1]


def test_an_up_that_breaks_off_says_what_it_left(place, go, toy):
  """The request was made, and its answer was lost."""
  place(create_breaks=True)
  status, said = go('up', command=toy(''))
  assert status == 1 and 'broke off' in said[-2]
  assert said[-1] == 'p is WAITING_FOR_RESOURCES and will cost money until this is run: ' + REMOVE


def test_where_nobody_can_say_it_may_be_up(place, go, toy):
  place(describe='PERMISSION_DENIED: reauth needed')
  status, said = go('up', command=toy(''))
  assert (
    status == 1
    and said[-1].startswith('p may be up and cost money (')
    and said[-1].endswith(REMOVE)
  )


def test_down_that_fails_says_so(place, go, toy):
  here = place()
  go('up', command=toy(''))
  script = json.loads((here / 'script.json').read_text())
  (here / 'script.json').write_text(json.dumps(script | dict(delete='INTERNAL: try later')))
  status, said = go('down')
  assert status == 1 and 'could not be removed' in said[-2] and said[-1] == 'p' + UP + REMOVE


def test_down_after_removes_it_also_when_the_run_fails(place, go, toy):
  here = place()
  status, said = go('up', '--down_after', command=toy('sys.exit(2)'))
  assert status == 1 and said[-1] == 'nothing is left up: p is not there'
  assert len(cloud.calls(here, 'delete')) == 1


def test_a_machine_of_others_is_neither_made_nor_removed(place, go, toy):
  here = place()
  status, said = go('up', '--existing', command=toy(''))
  assert status == 1 and 'there is no TPU VM p to run on' in said[0]
  with_node = json.loads((here / 'state.json').read_text()) | dict(node='READY')
  (here / 'state.json').write_text(json.dumps(with_node))
  for worker in range(2):
    cloud.machine(here / f'w{worker}')
  status, said = go('up', '--existing', '--down_after', command=toy(''))
  assert status == 0 and said[-1].endswith('tpu-vm delete p --zone=z1 --project=q --quiet')
  assert 'add --existing' in go('status')[1][-1]
  status, said = go('down', '--existing')
  assert status == 2 and 'was not made here' in said[0]
  assert not cloud.calls(here, 'create') and not cloud.calls(here, 'delete')


def test_secrets_go_by_standard_input_alone(place, go, toy, monkeypatch, tmp_path):
  here, value = place(), 'hf_' + '8' * 20  # which this file, sent along, does not hold
  monkeypatch.setenv('HF_TOKEN', value)
  monkeypatch.setenv('MINE', value[::-1])
  code = 'print("I know", os.environ["HF_TOKEN"], os.environ["MINE"])'
  status, said = go('up', '--env=MINE', command=toy(code))
  assert status == 0 and 'I know *** ***' in said and '888' not in ' '.join(said)
  made = cloud.calls(here)
  assert not any('888' in word for call in made for word in call['argv'])
  told = [call['argv'][-1] for call in made if value in call['given']]
  assert len(told) == 2 and all('worker.py prepare' in command for command in told)
  held = here / 'w1' / 'jaxalign-pods' / 'p' / 'env.json'
  assert stat.S_IMODE(held.stat().st_mode) == 0o600
  assert json.loads(held.read_text()) == dict(HF_TOKEN=value, MINE=value[::-1])
  known = ('env.json', 'calls.jsonl', 'log')  # the toy prints it
  others = [p for p in here.rglob('*') if p.is_file() and p.name not in known]
  assert not any(value.encode() in p.read_bytes() for p in others)
  status, said = go('up', '--env=NOT_SET', command=toy(''))
  assert status == 2 and 'NOT_SET is not set here' in said[0]


def test_dry_run_runs_nothing_and_shows_all(go, monkeypatch):
  monkeypatch.setenv('HF_TOKEN', 'hf_very_secret')
  path = [d for d in os.environ['PATH'].split(':') if os.path.exists(f'{d}/git')][0]
  monkeypatch.setenv('PATH', path)
  monkeypatch.setattr(subprocess, 'Popen', only_git(subprocess.Popen))
  config = ['--config=configs/ppo_llama2_7b.py', '--workdir=gs://b/ppo', '--config.steps=7']
  status, said = go('up', '--slice=v5p-128', '--dry_run', command=config)
  assert status == 0 and 'very_secret' not in ' '.join(said)
  commands = [shlex.split(line) for line in said if line.startswith('gcloud ')]
  for worker in range(16):
    mine = [c for c in commands if f'--worker={worker}' in c]
    assert {'scp', 'ssh'} <= {c[4] for c in mine}
    assert any('start ~/jaxalign-pods/p' in c[-1] and '--config.steps=7' in c[-1] for c in mine)
  assert '--accelerator-type=v5p-128' in next(c for c in commands if 'create' in c)
  for verb in ('stop', 'down', 'status', 'logs', 'run'):
    status, said = go(verb, '--dry_run', command=config if verb == 'run' else None)
    assert status == 0 and said[0].startswith('gcloud '), verb


def only_git(real):
  def start(argv, *given, **how):
    assert argv[0] == 'git', argv
    return real(argv, *given, **how)

  return start


@pytest.mark.parametrize(
  'flags, command, says',
  [
    (['--name=Big_Name'], ['x'], '--name=Big_Name: lower case'),
    (['--slice=v5e-63'], ['x'], 'there is no such slice; there are v5e-1, v5e-4'),
    (['--slice=h100-8'], ['x'], 'kinds are v4, v5e, v5p, v6e'),
    ([], None, 'give the command after --'),
    ([], ['--config=configs/none.py', '--workdir=gs://b/x'], 'git tracks no such file'),
    ([], ['--config=configs/ppo_phi2.py', '--workdir=out'], '--workdir=out: name a gs:// place'),
    (['--slice=local-2'], ['--config=configs/ppo_phi2.py', '--workdir=out'], 'from the root'),
    (['--slice=local-0'], ['x'], 'from 1 to 64'),
    (['--zone='], ['x'], '--zone is missing'),
    (['--gke'], ['x'], '--image is missing'),
  ],
)
def test_bad_arguments(go, flags, command, says):
  status, said = go('up', *flags, command=command)
  assert status == 2 and len(said) == 1 and says in said[0], said


@pytest.mark.parametrize(
  'name, type, hosts, topology',
  [
    ('v5e-8', 'v5litepod-8', 1, '2x4'),
    ('v5e-256', 'v5litepod-256', 64, '16x16'),
    ('v4-8', 'v4-8', 1, '2x2x1'),
    ('v5p-128', 'v5p-128', 16, '4x4x4'),
    ('v6e-16', 'v6e-16', 4, '4x4'),
  ],
)
def test_slices(name, type, hosts, topology):
  found = pod.accelerators.find(name)
  assert (found.type, found.hosts, found.topology) == (type, hosts, topology)


def test_the_checkout_is_what_git_tracks(tmp_path):
  import tarfile

  git = lambda *words: subprocess.run(['git', '-C', tmp_path, *words], check=True)
  git('init', '-q')
  (tmp_path / 'a.py').write_text('1')
  (tmp_path / 'gone.py').write_text('1')
  git('add', '.')
  (tmp_path / 'gone.py').unlink()
  (tmp_path / 'notes.txt').write_text('mine')
  (tmp_path / 'a.py').write_text('2')
  path, mark = checkout.pack(tmp_path / 'x.tar', tmp_path)
  with tarfile.open(path) as tar:
    assert tar.getnames() == ['a.py'] and tar.extractfile('a.py').read() == b'2'
  assert checkout.pack(tmp_path / 'y.tar', tmp_path)[1] == mark
  (tmp_path / '.env').write_text('HF_TOKEN=x')
  git('add', '-f', '.env')
  with pytest.raises(pod.PodError, match='.env looks like a secret'):
    checkout.tracked(tmp_path)


def test_the_lock_file_names_hashes_and_no_registry():
  text = (checkout.ROOT / 'launch' / 'requirements-tpu.lock').read_text()
  assert '://' not in text and '\njax==' in text and '\nlibtpu==' in text and '\ngcsfs==' in text
  pins = re.findall(r'^[a-z0-9][^ ]*==.*$', text, re.MULTILINE)
  assert len(pins) > 50 and all(line.endswith('\\') for line in pins)


def test_a_jobset_for_gke(go, monkeypatch, tmp_path):
  yaml = pytest.importorskip('yaml')
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('HF_TOKEN', 'hf_very_secret')
  command = ['--config=configs/ppo_phi2.py', '--workdir=gs://b/x']
  assert (
    go('up', '--gke', '--image=i:1', '--slice=v5e-64', '--num_slices=2', command=command)[0] == 0
  )
  text = (tmp_path / 'p.yaml').read_text()
  assert 'secret' not in text.replace('secretRef', '').replace('p-secrets', '')
  spec = yaml.safe_load(text)['spec']['replicatedJobs'][0]
  assert spec['replicas'] == 2 and spec['template']['spec']['parallelism'] == 16
  inside = spec['template']['spec']['template']['spec']
  assert inside['nodeSelector']['cloud.google.com/gke-tpu-topology'] == '8x8'
  container = inside['containers'][0]
  assert container['resources']['limits']['google.com/tpu'] == 4
  assert container['command'] == ['python', '-m', 'jaxalign.main', *command]
  assert go('down', '--gke')[1] == ['kubectl delete jobset p']


def test_what_waiting_may_help():
  assert gcloud.is_capacity('RESOURCE_EXHAUSTED: no more capacity')
  assert not gcloud.is_capacity('RESOURCE_EXHAUSTED: Quota exceeded')
  assert not gcloud.is_capacity('INVALID_ARGUMENT: accelerator type')


def test_a_pod_of_local_processes(go, toy, tmp_path):
  flags = ['--slice=local-2', f'--root={tmp_path}/pods']
  code = 'print(os.environ["JAX_PROCESS_ID"], "of", os.environ["JAX_NUM_PROCESSES"])'
  status, said = go('up', *flags, command=toy(code))
  assert status == 0 and '0 of 2' in said and began(tmp_path) == [1, 1], said
  assert 'worker 1: ended with exit status 0  1 of 2' in go('status', *flags)[1]
  assert go('down', *flags)[0] == 0 and not (tmp_path / 'pods' / 'p').exists()
