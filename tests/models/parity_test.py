"""The models against transformers: golden files anywhere, transformers itself where torch is."""

import functools

import jax
import numpy as np
import pytest

from jaxalign.models import attention, layers
from tests.golden import cases
from tests.golden.cases import SEGMENT_BT, TOLERANCE, apart

pytestmark = pytest.mark.usefixtures('optimized')


def forward(model, tokens_BT, segment_BT):
  """(logits, every layer's output)."""
  x_BTD, seen_NBTD = model(tokens_BT, segment_BT, tap=lambda x_BTD: x_BTD)
  return model.unembed(x_BTD), seen_NBTD


once = jax.jit(forward)  # compiled once for all models of one config


@functools.cache
def ours(name):
  return once(cases.model(name), cases.tokens(name), SEGMENT_BT)


@pytest.mark.parametrize('name', cases.CASES)
def test_logits_are_those_of_transformers(name):
  logits_BTV, _ = ours(name)
  assert logits_BTV.dtype == np.float32
  assert np.abs(cases.golden(name)['logits']).max() > 2  # large enough to tell right from wrong
  assert apart(logits_BTV, cases.golden(name)['logits']) < TOLERANCE


@pytest.mark.parametrize('name', cases.WITH_HIDDEN)
def test_tap_sees_the_layers_outputs_of_transformers(name):
  _, seen_NBTD = ours(name)
  assert seen_NBTD.shape == cases.golden(name)['hidden'].shape
  assert apart(seen_NBTD, cases.golden(name)['hidden']) < TOLERANCE


@pytest.mark.parametrize('name', cases.CASES)
def test_live_against_transformers(name):
  pytest.importorskip('torch', reason='torch is not installed: the golden files stand in for it')
  from tests.golden import make_golden

  theirs = make_golden.reference(name)
  logits_BTV, seen_NBTD = ours(name)
  assert apart(logits_BTV, theirs['logits']) < TOLERANCE
  assert apart(seen_NBTD, theirs['hidden']) < TOLERANCE
  assert apart(cases.golden(name)['logits'], theirs['logits']) < TOLERANCE / 2  # not stale


def test_the_golden_files_are_small_and_all_needed():
  files = list(cases.GOLDEN.glob('*.npz'))
  assert {f.stem for f in files} == set(cases.CASES)
  assert sum(f.stat().st_size for f in files) < 500_000


def gap(name, model, run=once):
  """How far a mutated model is from transformers."""
  return apart(run(model, cases.tokens(name), SEGMENT_BT)[0], cases.golden(name)['logits'])


def anew():
  """The forward pass, traced again: the code below it was patched."""
  return jax.jit(lambda *given: forward(*given))


@pytest.mark.parametrize(
  'name, change',
  [
    ('phi2', dict(rotary=0.375)),  # 30 of 80 entries of a head instead of 32
    ('phi2', dict(eps=1e-4)),
    ('phi2', dict(theta=4e4)),
    ('llama3', dict(factor=7.0)),
    ('llama3', dict(low=0.9)),
    ('llama3', dict(high=5.0)),
    ('llama3', dict(original=28)),
    ('mistral', dict(window=4)),
    ('mistral', dict(window=6)),
    ('qwen3', dict(eps=1e-4)),
  ],
  ids=str,
)
def test_another_number_in_the_config_breaks_parity(name, change):
  assert gap(name, cases.model(name, **change)) > 10 * TOLERANCE


@pytest.mark.parametrize(
  'name, one, other',
  [
    ('qwen2', 'self_attn.k_proj.bias', 'self_attn.v_proj.bias'),
    ('qwen3', 'self_attn.q_norm.weight', 'self_attn.k_norm.weight'),
  ],
)
def test_two_tensors_swapped_break_parity(name, one, other):
  one, other = (f'model.layers.0.{tensor}' for tensor in (one, other))
  given = dict(cases.tensors(name))
  given[one], given[other] = given[other], given[one]
  model = cases.from_tensors(cases.config(name), cases.module_of(name), given)
  assert gap(name, model) > 10 * TOLERANCE


def mask_one_late(T, S, segment_BT=None, segment_BS=None, filled=None, window=None):
  mask_BTS = np.tril(np.ones((T, S), bool), 1)[None]
  return mask_BTS & (segment_BT[:, :, None] == segment_BS[:, None, :])


def mask_across_documents(T, S, segment_BT=None, segment_BS=None, filled=None, window=None):
  both_BTS = (segment_BT[:, :, None] > 0) == (segment_BS[:, None, :] > 0)
  return np.tril(np.ones((T, S), bool))[None] & both_BTS


@pytest.mark.parametrize('name', cases.WITH_HIDDEN)
@pytest.mark.parametrize('mask', [mask_one_late, mask_across_documents])
def test_a_wrong_mask_breaks_parity(name, mask, monkeypatch):
  monkeypatch.setattr(attention, 'visible', mask)
  assert gap(name, cases.model(name), anew()) > 10 * TOLERANCE


def interleaved(x_BHTK, angle_BTK):
  """The rotary layout of the original Llama release: neighbours are pairs, not halves."""
  half = angle_BTK.shape[-1]
  turned, rest = x_BHTK[..., : 2 * half], x_BHTK[..., 2 * half :]
  a, b = turned[..., ::2], turned[..., 1::2]
  cos, sin = jax.numpy.cos(angle_BTK[:, None]), jax.numpy.sin(angle_BTK[:, None])
  pairs = jax.numpy.stack([a * cos - b * sin, b * cos + a * sin], -1).reshape(turned.shape)
  return jax.numpy.concatenate([pairs, rest], -1)


@pytest.mark.parametrize('name', cases.WITH_HIDDEN)
def test_the_other_rotary_layout_breaks_parity(name, monkeypatch):
  module = cases.module_of(name)
  assert module.rope is layers.rope
  monkeypatch.setattr(module, 'rope', interleaved)
  assert gap(name, cases.model(name), anew()) > 10 * TOLERANCE


def test_the_other_gelu_breaks_parity(monkeypatch):
  exact = jax.nn.gelu
  monkeypatch.setattr(jax.nn, 'gelu', lambda x, approximate: exact(x, approximate=False))
  assert gap('phi2', cases.model('phi2'), anew()) > 10 * TOLERANCE
