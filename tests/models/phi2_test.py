"""Phi's block and configs: what is its own, against numpy in float64."""

import numpy as np
import pytest

from jaxalign.models import phi2
from jaxalign.sealing import seal
from tests.golden import cases
from tests.golden.cases import TOLERANCE


def norm(x, scale, bias, eps):
  return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps) * scale + bias


def turn(x_HTK, theta, turns):
  """Rotates the first `turns` of each head, as two halves, and leaves the rest."""
  angle_TK = np.arange(x_HTK.shape[1])[:, None] * theta ** (-np.arange(0, turns, 2) / turns)
  z = (x_HTK[..., : turns // 2] + 1j * x_HTK[..., turns // 2 : turns]) * np.exp(1j * angle_TK)
  return np.concatenate([z.real, z.imag, x_HTK[..., turns:]], -1)


def gelu(x):
  return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def numpy_logits(cfg, given, tokens_T):
  """The model's equations on Hugging Face's tensors, one document, no batch."""
  given = {name: w.astype(np.float64) for name, w in given.items()}
  x_TD = given['model.embed_tokens.weight'][tokens_T]
  T, K, group = len(tokens_T), cfg.head_size, cfg.heads // cfg.kv_heads
  for n in range(cfg.depth):
    of = lambda name, n=n: [given[f'model.layers.{n}.{name}.{part}'] for part in ('weight', 'bias')]

    def linear(x, name, of=of):
      weight, bias = of(name)
      return x @ weight.T + bias

    h_TD = norm(x_TD, *of('input_layernorm'), cfg.eps)
    q, k, v = (linear(h_TD, f'self_attn.{i}_proj').reshape(T, -1, K).swapaxes(0, 1) for i in 'qkv')
    q, k = turn(q, cfg.theta, cfg.turns), turn(k, cfg.theta, cfg.turns)
    k, v = np.repeat(k, group, 0), np.repeat(v, group, 0)
    score_HTS = q @ k.swapaxes(1, 2) / np.sqrt(K)
    score_HTS[:, ~np.tri(T, dtype=bool)] = -np.inf
    weight_HTS = np.exp(score_HTS - score_HTS.max(-1, keepdims=True))
    out_HTK = weight_HTS @ v / weight_HTS.sum(-1, keepdims=True)
    seen_TD = linear(out_HTK.swapaxes(0, 1).reshape(T, -1), 'self_attn.dense')
    x_TD = x_TD + seen_TD + linear(gelu(linear(h_TD, 'mlp.fc1')), 'mlp.fc2')
  last = [given[f'model.final_layernorm.{part}'] for part in ('weight', 'bias')]
  head = 'model.embed_tokens.weight' if cfg.tied else 'lm_head.weight'
  return norm(x_TD, *last, cfg.eps) @ given[head].T + given['lm_head.bias']


@pytest.mark.parametrize('name', ['phi2', 'phi_grouped', 'phi_tied'])
def test_the_model_is_the_equations(name):
  tokens_BT = cases.tokens(name)
  logits_BTV = cases.model(name).logits(tokens_BT)
  for ours, row in zip(logits_BTV, tokens_BT):
    expected = numpy_logits(cases.config(name), cases.tensors(name), row)
    np.testing.assert_allclose(ours, expected, atol=TOLERANCE)


@pytest.mark.parametrize('cfg', [phi2.phi1(), phi2.phi1_5(), phi2.phi2(), phi2.tiny()])
def test_configs_are_consistent_and_hashable(cfg):
  assert seal(cfg) is cfg
  assert hash(cfg) == hash(type(cfg)(**{k: v for k, v in vars(cfg).items() if k[0] != '_'}))


def test_rotary_sizes():
  """0.4 of 80 is 32, whatever floating point makes of it."""
  assert (phi2.phi2().head_size, phi2.phi2().turns) == (80, 32)
  assert (phi2.phi1().head_size, phi2.phi1().turns) == (64, 32)
