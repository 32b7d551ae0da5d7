"""Gold that is the proxy is refused whatever it is called; so are judges that cannot judge."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from jaxalign import sealing
from jaxalign.config import UserError
from jaxalign.models import llama2
from jaxalign.rl.judges import Judge
from jaxalign.stages import judging, trained
from jaxalign.train import fingerprint
from tests.stages.bon_test import smoke


def known(workdir, mark):
  """The files by which a reward model is told from others; no weights are read for it."""
  place = workdir / 'checkpoints/7/fingerprint'
  place.mkdir(parents=True)
  arrays = {'model.score_D': ['float32[4]', mark]}
  record = dict(arrays=arrays, crc=fingerprint._crc(arrays))
  (place / 'metadata').write_text(json.dumps(record))
  raw = {'class': trained.REWARD, 'lora': None}
  (workdir / 'config.json').write_text(json.dumps(raw))
  return Judge(by=str(workdir))


def test_gold_of_one_name_in_several_places_is_looked_at_everywhere(tmp_path):
  """Two golds, both called reward; the first is a copy of the proxy."""
  a, b, c = (known(tmp_path / name / 'reward', mark) for name, mark in dict(a=1, b=1, c=2).items())
  with pytest.raises(UserError, match='gold judge reward is the proxy reward .fingerprint'):
    judging.refuse_same_judge((a,), (b, c))
  with pytest.raises(UserError, match='is the proxy'):
    judging.refuse_same_judge((a, c), (b,))
  prints = judging.refuse_same_judge((a, b), (c,))
  assert prints['proxy'].keys() == {'reward_0', 'reward_1'} and prints['gold'].keys() == {'reward'}


def test_two_functions_of_one_name_cannot_be_told_apart():
  one, other = Judge(by=lambda p, a: 1.0), Judge(by=lambda p, a: 2.0)
  with pytest.raises(UserError, match='two functions of one name, .*give each a name'):
    judging.refuse_same_judge((one,), (other,))


def test_a_score_that_is_no_number_is_named_but_for_rows_without_a_prompt():
  good, bad = jnp.ones(4), jnp.array([1.0, jnp.nan, 1.0, jnp.inf])
  judging.refuse_not_finite(('a', 'b'), (good, bad), np.array([True, False, True, False]))
  with pytest.raises(UserError, match='judge b gave a score that is not a finite number'):
    judging.refuse_not_finite(('a', 'b'), (good, bad), np.array([True, False, True, True]))


def test_a_judge_of_fewer_positions_is_refused():
  cfg = sealing.seal(smoke())
  there = llama2.tiny(length=cfg.length)
  judging.refuse_short('judge x', there, cfg)
  with pytest.raises(UserError, match='are 70 tokens: judge x was trained on 69 positions'):
    judging.refuse_short('judge x', llama2.tiny(length=cfg.length - 1), cfg)
