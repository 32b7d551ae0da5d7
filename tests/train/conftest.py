import jax
import pytest


@pytest.fixture(scope='module', autouse=True)
def without_optimizations():
  """What is tested here holds without XLA's optimizations, which take half the time."""
  jax.config.update('jax_disable_most_optimizations', True)
  yield
  jax.config.update('jax_disable_most_optimizations', False)
