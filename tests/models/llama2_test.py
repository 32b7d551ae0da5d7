"""Llama-2's block and configs: what is its own, against numpy in float64."""

import jax
import numpy as np
import pytest

from jaxalign.models import llama2
from jaxalign.sealing import seal
from tests.golden import cases
from tests.golden.cases import TOLERANCE


def rms(x, scale, eps):
  return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * scale


def turn(x_HTK, theta):
  T, K = x_HTK.shape[1:]
  angle_TK = np.arange(T)[:, None] * theta ** (-np.arange(0, K, 2) / K)
  z = (x_HTK[..., : K // 2] + 1j * x_HTK[..., K // 2 :]) * np.exp(1j * angle_TK)
  return np.concatenate([z.real, z.imag], -1)


def numpy_logits(cfg, given, tokens_T):
  """The paper's equations on Hugging Face's tensors, one document, no batch."""
  given = {name: w.astype(np.float64) for name, w in given.items()}
  x_TD = given['model.embed_tokens.weight'][tokens_T]
  T, K, group = len(tokens_T), cfg.head_size, cfg.heads // cfg.kv_heads
  for n in range(cfg.depth):
    of = lambda name, n=n: given[f'model.layers.{n}.{name}.weight']
    split = lambda h, name, of=of: (h @ of(name).T).reshape(T, -1, K).swapaxes(0, 1)
    h_TD = rms(x_TD, of('input_layernorm'), cfg.eps)
    q, k = (turn(split(h_TD, f'self_attn.{i}_proj'), cfg.theta) for i in 'qk')
    k, v = (np.repeat(x, group, 0) for x in (k, split(h_TD, 'self_attn.v_proj')))
    score_HTS = q @ k.swapaxes(1, 2) / np.sqrt(K)
    score_HTS[:, ~np.tri(T, dtype=bool)] = -np.inf
    weight_HTS = np.exp(score_HTS - score_HTS.max(-1, keepdims=True))
    out_HTK = weight_HTS @ v / weight_HTS.sum(-1, keepdims=True)
    x_TD = x_TD + out_HTK.swapaxes(0, 1).reshape(T, -1) @ of('self_attn.o_proj').T
    h_TD = rms(x_TD, of('post_attention_layernorm'), cfg.eps)
    gate_TF = h_TD @ of('mlp.gate_proj').T
    gate_TF = gate_TF / (1 + np.exp(-gate_TF)) * (h_TD @ of('mlp.up_proj').T)
    x_TD = x_TD + gate_TF @ of('mlp.down_proj').T
  head = 'model.embed_tokens.weight' if cfg.tied else 'lm_head.weight'
  return rms(x_TD, given['model.norm.weight'], cfg.eps) @ given[head].T


@pytest.mark.parametrize('name', ['llama_grouped', 'llama_head_dim', 'llama_tied'])
def test_the_model_is_the_papers_equations(name):
  tokens_BT = cases.tokens(name)
  logits_BTV = cases.model(name).logits(tokens_BT)
  for ours, row in zip(logits_BTV, tokens_BT):
    expected = numpy_logits(cases.config(name), cases.tensors(name), row)
    np.testing.assert_allclose(ours, expected, atol=TOLERANCE)


def test_a_tied_model_has_no_head_and_its_embedding_learns_from_both_ends():
  model = cases.model('llama_tied')
  assert not hasattr(model, 'head_VD')
  tokens_BT = np.ones((1, 3), np.int32)
  loss = lambda model: model.unembed(model(tokens_BT))[..., 7].sum()
  slope_VD = np.asarray(jax.jit(jax.grad(loss))(model).embed_VD[...])
  assert slope_VD[1].any() and slope_VD[7].any()  # token 1 was read, token 7 predicted
  assert not slope_VD[2].any()


@pytest.mark.parametrize(
  'cfg', [llama2.llama2_7b(), llama2.llama2_13b(), llama2.llama2_70b(), llama2.tiny()]
)
def test_configs_are_consistent_and_hashable(cfg):
  assert seal(cfg) is cfg
  assert hash(cfg) == hash(type(cfg)(**{k: v for k, v in vars(cfg).items() if k[0] != '_'}))
  assert cfg.turns == cfg.head_size


def test_head_sizes():
  assert llama2.llama2_70b().head_size == 128
  assert llama2.tiny(head_dim=24).head_size == 24
  assert llama2.tiny(head_dim=24).sizes['K'] == 24
