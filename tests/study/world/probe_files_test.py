"""What is kept of an arm for its probes: once, as it was measured, and under its key."""

import jax
import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.models import llama2
from jaxalign.probes import states
from jaxalign.study.world import answers, probe_files
from jaxalign.valueworld import battery, words
from tests.valueworld import worlds

WORLD = worlds.small()
CFG = llama2.tiny(
  width=16, depth=2, heads=2, kv_heads=2, mlp=32, length=64, remat='none',
  vocab=len(words.vocabulary()) + 2,
)  # fmt: skip


@pytest.fixture(scope='module')
def models():
  return [CFG.build(jax.random.key(n)) for n in range(2)]


@pytest.fixture(scope='module')
def store(models, tmp_path_factory):
  store = tmp_path_factory.mktemp('store')
  for name, model in zip(('x', 'y'), models):
    probe_files.keep(store, name, 'key', WORLD, lambda model=model: model)
  return store


def test_it_comes_back_as_the_model_has_it(store, models):
  asked, every = battery.of(WORLD), probe_files.stored(store)
  assert set(every) == {'x', 'y'}
  for name, model in zip('xy', models):
    kept = every[name]
    assert kept.states_LND.shape == (3, len(asked.texts(battery.PARTS)), 16)
    for part in battery.PARTS:
      prompt = words.tokenizer().encode(asked.prompts[part][-1])
      known_LD = states.states(model, [prompt], length=battery.LENGTH)[:, 0]
      np.testing.assert_allclose(kept.part(asked, part)[:, -1], known_LD, rtol=2e-3, atol=1e-3)
    yes, no = words.tokenizer().encode('yes no')
    for part in battery.ASKED:
      prompt = words.tokenizer().encode(asked.prompts[part][3])
      known, mass = states.answers(model, [prompt], yes, no, length=answers.LENGTH)
      assert kept.answers(asked, part)[3] == pytest.approx(known[0], abs=1e-5)
      assert kept.mass_N[asked.rows(part)][3] == pytest.approx(mass[0], abs=1e-5)
  assert not np.allclose(every['x'].states_LND, every['y'].states_LND)


def test_one_program_serves_all_models(store, models):
  before = states._states._cache_size(), states.read_answers._cache_size()
  probe_files.measured(models[1], battery.of(worlds.small(3)))
  assert (states._states._cache_size(), states.read_answers._cache_size()) == before


def test_it_is_measured_once_and_small(store):
  path = store / 'x.probes.safetensors'
  before = path.read_bytes()
  probe_files.keep(store, 'x', 'key', WORLD, lambda: pytest.fail('measured again'))
  assert path.read_bytes() == before and not [*store.glob('*.tmp')]
  states_bytes = 2 * 3 * 16 * len(battery.of(WORLD).texts(battery.PARTS))
  assert len(before) < states_bytes + 5000


@pytest.mark.parametrize('key, world', [('other', WORLD), ('key', worlds.small(1))])
def test_states_of_another_plan_or_world_are_refused(store, key, world):
  with pytest.raises(UserError, match='x.probes.safetensors was measured on another base') as error:
    probe_files.keep(store, 'x', key, world, lambda: pytest.fail('measured again'))
  assert '\n' not in str(error.value)


@pytest.mark.parametrize('content', [b'', b'{}', b'x' * 400])
def test_a_broken_file_is_one_line(tmp_path, content):
  (tmp_path / 'x.probes.safetensors').write_bytes(content)
  with pytest.raises(UserError, match='cannot be read .*: delete it') as error:
    probe_files.stored(tmp_path)
  assert '\n' not in str(error.value)
