"""Two processes that share a model are told what one is told."""

import json
import sys

import numpy as np

from tests.rl import asking
from tests.train import running

TOLERANCE = 1e-5


def apart(found, floats):
  """The same without its floats, which are appended to a list."""
  if isinstance(found, float):
    return floats.append(found)
  if isinstance(found, dict):
    return {key: apart(value, floats) for key, value in found.items()}
  return [apart(value, floats) for value in found] if isinstance(found, list) else found


def test_two_processes_are_told_what_one_is_told(tmp_path, cache):
  command = [sys.executable, '-m', 'tests.rl.asking', str(tmp_path)]
  running.run(running.pod(command, hosts=2, devices=2), cache)
  one, other = (json.loads((tmp_path / f'{n}.json').read_text()) for n in range(2))
  assert one == other
  alone = asking.told()
  wanted, got = [], []
  assert apart(one, got) == apart(alone, wanted)
  np.testing.assert_allclose(got, wanted, atol=TOLERANCE)
  whys = [answer['why'] for two in one['answers'] for answer in two]
  assert whys[-2:] == ['error'] * 2 and {'stop', 'length'} <= set(whys[:-2])
  assert one['answers'][0][0] != one['answers'][0][1]
