"""Rules 15 and 20 to 23 of PPO.md: what an iteration of updates does to the state."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxalign.models.adapters import Lora
from jaxalign.rl import improve
from tests.rl import playing


def test_rules_20_22_23_every_optimizer_step_is_taken_and_counted():
  """TRL took 4, 4, 4, 16 of 16, EasyDeL one epoch of any number: epochs x minibatches, always, in
  the state, in Adam's own count, and in the metrics. The policy and its schedule wait while the
  critic warms up."""
  world = playing.world(minibatches=4, microbatches=2, epochs=3, critic_first=1)
  before = jax.device_get(world.state.model)
  state, told = playing.play(world, 1)

  def moved(name):
    pairs = zip(jax.tree.leaves(before[name]), jax.tree.leaves(state.model[name]))
    return max(np.abs(a - b).max() for a, b in pairs)

  assert moved('policy') == 0 and moved('critic') > 1e-4 and told[0]['ratio_max'] == 1
  state, more = playing.play(world, 1)
  assert moved('policy') > 1e-4
  assert [m['optimizer_steps'] for m in told + more] == [12, 12]
  assert state.extra.taken['critic'] == 24 and state.extra.taken['policy'] == 12
  counts = {}
  for name in ('policy', 'critic'):
    leaves = jax.tree.leaves_with_path(state.opt[name])
    counts[name] = {int(x) for path, x in leaves if 'count' in jax.tree_util.keystr(path)}
  assert counts == dict(policy={12}, critic={24})


@pytest.fixture(scope='module')
def bounded():
  """(world, what was sampled in it, one iteration as a program): with a KL stop, and rash steps."""
  world = playing.world(lr=3e-2, kl_stop=0.02)
  return (
    world,
    playing.see(world),
    jax.jit(functools.partial(improve.improve, world.game, world.tx)),
  )


def learned(bounded, scores_B):
  """(state, metrics as means, faults) after an iteration by these scores."""
  world, seen, learn = bounded
  with jax.set_mesh(world.mesh):
    state, (metrics, faults) = learn(world.state, {}, seen, (scores_B,), world.given)
  return state, playing.means(metrics), faults


def test_rule_23_the_kl_stop_masks_what_remains_and_counts_it(bounded):
  """The step that goes too far is not taken; nothing after it either, and it costs nothing."""
  state, told, _ = learned(bounded, playing.likes(bounded[1]))
  masked, steps = told['masked_steps'], told['optimizer_steps']
  assert masked >= 1 and masked + steps == 8 and steps >= 1
  assert state.extra.taken['policy'] == steps
  assert state.skipped == 0 and told['skipped'] == 0


def test_rule_22_a_gradient_that_is_not_finite_is_skipped_counted_and_named(bounded):
  """Nothing moves, not even Adam's moments; the first bad tensor is known to fit. The score itself
  is finite (another is refused by its judge's name), and its square is not."""
  world, seen, _ = bounded
  state, told, (bad, skipped) = learned(bounded, jnp.where(seen.length_B > 0, 3e38, 0.0))
  before, after = ((state.model, state.opt) for state in (world.state, state))
  same = jax.tree.map(lambda a, b: bool((a == b).all()), before, after)
  assert all(jax.tree.leaves(same))
  assert skipped.tolist() == [8] and bad.any() and told['skipped'] == 8
  assert state.extra.taken['policy'] == 0


def test_rules_15_23_no_step_whitens_again_and_every_iteration_shuffles_anew(monkeypatch):
  """Advantages that are all 1 cost -1 a token: whitened by any part of the batch they would cost 0.
  And the same rows, seen in another iteration, come in another order."""
  world = playing.world(epochs=1, minibatches=4)
  seen, scores_B = playing.see(world), jnp.zeros(16)

  def plain(rules, score_B, seen, beta):
    return seen.value_BR, seen.response_BR.astype(jnp.float32), seen.value_BR

  monkeypatch.setattr(improve, 'advantages', plain)
  learn = jax.jit(functools.partial(improve.improve, world.game, world.tx))

  def after(step):
    state, (metrics, _) = learn(
      world.state.replace(step=jnp.int32(step)), {}, seen, (scores_B,), world.given
    )
    return playing.weights(state), playing.means(metrics)

  with jax.set_mesh(world.mesh):
    (one, told), (again, _), (other, _) = after(0), after(0), after(1)
  assert told['policy_loss'] == pytest.approx(-1, abs=0.1)
  assert all((a == b).all() for a, b in zip(one, again))
  assert max(np.abs(a - b).max() for a, b in zip(one, other)) > 1e-5


def test_rule_21_lora_one_base_for_all_and_only_adapters_learn():
  """The reference is the base without an adapter: KL 0 to begin with, and the base never moves."""
  world = playing.world(lora=Lora(rank=4), lr=1e-2)
  base = [np.asarray(x) for x in jax.tree.leaves(world.given['reference'])]
  state, told = playing.play(world, 3)
  assert told[0]['kl_sequence'] == 0 and told[2]['kl_sequence'] > 1e-3
  assert told[1]['first_ratio_max'] == pytest.approx(1, abs=1e-6)
  assert all((a == b).all() for a, b in zip(base, jax.tree.leaves(world.given['reference'])))
  size, whole = (
    sum(x.size for x in jax.tree.leaves(tree))
    for tree in (state.model['policy'], world.given['reference'])
  )
  assert size < whole / 2
  assert set(state.model['critic']) == {'adapter', 'score_D'}
