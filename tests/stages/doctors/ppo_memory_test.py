"""The doctor's bytes of ppo, held to XLA's own of the very programs that a run compiles."""

import dataclasses
import math
import pathlib

import jax
import pytest

from jaxalign import main
from jaxalign.models import adapters, decoder, llama2
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages.doctors import doctor, ppo_memory
from launch import compiling, programs

pytestmark = pytest.mark.usefixtures('optimized')
SMOKE = str(pathlib.Path(__file__).resolve().parents[3] / 'configs/ppo_llama2_7b.py:smoke')
WITHIN = 0.2  # of what the compiler says
FAR = doctor.Machine('v5e-256', 256, 16 << 30, here=False)

LONG = dict(prompt=64, response=960, batch=16, minibatch=8, microbatches=4)
MANY = dict(prompt=64, response=192, batch=256, minibatch=128, microbatches=8)
LORA = dict(prompt=128, response=384, batch=32, minibatch=16, lora=adapters.Lora())


def config(mesh=(1, 1, 1), model=None, **fields):
  sizes = dict(depth=2, width=128, heads=4, kv_heads=4, mlp=344, vocab=1024, length=4096)
  small = llama2.Config(**sizes | dict(dtype='float32', eos=(2,)) | (model or {}))
  cfg = dataclasses.replace(main.load(SMOKE), model=small, **fields)
  return dataclasses.replace(cfg, mesh=dataclasses.replace(cfg.mesh, fsdp=mesh[1]))


def both(cfg, name):
  """(bytes of the doctor, of the compiler) of one of the two programs on this machine's devices."""
  here = doctor.Machine.of_this_process()
  sizes = 1, cfg.mesh.fsdp, 1
  mesh = make_mesh(*sizes, devices=jax.devices()[: math.prod(sizes)])
  program = next(made for made in programs.rounds(cfg, mesh) if made.name == name)
  with jax.set_mesh(mesh):
    found = compiling.memory_of(program.lower().compile(), program.beside)['peak_bytes']
  parts = ppo_memory.trained(cfg, mesh) | ppo_memory.frozen(cfg, mesh, 'reference', ())
  if name == 'learn':
    return sum((parts | ppo_memory.learning(cfg, mesh, here)).values()), found
  typed = cfg.lora is not None
  return sum((parts | ppo_memory.sampling(cfg, mesh, here, typed)).values()), found


@pytest.mark.parametrize('fields', (dict(LONG, batch=64), MANY))
def test_sampling_on_one_device(fields):
  """A long answer, and many rows."""
  mine, compiled = both(config(**fields), 'collect')
  assert mine == pytest.approx(compiled, rel=WITHIN)


def test_sampling_of_layers_that_share_an_array_on_eight_devices(monkeypatch):
  """As large models have it; their weights are laid out in groups."""
  for place in (decoder, ppo_memory):
    monkeypatch.setattr(place, 'SMALL', 0)
  mine, compiled = both(config((1, 8, 1), dict(heads=8, kv_heads=8), **MANY), 'collect')
  assert mine == pytest.approx(compiled, rel=WITHIN)


@pytest.mark.campaign
@pytest.mark.parametrize('fields', (LONG, LORA))
def test_learning(fields):
  """The suite's flags keep less of attention than a user's, for whom the count was made."""
  mine, compiled = both(config(**fields), 'learn')
  assert (1 - WITHIN) * compiled <= mine <= 1.75 * compiled


def beside(model, machine=FAR, **fields):
  mesh = doctor.mesh_fits(dataclasses.replace(main.load(SMOKE).mesh, fsdp=-1), machine)[1]
  return ppo_memory.sampling(config(model=model, **fields), mesh, machine, typed=False)


def test_a_tpu_lays_a_head_in_its_lanes_and_copies_the_cache():
  rows = LONG | dict(batch=4096, minibatch=4096)
  narrow, wide = (beside(dict(heads=n, kv_heads=4, width=512), **rows) for n in (8, 4))
  assert wide['cache'] == wide['cache beside it']
  assert narrow['cache'] == pytest.approx(wide['cache'], rel=1e-3), 'heads of 64 take what 128 do'


def test_large_tables_count_where_the_players_read():
  """A vocabulary of 128 k, which each device gathers thrice: more than a few rows' cache."""
  (parts,) = beside(dict(vocab=128_256, width=1024)).items()
  assert parts[0] == 'gathered weights of the players' and parts[1] > 3 * 2 * 128_256 * 1024


def test_layers_at_hand_are_counted(monkeypatch):
  """On one CPU a model that is not small decodes with a second copy of its layers."""
  monkeypatch.setattr(decoder, 'SMALL', 2**16)
  monkeypatch.setattr(ppo_memory, 'SMALL', 2**16)
  one = doctor.Machine('1 x cpu', 1, None)
  cfg, mesh = config(model=dict(width=64)), doctor.mesh_fits(main.load(SMOKE).mesh, one)[1]
  blocks = jax.eval_shape(cfg.model.build, jax.random.key(0)).blocks
  size = sum(w.size * w.dtype.itemsize for w in jax.tree.leaves(blocks))
  assert ppo_memory.sampling(cfg, mesh, one, typed=False)['weights to sample with'] == size


def test_words_name_both_moments():
  """The larger is what a run takes; the other stands beside it."""
  cfg, one = config(**LONG), doctor.Machine('v5e-1', 1, 16 << 30, here=False)
  mesh = doctor.mesh_fits(cfg.mesh, one)[1]
  always = ppo_memory.trained(cfg, mesh) | ppo_memory.frozen(cfg, mesh, 'reference', cfg.judges)
  samples = ppo_memory.sampling(cfg, mesh, one, typed=False)
  learns = ppo_memory.learning(cfg, mesh, one)
  least = min(sum(phase.values()) for phase in (samples, learns)) + sum(always.values())
  said = ppo_memory.words(cfg, mesh, one)
  assert said.endswith(f'it is {least / 2**30:.2f}')
  larger = 'learns' if sum(learns.values()) > sum(samples.values()) else 'samples'
  assert f'that is while it {larger}' in said
