"""Seconds that go into making programs."""

import jax
import jax.numpy as jnp

from jaxalign.study.store import compiling


def test_a_stretch_inside_another_counts_once():
  made = compiling.Compiling()
  made.ended(at=3.0, seconds=1.0)  # from 2 to 3
  made.ended(at=4.0, seconds=0.5)  # from 3.5 to 4
  assert made.seconds == 1.5
  made.ended(at=5.0, seconds=4.0)  # from 1 to 5: around both
  assert made.seconds == 4.0
  made.ended(at=7.0, seconds=1.0)
  assert made.seconds == 5.0


def test_many_stretches_are_all_counted():
  made = compiling.Compiling()
  for n in range(5000):
    made.ended(at=float(n), seconds=0.5)
  assert made.seconds == 2500.0


def test_jax_tells_when_a_program_is_made_and_not_when_it_runs():
  made, double = compiling.of_this_process(), jax.jit(lambda x: 2 * x + 17)
  before = made.seconds
  double(jnp.ones(3))
  after = made.seconds
  double(jnp.ones(3))
  assert after > before and made.seconds == after
