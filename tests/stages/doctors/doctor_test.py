"""Each check passes on what is right, fails on what is broken, and says which."""

import dataclasses
import functools
import pathlib

import jax
import jax.numpy as jnp
import optax
import pytest
from etils import epath

from jaxalign import sealing
from jaxalign.config import Adafactor, AdamW, Mesh, Schedule, UserError
from jaxalign.models import llama2, phi2
from jaxalign.sharding.layout import born
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import refusals
from jaxalign.stages.doctors import doctor
from jaxalign.stages.doctors.doctor import Machine

POD = Machine.of('v5e-64')


def test_a_visit_goes_on_after_a_failure_and_skips_what_hangs_on_it():
  visit = doctor.Visit()
  fails = visit.check('first', lambda: (_ for _ in ()).throw(UserError('broken:\n  mend it')))
  thing = visit.check('second', lambda: ('found', 7))
  visit.check('third', lambda a, b: f'{a} {b}', thing, fails)
  visit.check('fourth', lambda a: f'got {a}', thing)
  visit.check('fifth', lambda: 1 / 0)
  got = [(c.name, c.state, c.why) for c in visit.checks]
  assert got[:4] == [
    ('first', 'FAIL', 'broken: mend it'),
    ('second', 'ok', 'found'),
    ('third', 'skipped', 'needs first'),
    ('fourth', 'ok', 'got 7'),
  ]
  assert got[4][1] == 'FAIL' and 'ZeroDivisionError' in got[4][2]
  lines = list(doctor.table(visit.checks))
  assert len(lines) == 6 and lines[0].split()[:2] == ['first', 'FAIL']
  assert lines[-1] == '2 ok, 2 FAIL, 1 skipped'


def test_slices_are_known_by_name():
  assert (POD.devices, POD.memory) == (64, 16 << 30)
  assert Machine.of('v4-8').devices == 4 and Machine.of('v5p-128').memory == 95 << 30
  assert Machine.of_this_process().devices == jax.device_count()
  for bad in ('v5e', 'v9-4', 'v5e-0', '64'):
    with pytest.raises(UserError, match='write KIND-COUNT'):
      Machine.of(bad)
  with pytest.raises(UserError, match='v4 counts cores, 2 a chip'):
    Machine.of('v4-7')


def test_writable_leaves_nothing_behind(tmp_path):
  place = epath.Path(tmp_path / 'a/b')
  doctor.writable(place)
  assert not (tmp_path / 'a').exists()
  (tmp_path / 'file').write_text('')
  with pytest.raises(UserError, match='cannot be written'):
    doctor.writable(epath.Path(tmp_path / 'file/b'))

  class Bucket(type(pathlib.PurePath())):
    def exists(self):
      raise ImportError('Please install gcsfs')

  with pytest.raises(UserError, match='cannot be written .Please install gcsfs'):
    doctor.writable(Bucket('gs://b/x'))


def test_mesh_and_batch_are_counted_on_the_machine_that_is_named():
  words, mesh = doctor.mesh_fits(Mesh(data=2, fsdp=-1, tensor=4), POD)
  assert dict(mesh.shape) == dict(data=2, fsdp=8, tensor=4) and 'v5e-64' in words
  with pytest.raises(UserError, match='does not divide 64 devices'):
    doctor.mesh_fits(Mesh(data=3), POD)
  rows = functools.partial(refusals.rows_divide, dict(mesh=mesh), 'batch')
  assert '2 parts x 16 ways x 4 rows' in rows(128, 2)[0]
  with pytest.raises(UserError, match='a multiple of 32, or fewer ways'):
    rows(48, 2)
  with pytest.raises(UserError, match='a multiple of 64, take fewer microbatches'):
    rows(32, 4)


@pytest.mark.parametrize(
  'optim, says',
  [
    (AdamW(lr=0.5), 'above .1'),
    (AdamW(clip=None), 'set it, 1.0 is usual'),
    (AdamW(eps=1e-2), 'optim.eps=0.01: outside'),
    (AdamW(schedule=Schedule(warmup=100)), 'warmup=100 must be less than the 100 steps'),
    (Adafactor(clip=None), 'set it'),
  ],
)
def test_optimizers_that_cannot_be_right(optim, says):
  with pytest.raises(UserError, match=says):
    doctor.optimizer_sane(optim, 100)


def test_optimizers_that_can():
  words = doctor.optimizer_sane(AdamW(clip=0.5, frozen=('embed_*',)), 100)
  assert 'clip 0.5 applied' in words and '100' in words
  assert 'clip 1.0' in doctor.optimizer_sane(Adafactor(), 100)


def test_a_clip_that_is_not_applied_is_seen():
  with pytest.raises(UserError, match='the clip is not applied'):
    doctor.clip_applied(optax.adamw(1e-3, b1=0.9), AdamW())


def test_bytes_are_those_that_devices_hold():
  cfg = llama2.tiny(width=128, heads=8, kv_heads=4)
  mesh = make_mesh(2, 2, 2)
  model = born(cfg.build, mesh, jax.random.key(0))
  held = sum(w.addressable_shards[0].data.nbytes for w in jax.tree.leaves(model))
  _, abstract = doctor.mesh_fits(Mesh(data=2, fsdp=2, tensor=2), Machine('8', 8, None))
  assert doctor.device_bytes(jax.eval_shape(cfg.build, jax.random.key(0)), abstract) == held


def test_seven_billion_fit_a_pod_and_no_laptop():
  shapes = jax.eval_shape(llama2.llama2_7b().build, jax.random.key(0))
  _, mesh = doctor.mesh_fits(Mesh(), POD)
  whole = doctor.device_bytes(shapes, mesh)
  assert abs(whole / (6.74e9 * 4 / 64) - 1) < 0.01
  assert 'GiB a device' in doctor.fits_memory(dict(weights=whole), POD)
  with pytest.raises(UserError, match='more devices, a larger fsdp'):
    doctor.fits_memory(dict(weights=whole * 64), POD)
  with pytest.raises(doctor.Skip, match='name a --slice'):
    doctor.fits_memory(dict(weights=whole), Machine('8 x cpu', 8, None))


@pytest.mark.parametrize(
  'cfg', [llama2.llama2_70b(), phi2.phi2(), llama2.tiny()], ids=['grouped', 'phi2', 'tiny']
)
def test_the_twin_is_small_and_of_the_same_kind(cfg):
  small = doctor.twin(sealing.seal(cfg))
  sealing.seal(small)
  assert type(small) is type(cfg) and small.depth == 2
  assert (small.vocab, small.dtype, small.remat) == (cfg.vocab, cfg.dtype, cfg.remat)
  assert (small.kv_heads == small.heads) == (cfg.kv_heads == cfg.heads)
  tokens_BT = jnp.zeros((1, 4), jnp.int32)
  model = jax.eval_shape(dataclasses.replace(small, vocab=64).build, jax.random.key(0))
  assert jax.eval_shape(lambda model: model(tokens_BT), model).shape == (1, 4, 64)
