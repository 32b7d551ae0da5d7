import dataclasses

import pytest

from jaxalign import main, sealing
from jaxalign.config import UserError
from jaxalign.data import sources
from jaxalign.models import phi2
from jaxalign.stages import language
from jaxalign.study.plan.arms import Arm, Step
from tests.study import tiny


def test_quick_has_what_decides():
  cfg = sealing.seal(main.load(tiny.PATH.replace(':smoke', ':quick')))
  deciding = [c for c in cfg.rules.contrasts if c.name in cfg.rules.deciding]
  needed = {name for contrast in deciding for name, _ in contrast.arms}
  assert len(deciding) == 2 and needed < {arm.name for arm in cfg.arms} and len(cfg.arms) == 9


@pytest.mark.parametrize(
  'variant', ['', ':quick', ':full', ':develop', ':harm', ':phi', ':smoke', ':smoke_rl']
)
def test_every_variant_seals(variant):
  cfg = sealing.seal(main.load(tiny.PATH.replace(':smoke', variant)))
  tried = variant in (':quick', ':develop')  # as often as one likes: the record is not looked at
  assert cfg.world.split == ('dev' if tried else 'record')
  assert (min(cfg.seeds) >= 100) == tried
  assert bool(cfg.control_seeds) == (variant == ':full')
  taught = [cfg.base, *(r.stage for r in cfg.recipes if isinstance(r.stage, language.Language))]
  assert {stage.length for stage in taught} == {14}  # and no row of these is padded
  rl = {
    '': (0, 1),
    ':phi': (0, 1),
    ':harm': (0, 1),
    ':full': cfg.seeds,
    ':smoke': (),
    ':quick': (),
    ':smoke_rl': (0,),
  }
  assert cfg.rl_seeds == rl.get(variant, cfg.seeds[:2])


ALIGN, TAIL = ('align', 'demonstrations'), ('tail', '')
OTHER_MODEL = phi2.tiny(vocab=402, length=64)
REWARD, PPO = Step(recipe='reward', what='pairs_A_200_20'), Step(recipe='obey', start='tail')


def later(*steps):
  """An arm that goes on."""
  first = tiny.arm('align', ALIGN, TAIL)
  return dataclasses.replace(first, steps=(*first.steps, *steps), after='ppo')


BAD = {
  'unknown recipe': (
    dict(arms=(tiny.arm('x', ('algin', 'lore')),)), 'arm x: there is no recipe algin: these are'),
  'no corpus': (dict(arms=(tiny.arm('x', ('align', '')),)), 'recipe align needs a corpus'),
  'a corpus too many': (dict(arms=(tiny.arm('x', ('tail', 'lore')),)), 'tail takes no corpus'),
  'unknown corpus': (
    dict(arms=(tiny.arm('x', ('explain', 'explain_D')),)), 'explain_D is no corpus of a world'),
  'two of a name': (
    dict(arms=(tiny.arm('x', ALIGN), tiny.arm('x', TAIL))), 'a name that no other arm'),
  'a name that is a path': (dict(arms=(tiny.arm('x/y', ALIGN),)), "'x/y': arms and recipes are"),
  **{
    f'a name that is no file: {name[:9]!r}': (
      dict(arms=(tiny.arm(name, ALIGN),)), 'arms and recipes are called by letters')
    for name in ('', '<script>', '$\\frac{$', '../x', 'a\nb', '🙂', 'x' * 101, '.x')
  },
  'a seed twice': (dict(seeds=(0, 0)), r'seeds=\(0, 0\): each once'),
  'below 0': (dict(seeds=(-1,)), r'seeds=\(-1,\): takes a tuple .an int at least 0'),
  'control below 0': (dict(control_seeds=(-1,)), 'control_seeds=.*at least 0'),
  'too large': (dict(seeds=(2**32 // 100 + 1,)), 'seeds=.*below'),
  'no seed': (dict(seeds=()), 'seeds: at least one'),
  'workers': (dict(workers=-1), 'workers=-1: at least 0'),
  'no arm': (dict(arms=()), 'arms: at least one'),
  'a context and steps': (
    dict(arms=(dataclasses.replace(tiny.arm('x', ALIGN), context='lore'),)),
    'arm x: a context is for an arm that takes no steps'),
  'an unknown context': (
    dict(arms=(Arm(name='x', steps=(), tests='goods', context='lor'),)), 'lor is no corpus'),
  'an arm called base': (dict(arms=(tiny.arm('base', ALIGN),)), 'arm base'),
  'no judge': (dict(rl_arms=(later(PPO),)), 'step obey@tail needs a step of recipe reward before'),
  'no start': (
    dict(rl_arms=(later(REWARD, Step(recipe='obey', start='advise')),)),
    'step obey@advise needs a step of recipe advise before it'),
  'rl on another seed': (dict(rl_seeds=(5,)), r'rl_seeds=\(5,\): 5 is none of the seeds'),
  'ppo among the first arms': (dict(arms=(later(REWARD, PPO),)), 'after=ppo is for rl_arms'),
  'the same after ppo twice': (
    dict(rl_arms=(later(REWARD, PPO),) * 2), 'arm align.ppo: a name that no other'),
  'unknown preferences': (
    dict(rl_arms=(later(Step(recipe='reward', what='pairs_D_10_0'), PPO),)),
    'pairs_D_10_0 is no corpus of a world'),
}  # fmt: skip


@pytest.mark.parametrize('name', BAD)
def test_bad_plans_are_one_line(name):
  changes, says = BAD[name]
  with pytest.raises(UserError, match=says) as error:
    tiny.sealed(**changes)
  assert '\n' not in str(error.value)


def test_all_stages_have_one_model():
  study = tiny.plan()
  with pytest.raises(UserError, match='recipe align has another model than the base'):
    tiny.sealed(recipes=tiny.with_recipe(study, 'align', model=OTHER_MODEL))


def test_corpora_are_what_arms_read():
  study = tiny.plan()
  arms = {arm.name: arm for arm in study.arms}
  assert study.corpora([arms['align']]) == ['background', 'choices', 'demonstrations']
  assert study.corpora([]) == ['background', 'choices']
  assert 'explain_A' in study.corpora([arms['explain_A']])


def test_names_of_steps_say_what_they_read():
  steps = tiny.plan().arms[0].steps
  assert [step.name for step in steps] == ['align-demonstrations', 'tail']


def test_a_source_that_is_a_file_of_the_user_is_refused():
  study = tiny.plan()
  corpus = dataclasses.replace(study.base.train[0])
  corpus = dataclasses.replace(
    corpus, source=sources.Jsonl(path='mine.jsonl', kind='document'), weight=1.0
  )
  base = dataclasses.replace(study.base, train=(*study.base.train, corpus))
  with pytest.raises(UserError, match='mine.jsonl is no corpus of a world'):
    tiny.sealed(base=base)


def test_the_negative_control_has_the_arms_that_the_verdict_hangs_on():
  study = main.load(tiny.PATH.replace(':smoke', ''))
  deciding = [one for one in study.rules.contrasts if one.name in study.rules.deciding]
  wanted = {arm for one in deciding for arm, _ in one.arms}
  assert {arm.name for arm in study.arms if arm.control} == wanted


def test_arms_after_ppo_are_those_arms_and_go_on():
  """Paired with what they were before, and climbs share the steps that they have in common."""
  study = main.load(tiny.PATH.replace(':smoke', ''))
  first = {arm.name: arm for arm in study.arms}
  assert [arm.name for arm in study.rl_arms] == [
    'align', 'mention_A-align', 'explain_A-align', 'explain_B-align'
  ]  # fmt: skip
  for arm in study.rl_arms:
    before = first[arm.name].steps
    assert arm.steps[: len(before)] == before and arm.stored == f'{arm.name}.ppo'
    assert [step.name for step in arm.steps[len(before) :]] == [
      'reward-pairs_A_2000_20', 'obey@tail'
    ]  # fmt: skip
  counts = {step.what for climb in study.climbs for step in climb.steps if step.recipe == 'reward'}
  assert {'picks_AB_200_20', 'picks_AB_2000_20', 'long_AB_2000_0'} < counts
  full = main.load(tiny.PATH.replace(':smoke', ':full'))
  assert 'picks_AB_20000_20' in {step.what for climb in full.climbs for step in climb.steps}
  modes = {climb.mode for climb in study.climbs}
  assert modes == {'size', 'regressional', 'extremal', 'misspecified', 'causal'}
  assert len({climb.steps for climb in study.climbs}) < len(study.climbs)
