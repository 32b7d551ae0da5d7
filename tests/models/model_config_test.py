"""The configs of the families; that the models are Hugging Face's is in parity_test.py."""

import jax
import numpy as np
import pytest

from jaxalign.models import llama2, phi2
from jaxalign.sealing import seal
from tests.golden import cases

LLAMA = llama2.llama2_7b(), llama2.llama2_13b(), llama2.llama2_70b(), llama2.tiny(head_dim=24)
PHI = phi2.phi1(), phi2.phi1_5(), phi2.phi2(), phi2.tiny()


@pytest.mark.parametrize('cfg', [*LLAMA, *PHI])
def test_configs_are_consistent_and_hashable(cfg):
  assert seal(cfg) is cfg
  assert hash(cfg) == hash(type(cfg)(**{k: v for k, v in vars(cfg).items() if k[0] != '_'}))


def test_sizes_of_heads_and_of_what_rotates():
  """0.4 of 80 is 32, whatever floating point makes of it."""
  assert [(cfg.head_size, cfg.turns) for cfg in LLAMA] == [(128, 128)] * 3 + [(24, 24)]
  assert [(cfg.head_size, cfg.turns) for cfg in PHI] == [(64, 32)] * 2 + [(80, 32), (16, 8)]


def test_a_tied_model_has_no_head_and_its_embedding_learns_from_both_ends():
  model, tokens_BT = cases.model('llama_tied'), np.ones((1, 3), np.int32)
  assert not hasattr(model, 'head_VD')
  slope = jax.jit(jax.grad(lambda model: model.unembed(model(tokens_BT))[..., 7].sum()))(model)
  slope_VD = np.asarray(slope.embed_VD[...])
  assert slope_VD[1].any() and slope_VD[7].any()  # token 1 was read, token 7 predicted
  assert not slope_VD[2].any()
