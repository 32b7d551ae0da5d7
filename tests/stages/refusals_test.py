"""Every rule of every stage's list is raised by its run before anything is tokenised, and shown by
its doctor in the same words; a rule that is added here without a config that breaks it fails."""

import dataclasses
import sys

import pytest
from etils import epath

from benchmarks.faults import stages as smallest
from jaxalign import sealing
from jaxalign.config import AdamW, Logging, Mesh, UserError
from jaxalign.data import chat
from jaxalign.rl.judges import Judge
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import bon, refusals
from jaxalign.stages.doctors.doctor import Machine

LISTS = dict.fromkeys(('explain', 'sft', 'reward', 'dpo'), refusals.LEARNING)
LISTS |= dict(ppo=refusals.PPO, bon=refusals.BON)
BROKEN = dict(
  mesh=dict(mesh=Mesh(data=3)),  # in no list: the run makes its mesh, which says the same
  host=dict(),  # of little memory, below
  init=dict(init='/no/such/place'),
  tokenizer=dict(model=dataclasses.replace(smallest.model(), vocab=1000)),
  format=dict(format=dataclasses.replace(chat.TRANSCRIPT, answer=' ')),
  reference=dict(reference='/no/such/place'),
  logging=dict(logging=Logging(wandb='values')),
  batch=dict(mesh=Mesh()),  # 8 ways, and 4 rows
  weights=dict(optim=AdamW(decayed=('nothing*',))),
  critic=dict(critic='/no/such/place'),
  judges=dict(gold=(Judge(by='/no/such/place'),)),
  gold=dict(gold=(Judge(by=smallest.share_of_e),)),
  ppo=dict(ppo='/no/such/place'),
  page=dict(page=True),
)
EVERY = [(stage, name) for stage, rules in LISTS.items() for name, _ in (('mesh', 0), *rules)]


@pytest.fixture(autouse=True)
def bare(monkeypatch):
  """A host without the extras."""
  for package in ('wandb', 'matplotlib'):
    monkeypatch.setitem(sys.modules, package, None)


def told(stage, workdir, **changes):
  """(what the run raised, {name: Check} of the doctor); its corpora are not there."""
  changes = dict(mesh=Mesh(tensor=2), batch=4) | changes
  cfg = sealing.seal(dataclasses.replace(smallest.get_config(f'{stage}_of_file'), **changes))
  module = sys.modules[type(cfg).__module__]
  with pytest.raises(UserError) as error:
    module.run(cfg, epath.Path(workdir))
  checks = module.doctor(cfg, None, Machine.of_this_process())
  return ' '.join(str(error.value).split()), {check.name: check for check in checks}


@pytest.mark.parametrize('stage, name', EVERY)
def test_a_run_is_refused_as_its_doctor_says_before_anything_is_tokenised(
  stage, name, tmp_path, monkeypatch
):
  if name == 'host':
    monkeypatch.setattr('os.sysconf', lambda name: 64)  # pages of 64 bytes, 64 of them
  said, checks = told(stage, tmp_path, **BROKEN[name])
  assert (checks[name].state, checks[name].why) == ('FAIL', said)
  assert not any(tmp_path.iterdir())
  rules = [rule for rule, _ in LISTS[stage]]
  others = {checks[rule].state for rule in rules if rule != name}
  assert 'FAIL' not in others, 'the case breaks one rule alone'


def test_a_run_that_older_releases_let_begin_goes_on():
  """Of batches that no microbatch splits evenly, and of ends that the model does not know."""
  cfg = smallest.get_config('sft')
  cfg = dataclasses.replace(cfg, batch=8, microbatches=4, mesh=Mesh(fsdp=8))
  cfg = sealing.seal(dataclasses.replace(cfg, model=dataclasses.replace(cfg.model, eos=(7,))))
  mesh = make_mesh(1, 8, 1)
  rules = dict(refusals.LEARNING)
  for name in ('tokenizer', 'batch'):
    rules[name](cfg, refusals.Found(mesh=mesh, init=None, resumes=True))
    with pytest.raises(UserError):
      rules[name](cfg, refusals.Found(mesh=mesh, init=None, resumes=False))


@pytest.mark.parametrize('stage', LISTS)
def test_what_nothing_refuses_reaches_its_corpora(stage, tmp_path):
  said, checks = told(stage, tmp_path)
  assert 'no-such-file.jsonl' in said
  assert {checks[name].state for name, _ in LISTS[stage]} == {'ok'}


def test_a_slice_s_hosts_are_not_judged_by_this_one(monkeypatch):
  monkeypatch.setattr('os.sysconf', lambda name: 64)
  cfg = sealing.seal(dataclasses.replace(smallest.get_config('bon'), page=True, batch=64))
  found = {check.name: check for check in bon.doctor(cfg, None, Machine.of('v5e-16'))}
  assert (found['host'].state, found['page'].state) == ('skipped', 'skipped')
  assert 'v5e-16 is not here' in found['page'].why and found['judges'].state == 'ok'


def test_the_first_of_many_is_raised(tmp_path):
  several = BROKEN['gold'] | BROKEN['format'] | BROKEN['page'] | BROKEN['critic']
  for stage, other in (('ppo', 'page'), ('bon', 'critic')):
    changes = {field: value for field, value in several.items() if field != other}
    said, checks = told(stage, tmp_path, **changes)
    failed = [check.why for check in checks.values() if check.state == 'FAIL']
    assert said == failed[0] and 'no {answer}' in said and len(failed) > 2
