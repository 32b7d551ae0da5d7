import math
import os
import shutil

import jax
import jax.numpy as jnp
import pytest

from jaxalign.config import Saving, UserError
from jaxalign.sharding.meshes import make_mesh
from jaxalign.train import optim, saving
from jaxalign.train.feed import Feed
from jaxalign.train.fingerprint import flat, flaws, record_of
from jaxalign.train.saving import Saves
from jaxalign.train.state import make_state, make_step
from tests.train import problem


def twin_on(*sizes):
  return problem.prepared(sizes, problem.adamw(), 1, problem.loss)[:3]


@pytest.fixture(scope='module')
def stored(tmp_path_factory):
  """(workdir, {step: state as numpy}) of a run with checkpoints at steps 2 and 4."""
  path = tmp_path_factory.mktemp('stored')
  mesh, _, state, step, feed = problem.begin((2, 2, 2))
  states = {}
  with Saves(path, Saving(keep=9)) as saves:
    for stop in (2, 4):
      state, _ = problem.advance(mesh, state, step, feed, stop - 2, stop)
      saves.save(state)
      states[stop] = problem.whole(state)
  return path, states


@pytest.fixture
def copied(stored, tmp_path):
  shutil.copytree(stored[0], tmp_path / 'run')
  return tmp_path / 'run', stored[1]


def restored(path, twin=None):
  twin = twin_on(2, 2, 2)[1] if twin is None else twin
  with Saves(path, Saving(keep=9)) as saves:
    return saves.restore(twin)


@pytest.mark.parametrize(
  'sizes', [(8, 1, 1), (1, 8, 1), (2, 2, 2), (1, 2, 4), (1, 1, 1), (1, 3, 1)]
)
def test_restored_on_any_mesh_bit_for_bit(stored, sizes):
  path, states = stored
  _, twin, _ = twin_on(*sizes)
  got = restored(path, twin)
  problem.assert_same_bits(got, states[4])
  assert problem.is_key(got.key)
  assert jax.tree.map(lambda x: x.sharding, got) == jax.tree.map(lambda x: x.sharding, twin)


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
  mesh, _, state, step, feed = problem.begin((2, 2, 2))
  with Saves(tmp_path, Saving(keep=9)) as saves:
    state, _ = problem.advance(mesh, state, step, feed, 0, 2)
    saves.save(state)
    state, _ = problem.advance(mesh, state, step, feed, 2, 4)
    bias_D = state.model.bias_D.at[1].set(jnp.nan)
    with pytest.raises(UserError, match='step 4: bias_D is not finite, though'):
      saves.save(state.replace(model=state.model.replace(bias_D=bias_D)))
  assert saving.newest(tmp_path) == 2


@pytest.mark.parametrize('value', [jnp.nan, -jnp.inf])
def test_weights_that_are_not_finite_are_named_when_they_are_read(value):
  """Of releases that saved them; opt and the like may hold what they want."""
  state = problem.begin((2, 2, 2))[2]
  record = record_of(state)['arrays']
  assert flaws(state, record) == []
  bad = state.replace(model=state.model.replace(bias_D=state.model.bias_D.at[1].set(value)))
  says = 'model.bias_D has values that are not finite'
  assert flaws(bad, record) == ['model.bias_D is not what was saved', says]
  kept = flat(bad.model)
  record = {name: record[f'model.{name}'] for name in kept}
  assert flaws(bad.model, record, weights='')[1:] == ['bias_D has values that are not finite']


def test_a_new_workdir_holds_nothing(tmp_path):
  assert restored(tmp_path / 'new') is None
  assert saving.newest(tmp_path / 'new') is None


def files_of(path):
  return sorted(p for p in path.rglob('*') if p.is_file())


def harm(file, how):
  data = file.read_bytes()
  if how == 'missing':
    file.unlink()
  elif how == 'truncated':
    file.write_bytes(data[: len(data) // 2])
  elif how == 'empty':
    file.write_bytes(b'')
  else:  # one bit, in the middle
    middle = len(data) // 2
    file.write_bytes(data[:middle] + bytes([data[middle] ^ 16]) + data[middle + 1 :])


@pytest.mark.parametrize('how', ['flipped', 'truncated', 'missing', 'empty'])
def test_whatever_file_is_damaged_no_wrong_number_comes_back(stored, tmp_path, how):
  """One file at a time: either all of step 4 comes back, or step 2 does and 4 is set aside."""
  path, states = stored
  _, twin, _ = twin_on(1, 1, 1)
  fell_back = 0
  names = [file.relative_to(path) for file in files_of(path / 'checkpoints' / '4')]
  kept = ['ocdbt.process', 'model/d/', 'rest/d/', '_METADATA', 'fingerprint/metadata', 'manifest']
  names = [n for n in names if any(k in str(n) for k in kept)]
  for n, name in enumerate(names if how in ('flipped', 'missing') else names[::3]):
    run = tmp_path / str(n)
    shutil.copytree(path, run)
    harm(run / name, how)
    got = restored(run, twin)
    step = int(got.step)
    problem.assert_same_bits(got, states[step])
    assert (run / 'checkpoints' / 'damaged-4').is_dir() == (step == 2), name
    fell_back += step == 2
    shutil.rmtree(run)
  assert fell_back >= 2


def harm_data(path, how):
  for file in files_of(path):
    if file.parent.name == 'd':
      harm(file, how)


def test_damage_is_said_and_the_run_goes_on_from_before(copied, caplog):
  path, states = copied
  harm_data(path / 'checkpoints' / '4' / 'model', 'flipped')
  problem.assert_same_bits(restored(path), states[2])
  assert 'checkpoint 4 is damaged' in caplog.text and 'set aside' in caplog.text
  assert saving.newest(path) == 2
  mesh, _, _, step, feed = problem.begin((2, 2, 2))
  with Saves(path, Saving(keep=9)) as saves:
    state, _ = problem.advance(mesh, saves.restore(twin_on(2, 2, 2)[1]), step, feed, 2, 4)
    saves.save(state)
  problem.assert_same_bits(restored(path), states[4])


def test_the_same_step_can_be_damaged_twice(copied):
  path, _ = copied
  harm_data(path / 'checkpoints' / '4' / 'rest', 'flipped')
  shutil.copytree(path / 'checkpoints' / '4', path / 'again')
  restored(path)
  (path / 'again').rename(path / 'checkpoints' / '4')
  restored(path)
  assert {p.name for p in (path / 'checkpoints').iterdir()} == {'2', 'damaged-4', 'damaged-4-2'}


def test_an_empty_directory_and_an_unfinished_one_are_skipped(copied):
  path, states = copied
  (path / 'checkpoints' / '6').mkdir()
  shutil.copytree(path / 'checkpoints' / '4', path / 'checkpoints' / '8.orbax-checkpoint-tmp')
  problem.assert_same_bits(restored(path), states[4])


def test_when_all_are_damaged_it_says_so(copied):
  path, _ = copied
  for step in ('2', '4'):
    harm_data(path / 'checkpoints' / step / 'model', 'truncated')
  with pytest.raises(UserError, match='every checkpoint is damaged'):
    restored(path)
  assert {p.name for p in (path / 'checkpoints').iterdir()} == {'damaged-2', 'damaged-4'}
  with pytest.raises(UserError, match='every checkpoint is damaged'):
    restored(path)  # not a fresh start the next time


def wide(F):
  """The key's small network, with F hidden units."""

  def build(key):
    in_DF = jax.random.normal(key, (problem.D, F))
    return problem.Net(in_DF, jnp.ones(F), in_DF.T, jnp.zeros(problem.D))

  return build


def test_another_models_checkpoint_is_refused_and_left_alone(copied):
  path, states = copied
  mesh = make_mesh(1, 8, 1)
  twin, _ = make_state(wide(32), optim.make_optimizer(problem.adamw(), 12), 0, mesh)
  with pytest.raises(UserError, match=r'in_DF is float32\[8, 16\] there and float32\[8, 32\] here'):
    restored(path, twin)
  frozen = optim.make_optimizer(problem.adamw(frozen=('in_*',)), 12)
  with pytest.raises(UserError, match=r'opt.* there and absent here'):
    restored(path, make_state(problem.build, frozen, 0, mesh)[0])
  problem.assert_same_bits(restored(path), states[4])


def test_saving_goes_on_behind_steps_that_reuse_the_memory(tmp_path):
  """40 saves, each raced by steps that are given the saved buffers; the fingerprints must hold."""
  mesh = make_mesh(1, 8, 1)
  tx = optim.make_optimizer(problem.adamw(lr=0.5), 100)
  twin, make = make_state(wide(4096), tx, 0, mesh)
  step, state = make_step(problem.loss, tx), make()
  feed, kept = Feed(problem.rows, problem.B, mesh), {}
  with jax.set_mesh(mesh), Saves(tmp_path, Saving(keep=100)) as saves:
    for n, (batches, _) in enumerate(feed.ahead(0, 24), 1):
      state, _ = step(state, batches, None)
      if n % 2 == 0:
        kept[n] = float(jax.device_get(state.model.in_DF).sum())
        saves.save(state)
  assert sorted(map(int, os.listdir(tmp_path / 'checkpoints'))) == sorted(kept)
  for n in sorted(kept, reverse=True):
    with Saves(tmp_path, Saving(keep=100)) as saves:
      got = saves.restore(twin)
    assert int(got.step) == n  # none was damaged
    assert float(jax.device_get(got.model.in_DF).sum()) == kept[n]
    shutil.rmtree(tmp_path / 'checkpoints' / str(n))


@pytest.mark.parametrize(
  'scores, best',
  [({2: 3.0, 3: 1.0, 5: 2.0}, 3), ({2: math.inf, 4: math.nan}, None), ({}, None)],
)
def test_the_best_is_named_where_there_is_one(tmp_path, scores, best):
  kept_after(tmp_path, Saving(keep=1, best='loss'), scores)
  for how, wanted in ((Saving(keep=1, best='loss'), best), (Saving(keep=1), None)):
    with Saves(tmp_path, how) as saves:
      assert saves.best() == wanted


def kept_after(path, how, scores=None, resume_at=()):
  """The steps on disk after saving steps 1 to 8, opened anew before some of them."""
  _, _, make = twin_on(1, 1, 1)
  state, scores = make(), scores or {}
  saves = Saves(path, how)
  for n in range(1, 9):
    if n in resume_at:
      saves.__exit__(None)
      saves = Saves(path, how)
    score = dict(loss=scores[n]) if n in scores else None
    saves.save(state.replace(step=jnp.int32(n)), score)
  saves.__exit__(None)
  return sorted(int(p.name) for p in (path / 'checkpoints').iterdir())


@pytest.mark.parametrize('resume_at', [(), (4, 7)])
@pytest.mark.parametrize(
  'how, scores, kept',
  [
    (Saving(keep=1), {}, [8]),
    (Saving(keep=3), {}, [6, 7, 8]),
    (Saving(keep=2, milestone=3), {}, [3, 6, 7, 8]),
    (Saving(keep=1, best='loss'), {2: 3.0, 3: 1.0, 5: 2.0}, [3, 8]),
    (Saving(keep=2, best='loss', milestone=5), {2: 1.0, 4: float('nan')}, [2, 5, 7, 8]),
    (Saving(keep=1, best='loss'), {n: 1 / n for n in range(1, 9)}, [8]),
  ],
)
def test_what_is_kept(tmp_path, how, scores, kept, resume_at):
  assert kept_after(tmp_path, how, scores, resume_at) == kept


def test_scores_that_cannot_be_read_stop_nothing(tmp_path, caplog):
  kept_after(tmp_path, Saving(keep=1, best='loss'), {3: 1.0})
  harm(tmp_path / 'checkpoints' / '3' / 'metrics' / 'metrics', 'truncated')
  with Saves(tmp_path, Saving(keep=1, best='loss')) as saves:
    assert int(saves.restore(twin_on(1, 1, 1)[1]).step) == 8
  assert 'never evaluated' in caplog.text


def test_saving_a_step_again_changes_nothing(copied):
  path, states = copied
  _, twin, make = twin_on(2, 2, 2)
  with Saves(path, Saving(keep=9)) as saves:
    saves.save(make().replace(step=jnp.int32(4)))
  problem.assert_same_bits(restored(path), states[4])


def test_the_weights_of_another_run(stored, monkeypatch):
  path, states = stored
  _, twin, _ = twin_on(1, 2, 1)
  problem.assert_same_bits(saving.read_weights(path, twin.model), states[4].model)
  monkeypatch.chdir(path.parent)
  problem.assert_same_bits(saving.read_weights(path.name, twin.model), states[4].model)


def test_weights_that_are_not_there_or_not_whole_are_refused(copied, tmp_path):
  path, _ = copied
  _, twin, _ = twin_on(1, 1, 1)
  with pytest.raises(UserError, match='no checkpoint is there'):
    saving.read_weights(tmp_path, twin.model)
  with pytest.raises(UserError, match=r'in_DF is float32\[8, 16\] there and float32\[3, 3\]'):
    saving.read_weights(path, twin.model.replace(in_DF=jax.ShapeDtypeStruct((3, 3), jnp.float32)))
  harm_data(path / 'checkpoints' / '4' / 'model', 'flipped')
  with pytest.raises(UserError, match='checkpoints/4 is damaged'):
    saving.read_weights(path, twin.model)


def test_a_number_changed_without_a_trace_is_seen(copied):
  """Where the storage's own sums do not help: another state's arrays under this fingerprint."""
  path, states = copied
  for part in ('model', 'rest'):
    shutil.rmtree(path / 'checkpoints' / '4' / part)
    shutil.copytree(path / 'checkpoints' / '2' / part, path / 'checkpoints' / '4' / part)
  with pytest.raises(UserError, match='is not what was saved'):
    saving.read_weights(path, twin_on(1, 1, 1)[1].model)
  problem.assert_same_bits(restored(path), states[2])
