"""The command that makes a study again, told from its sealed plan alone."""

import dataclasses
import json
import shlex

import pytest

from jaxalign import main, overrides, sealing
from jaxalign.study.plan.arms import Arm
from jaxalign.study.report import command
from tests.study.tiny import ROOT

CONFIGS = f'{ROOT}/configs'


def plan_of(spec, *assigned):
  cfg = main.load(f'{CONFIGS}/{spec}' if '.py' in spec else spec)
  for name, text in assigned:
    overrides.override(cfg, name, text)
  return json.loads(sealing.to_json(sealing.seal(cfg)))


def again(told):
  """The plan that the flags make, read as a shell and main read them."""
  plain, assigned = overrides.of_arguments(shlex.split(' '.join(told.flags)))
  (spec,) = (flag.removeprefix('--config=') for flag in plain if flag.startswith('--config='))
  return plan_of(spec, *assigned)


@pytest.mark.parametrize(
  'spec, assigned',
  [
    ('study_why.py', ()),
    ('study_why.py:develop', (('seeds', '200,'), ('base.steps', '400'))),
    ('study_why.py:smoke', (('workers', '2'),)),
    ('study_why.py:full', (('world.world.kappa', '0'), ('control_seeds', '200,201'))),
    ('study_why.py', (('world.world.reasoned', '0.25'), ('controls', 'rho,'))),
    ('study_valueworld.py', ()),
    ('study_valueworld.py:quick', (('seeds', '7,8'), ('rl_seeds', '()'))),
    ('study_valueworld.py:full', (('base.optim.schedule.warmup', '3'),)),
    ('study_phi2.py', (('seeds', '0,1,2,'),)),
    ('study_llama2_7b.py', ()),
  ],
)
def test_the_flags_make_the_same_plan(spec, assigned):
  plan = plan_of(spec, *assigned)
  told = command.of_plan(plan)
  assert told.besides == () and told.flags[0] == f'--config={spec.replace(".py", "")}'
  assert not [one for one in sealing.diff(again(told), plan) if one[0] != 'workers']
  said = {flag.partition('=')[0] for flag in told.flags[2:]}
  assert said <= {f'--config.{name}' for name, _ in assigned}


def test_a_variant_is_known_by_what_it_makes():
  plan = plan_of('study_why.py:develop', ('seeds', '200,201,202'))
  assert command.of_plan(plan).flags == (
    '--config=study_why:develop', '--workdir=runs/why', '--config.seeds=200,201,202',
  )  # fmt: skip


def test_what_no_flag_says_is_named():
  plan = plan_of('study_why.py:develop')
  cfg = main.load(f'{CONFIGS}/study_why.py:develop')
  more = Arm(name='none', steps=(), tests='goods')
  other = dataclasses.replace(cfg, arms=(*cfg.arms, more))
  told = command.of_plan(json.loads(sealing.to_json(other)))
  assert told.besides == ('arms',) and 'study_why' in told.flags[0]
  assert command.of_plan(plan).besides == ()


def test_a_plan_of_another_kind_has_no_command(tmp_path):
  plan = plan_of('study_why.py:smoke')
  assert command.of_plan(plan, tmp_path) is None
  assert command.of_plan(plan | dict(world={'class': 'elsewhere:World'})) is None
  assert command.of_plan({}) is None


def test_a_plan_of_an_older_release_is_read():
  """It names classes by where they were, and lacks the fields that are young."""
  text = json.dumps(plan_of('study_valueworld.py', ('seeds', '0,1,2,3,4,5,6,7,')))
  old = json.loads(text.replace('jaxalign.study.plan.rules', 'jaxalign.study.rules'))
  assert command.of_plan(old).flags[0] == '--config=study_valueworld'
  assert command.of_plan(old).besides == ()


MINE = """
import dataclasses
from configs import study_why


def get_config():
  study = study_why.get_config()
  return dataclasses.replace(study, rules=dataclasses.replace(study.rules, share_floor=0.25))
"""


def test_a_young_field_at_its_default_is_in_no_plan_and_yet_a_flag(tmp_path):
  (tmp_path / 'study_mine.py').write_text(MINE)
  plan = plan_of('study_why.py')
  default = dataclasses.replace(main.load(f'{CONFIGS}/study_why.py').rules, share_floor=0.0)
  plan['rules'] = json.loads(sealing.to_json(default))
  assert 'share_floor' not in plan['rules']
  told = command.of_plan(plan, tmp_path)
  assert told.flags[2:] == ('--config.rules.share_floor=0.0',) and told.besides == ()
  plan['rules']['share_floor'] = 0.75
  assert command.of_plan(plan, tmp_path).flags[2:] == ('--config.rules.share_floor=0.75',)
  (tmp_path / 'study_broken.py').write_text('1 / 0')
  assert command.of_plan(plan, tmp_path).flags[0] == '--config=study_mine'


def test_values_fit_for_a_shell():
  plan = plan_of('study_valueworld.py:smoke', ('seeds', '3,'), ('rl_seeds', '()'))
  plan['arms'][0]['name'] = 'a; rm -rf $HOME'
  told = command.of_plan(plan)
  assert "--config.arms.0.name='a; rm -rf $HOME'" in told.flags
