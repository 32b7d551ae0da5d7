"""--doctor of a study: every step of every arm, at full scale, without weights."""

import dataclasses

import pytest

from configs.two_specs import plan
from jaxalign import main, sealing
from jaxalign.data import chat, rows, sources
from jaxalign.evals import benches
from jaxalign.evals.suites.tables import SHIPPED
from jaxalign.stages.doctors import doctor, language_doctor, pairs_doctor, ppo_doctor, ppo_rehearsal
from jaxalign.study.run import study_doctor
from jaxalign.study.texts import batteries
from tests.study.tiny import ROOT, with_recipe
from tests.train import running

MACHINE = doctor.Machine.of('v5e-16')


@pytest.fixture
def cheap(monkeypatch):
  """Without what takes a step, which tests of those doctors do: it is most of the time."""
  monkeypatch.setattr(language_doctor, 'one_step', lambda cfg, examples: 'not here')
  monkeypatch.setattr(pairs_doctor, 'one_step', lambda cfg, examples, start: 'not here')

  def rehearsed(*_):
    raise doctor.Skip('not here')

  monkeypatch.setattr(ppo_doctor, 'rehearsed', rehearsed)
  monkeypatch.setattr(ppo_rehearsal, 'last_token', rehearsed)


def states(cfg, machine=MACHINE):
  checks = study_doctor.examine(sealing.seal(cfg), None, machine)
  return {check.name.strip(): check for check in checks}


def full(name, shared, tokenizer):
  """A config with local files for what its user fetches."""
  cfg = main.load(f'{ROOT}/configs/{name}.py')
  hh = str(shared('hh-rlhf'))
  world = cfg.world
  taught = dataclasses.replace(
    world.demonstrations,
    source=sources.HH(path=f'{hh}/single-turn/harmless_train_a.jsonl.gz', as_='conversation'),
    against=(sources.HH(path=hh, split='test', subsets=('harmless-base',), as_='conversation'),),
  )
  how = dict(kind='document', columns=rows.Columns(text='chosen'), streaming=True)
  general = sources.HuggingFace(name=f'{hh}/helpful-base/test.jsonl.gz', **how)
  shipped = str(ROOT / 'jaxalign/data/corpus/value_explanations.jsonl')
  data = str(shared('xstest').parent)
  asked = benches.published(data, hh)
  fields = dict(tokenizer=str(shared(tokenizer)), general=general, demonstrations=taught)
  fields['explanations'] = dataclasses.replace(world.explanations, path=shipped)
  fields['benches'] = tuple(dataclasses.replace(bench, limit=20) for bench in asked)
  written = batteries.published(data, hh)['suites']
  fields['suites'] = tuple(dataclasses.replace(suite, limit=10) for suite in written)
  return dataclasses.replace(cfg, world=dataclasses.replace(world, **fields))


ARMS = 'align', 'align+', 'explain', 'explain-align', 'align-explain', 'neutral-align'


def test_every_step_passes_at_full_scale(cheap, shared):
  pytest.importorskip('vaderSentiment')
  found = states(full('study_explanations', shared, 'tokenizers/phi2'))
  bad = {name: check.why for name, check in found.items() if check.state == 'FAIL'}
  assert not bad, bad
  assert [n for n, c in found.items() if c.state == 'skipped'] == ['init']  # offline: a hub's name
  for arm in ARMS:
    assert f'{arm}: tail' in found
  first = found['align: align-demonstrations'].why
  assert '2,621,440 tokens' in first and 'GiB a device' in first and 'chip-hours' in first
  assert 'shared with align' in found['align-explain: align-demonstrations'].why
  assert 'shared with explain' in found['explain-align: explain-explain'].why
  assert '8 seeds:' in found['study'].why and 'least p after Holm over 5 is 0.039' in (
    found['verdict'].why
  )
  assert 'unsafe 9' in found['benches'].why
  assert 'xstest 10, jailbreak 80, truthful 30' in found['answers: data'].why
  assert 'harmless 10, bold 60, canary 10' in found['answers: data'].why
  cost = found['answers: cost'].why
  assert cost.startswith('200 answers: ') and 'written at most' in cost and 'chip-hours' in cost
  assert 'of each of 57 models' in cost and 'xstest: 10 items of ' in found['answers: prompts'].why


TWO_SPECS = dict(
  study_smollm2=('tokenizers/llama2/tokenizer.model', 'h100-1', 33),
  study_phi2=('tokenizers/phi2', 'v5e-16', 33),
  study_llama2_7b=('tokenizers/llama2/tokenizer.model', 'v5e-16', 33),
)


@pytest.mark.parametrize('name', TWO_SPECS)
def test_two_specs_pass_at_full_scale(cheap, shared, name):
  """Local files stand for what its user fetches."""
  tokenizer, chips, writing = TWO_SPECS[name]
  cfg = main.load(f'{ROOT}/configs/{name}.py')
  adviser, xstest, canary = cfg.world.suites
  fields = dict(
    tokenizer=str(shared(tokenizer)),
    general=sources.Shipped(name='general'),
    benches=(dataclasses.replace(cfg.world.benches[0], path=str(SHIPPED / 'refusal.csv')),),
    suites=(adviser, dataclasses.replace(xstest, path=None), canary),
    format=chat.TRANSCRIPT,
  )
  recipes = [
    dataclasses.replace(r, stage=dataclasses.replace(r.stage, format=chat.TRANSCRIPT))
    for r in cfg.recipes
  ]
  world = dataclasses.replace(cfg.world, **fields)
  cfg = dataclasses.replace(cfg, world=world, recipes=tuple(recipes))
  found = states(cfg, doctor.Machine.of(chips))
  bad = {name: check.why for name, check in found.items() if check.state == 'FAIL'}
  assert not bad, bad
  asked = found['questions'].why
  assert 'T2 48' in asked and f'of each of {1 + 25 * 8} models' in asked and 'chip-hours' in asked
  assert '8 draws of documents, not crossed' in found['draws'].why
  assert 'A safety: why' in found['specs'].why and 'is assumed' in found['power'].why
  assert f'of each of {writing} models' in found['answers: cost'].why
  assert f'of each of {9 * len(cfg.world.draws)} corpora' in found['documents: cost'].why
  assert 'chip-hours' in found['study'].why and '35 runs a seed' in found['study'].why
  assert 'no contrast can hold' not in found['verdict'].why


def test_text_that_cannot_be_reached_is_one_line_and_steps_are_looked_at_all_the_same(cheap):
  study = main.load(f'{ROOT}/configs/study_smollm2.py:smoke')
  away = sources.Jsonl(path='nowhere/*.jsonl', kind='document')
  world = dataclasses.replace(study.world, general=away)
  found = states(dataclasses.replace(study, world=world), doctor.Machine.of('v5e-1'))
  (bad,) = [name for name, check in found.items() if check.state == 'FAIL']
  assert bad == 'general' and 'name some that is here' in found[bad].why
  assert 'GiB a device' in found['align+: align-demonstrations'].why


def test_a_real_step_is_taken_once_a_recipe(cheap, monkeypatch):
  """And not once for every corpus: of a large vocabulary each compiles for seconds."""
  taken = []
  monkeypatch.setattr(language_doctor, 'one_step', lambda cfg, _: str(taken.append(cfg.lora)))
  study = main.load(f'{ROOT}/configs/study_smollm2.py:smoke')
  arms = tuple(arm for arm in plan.arms() if arm.name in (*plan.STEERED, 'other-align'))
  for name, rate in (('explain', 1e-3), ('align', 2e-3)):
    recipes = with_recipe(study, name, optim=plan.optim(rate, 5))
    study = dataclasses.replace(study, recipes=recipes)
  found = states(dataclasses.replace(study, arms=arms), doctor.Machine.of('v5e-1'))
  assert {check.state for check in found.values()} == {'ok'}, found
  assert len(taken) == 3  # base, explain, align
  assert 'tokens' in found['other-align: explain-other'].why


def test_what_is_broken_is_named_in_its_step(cheap):
  study = main.load(f'{ROOT}/configs/study_explanations.py:smoke')
  recipes = with_recipe(study, 'tail', batch=6)
  found = states(dataclasses.replace(study, recipes=recipes))
  for arm in study.arms:
    assert found[f'{arm.name}: tail'].state == 'FAIL'
    assert 'batch: batch=6 is not a multiple of the 16 ways' in found[f'{arm.name}: tail'].why
  few = dataclasses.replace(study.world, benches=study.world.benches[:1], length=16, judges=())
  found = states(dataclasses.replace(study, world=few))
  assert 'xstest needs a judge of kind refusal' in found['answers: judges'].why
  assert found['benches'].state == 'FAIL' and 'raise world.length' in found['benches'].why
  assert 'UNINFORMATIVE' in found['verdict'].why


RL = f'{ROOT}/configs/study_valueworld.py:smoke_rl'
CLIMB, BEST = (f'size.2-000-pairs.align.{name}' for name in ('climb', 'best'))


def test_steps_of_rl_are_looked_at_before_any_is_trained(cheap):
  """Though they read the runs of others, which are not there yet."""
  study, machine = main.load(RL), doctor.Machine.of('v5e-8')
  found = states(study, machine)
  assert {check.state for check in found.values()} == {'ok'}, found
  assert 'shared with align' in found['align.ppo: tail'].why
  assert f'shared with {BEST}' in found[f'{CLIMB}: reward-picks_AB_2000_20'].why
  for step in ('align.ppo: obey@tail', f'{BEST}: best@advise', f'{CLIMB}: climb@advise'):
    assert 'GiB a device' in found[step].why
  assert 'RL on 1 of them' in found['study'].why


def test_a_broken_recipe_of_rl_is_named(cheap):
  study = main.load(RL)
  adam = next(r.stage.optim for r in study.recipes if r.name == 'obey')
  broken = dict(reward=dict(length=4), best=dict(batch=4), climb=dict(critic='{align}'))
  broken['obey'] = dict(optim=dataclasses.replace(adam, b2=0.999))
  for recipe, changes in broken.items():
    study = dataclasses.replace(study, recipes=with_recipe(study, recipe, **changes))
  found = states(study, doctor.Machine.of('v5e-8'))
  failed = {name: check.why for name, check in found.items() if not check.ok}
  assert 'none fits length=4' in failed.pop('align.ppo: reward-pairs_A_2000_20')
  assert 'none fits length=4' in failed.pop('align_H.ppo: reward-pairs_H_2000_20')
  assert 'none fits length=4' in failed.pop(f'{BEST}: reward-picks_AB_2000_20')
  assert 'batch=4' in failed.pop(f'{BEST}: best@advise')
  assert 'holds no reward model' in failed.pop(f'{CLIMB}: climb@advise')
  assert 'optim.b2=0.999 (0.95 is right)' in failed.pop('align.ppo: obey@tail')
  assert not failed


@pytest.mark.campaign
def test_the_command(tmp_path, cache):
  """On one device, as a laptop has: four rows do not go over the eight of this process."""
  path = f'{ROOT}/configs/study_explanations.py:smoke'
  said = running.run([*running.command(tmp_path, path), '--doctor'], cache, devices=1)
  assert 'explain-align: explain-explain' in said and ' 0 FAIL' in said
