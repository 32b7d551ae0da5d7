"""The stand-ins are what the stages run: the same function, shapes, types and places."""

import math
import pathlib
import re

import jax
import pytest

from jaxalign import files, main, overrides, sealing
from jaxalign.config import UserError
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import ppo, training
from launch import programs, slices
from tests.launch.far import Far

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / 'configs'
SMALL = {
  'model.width': 32, 'model.depth': 1, 'model.heads': 4, 'model.kv_heads': 4, 'model.mlp': 64,
}  # fmt: skip


def smoke(name, **fields):
  cfg = main.load(f'{CONFIGS}/{name}.py:smoke')
  for field, value in (SMALL | fields).items():
    overrides.override(cfg, field.replace('__', '.'), str(value))
  return sealing.seal(cfg)


def what(tree):
  """Of every array: path, shape, type, and what lies on each device."""

  def one(path, x):
    return jax.tree_util.keystr(path), x.shape, x.dtype, x.sharding.shard_shape(x.shape)

  return [one(*leaf) for leaf in jax.tree.leaves_with_path(tree) if hasattr(leaf[1], 'sharding')]


class Enough(Exception):
  pass


@pytest.fixture
def called(monkeypatch, tmp_path):
  """called(cfg) -> (step, its arguments) as the stage first calls it."""

  def get(cfg):
    seen = {}

    def fit(state, step, feed, *, given=None, **_):
      batches, _ = next(feed.ahead(0, feed.calls))
      seen.update(step=step, args=(state, batches, given))
      raise Enough

    monkeypatch.setattr(training, 'fit', fit)
    with pytest.raises(Enough):
      main.stage_of(cfg)(cfg, files.absolute(tmp_path / 'run'))
    return seen['step'], seen['args']

  return get


@pytest.mark.parametrize('name', ['explain_llama2_7b', 'reward_llama2_7b', 'dpo_llama2_7b'])
def test_the_step_is_the_stages_own(name, called, monkeypatch):
  cfg = smoke(name, batch=8)
  _, (ours,) = programs.programs_of(cfg, jax.devices())
  step, (state, batches, given) = called(cfg)
  own_state, own_batches, own_given = ours.args
  assert what(own_state) == what(state) and what(own_given) == what(given)
  narrow = {k: (v.shape[:2], v.dtype) for k, v in batches.items()}  # pairs have several widths
  assert {k: (v.shape[:2], v.dtype) for k, v in own_batches.items()} == narrow
  if name.startswith('explain'):
    assert ours.call is step and what(own_batches) == what(batches)


def test_ppos_programs_are_its_own(called):
  cfg = smoke('ppo_llama2_7b', prompt=48, response=8, batch=16, minibatch=8, eval_prompts=16)
  mesh, (collect, learn) = programs.programs_of(cfg, jax.devices())
  _, (state, stacked, given) = called(cfg)
  assert (collect.call, learn.call) == (ppo.collect, ppo.learn)
  _, model, batches, key_B, own_given = collect.args
  assert what(model) == what(state.model) and what(own_given) == what(given)
  assert what(batches) == what(stacked)
  assert what(learn.args[2]) == what(state)
  with jax.set_mesh(mesh):
    real = ppo.keys(state.key, state.step, cfg.batch)
    seen = ppo.collect(collect.args[0], state.model, stacked, real, given)
  assert what(key_B) == what(real) and what(learn.args[4]) == what(seen)
  assert collect.beside == sum(
    x.addressable_shards[0].data.nbytes for x in jax.tree.leaves((state.opt, state.extra))
  )


def test_rows_that_do_not_divide(monkeypatch):
  cfg = smoke('explain_llama2_7b', batch=12)
  with pytest.raises(UserError, match='not a multiple of the 8 ways'):
    programs.programs_of(cfg, jax.devices())
  cfg = smoke('explain_llama2_7b', batch=16, microbatches=4)
  with pytest.raises(UserError, match='fewer microbatches'):
    programs.programs_of(cfg, jax.devices())


def test_a_study_has_a_program_of_each_shape():
  """Seven arms: four runs of explain and one of practise, whose batch is the same, four of align
  after something and one alone; each arm has its own tail, as large as align."""
  cfg = sealing.seal(main.load(f'{CONFIGS}/study_explanations.py'))
  devices = [Far(n, 16) for n in range(16)]
  _, (long, short) = programs.programs_of(cfg, devices)
  assert (long.name, short.name) == ('train of explain, practise', 'train of align, tail')
  explains = 3 + 1  # alone or before align; neutral, shuffled; and after align
  aligns, tails = 1 + 1 + 3, 7
  assert long.calls == len(cfg.seeds) * 300 * (explains + 1)
  assert short.calls == len(cfg.seeds) * (80 * aligns + 20 * tails)
  assert long.tokens == 64 * 2048 and short.tokens == 16 * 2048


def test_a_study_compiles_what_an_arm_runs_alone():
  """Its recipes hold a reward model and PPO too, which no arm of documents takes."""
  cfg = sealing.seal(main.load(f'{CONFIGS}/study_valueworld.py:probes'))
  _, made = programs.programs_of(cfg, jax.devices()[:1])
  assert {'reward', 'rl'} & {recipe.name for recipe in cfg.recipes}
  assert [program.name for program in made] == ['train of explain, tail']


def test_a_study_of_rewards_has_what_collects_and_what_learns():
  cfg = sealing.seal(main.load(f'{CONFIGS}/study_valueworld.py:smoke_rl'))
  names = [program.name for program in programs.programs_of(cfg, jax.devices()[:1])[1]]
  assert [n for n in names if 'collect' in n or 'learn of' in n], names


def test_weights_stay_within_a_slice():
  devices = [Far(n, 4) for n in range(8)]
  mesh = make_mesh(2, 4, 1, devices)
  assert [[d.slice_index for d in row.flat] for row in mesh.devices] == [[0] * 4, [1] * 4]
  with pytest.raises(UserError, match='mesh.data=1 on 2 slices'):
    make_mesh(1, 8, 1, devices)


SLICE = re.compile(r'^Slice: (v\w+-\d+)', re.M)  # others are for a laptop, and say so
FULL = sorted(
  path.stem
  for path in CONFIGS.glob('*_*.py')
  if SLICE.search(path.read_text()) and not path.stem.startswith('eval_')
)  # evaluations_test.py has those


@pytest.mark.campaign
@pytest.mark.parametrize('name', FULL)
def test_every_full_config_names_a_slice_that_holds_its_weights(name):
  """Whether all of it fits is the compiler's to say: docs/performance.md has the table."""
  where = slices.parse(SLICE.search((CONFIGS / f'{name}.py').read_text())[1])
  cfg = sealing.seal(main.load(str(CONFIGS / f'{name}.py')))
  mesh, made = programs.programs_of(cfg, [Far(n, where.chips) for n in range(where.chips)])
  for program in made:
    arrays = [x for x in jax.tree.leaves(program.args) if hasattr(x, 'sharding')]
    given = sum(x.dtype.itemsize * math.prod(x.sharding.shard_shape(x.shape)) for x in arrays)
    assert given + program.beside < 0.8 * where.chip.memory, program.name
