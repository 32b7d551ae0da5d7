"""On what a sample must not depend: its batch, padding, cache, mesh; and what it must equal."""

import math
import re

import jax
import jax.extend
import numpy as np
import pytest

import jaxalign
from jaxalign.models import decoder
from jaxalign.rl.prompts import sample
from jaxalign.rl.sample import Sampling, generate, left_pad, row_keys
from jaxalign.sharding.meshes import make_mesh
from tests.rl.sampling import prompts, run, tiny

TOLERANCE = 1e-5


def test_equal_prompts_get_different_samples_and_a_seed_its_own():
  model, (one, other) = tiny(), prompts([5, 5])
  a, b, c, _ = sample(model, [one, one, one, other], length=12, seed=1)
  assert a != b != c != a
  assert sample(model, [other, other, other, one], length=12, seed=1)[3] == a
  assert sample(model, [one] * 4, length=12, seed=2)[0] != a


def test_a_row_does_not_depend_on_its_batch_nor_on_padding():
  """Alone, together, in another order, behind more padding and with more slots: the same tokens."""
  model, ids = tiny(), prompts([3, 16, 1, 9])
  together = sample(model, ids, length=12, seed=7)
  assert len({tuple(row) for row in together}) == 4
  assert sample(model, ids[::-1], length=12, seed=7) == together[::-1]
  assert sample(model, ids[:1], length=12, seed=7) == together[:1]
  wide = run(model, ids, 10, seed=7, padded=40, slots=24)
  assert wide.tokens_BR[:, :10].tolist() == [row[:10] for row in together]


def test_a_scan_over_the_layers_decodes_the_same(monkeypatch):
  """The way of big models, by a bound that makes this one big."""
  model, ids = tiny(), prompts([3, 16, 1, 9])
  each = sample(model, ids, length=12, seed=7)
  assert isinstance(model.prefill(*left_pad(ids, 16), 20)[1].k_NBGSK, tuple)
  monkeypatch.setattr(decoder, 'SMALL', 0)
  assert model.prefill(*left_pad(ids, 16), 20)[1].k_NBGSK.shape[0] == model.cfg.depth
  generate.clear_cache()
  assert sample(model, ids, length=12, seed=7) == each
  generate.clear_cache()


def test_greedy_of_unequal_prompts_is_each_row_by_full_forwards():
  model, ids = tiny(), prompts([2, 11, 6])
  answers = sample(model, ids, length=8, temperature=0.0)
  for tokens, answer in zip(ids, answers):
    whole = np.array([tokens + answer])
    logits = np.asarray(model.logits(whole))[0]
    assert logits[len(tokens) - 1 : -1].argmax(-1).tolist() == answer


def test_a_cache_that_grows_midway_goes_on_the_same():
  """80 tokens cross the middle of 128 slots; with 64 slots nothing grows."""
  model, ids = tiny(), prompts([3, 16, 1, 9])
  out = run(model, ids, 80, slots=128, padded=16, temperature=None)
  first = run(model, ids, 60, slots=64, padded=16, temperature=None)
  np.testing.assert_array_equal(out.tokens_BR[:, :60], first.tokens_BR[:, :60])
  assert out.length_B.tolist() == [80] * 4
  whole = [tokens + answer for tokens, answer in zip(ids, out.tokens_BR[:, :80].tolist())]
  logits = np.asarray(model.logits(*left_pad(whole, 96)))[:, -81:-1]
  picked = np.asarray(jax.nn.log_softmax(logits)).max(-1)
  np.testing.assert_allclose(out.sampled_BR[:, :80], picked, atol=TOLERANCE)


@pytest.mark.parametrize('sizes', [(8, 1, 1), (1, 8, 1), (2, 2, 2)], ids=str)
def test_meshes_agree(sizes):
  ids = prompts([3, 16, 1, 9])
  plain = sample(tiny(), ids, length=12, seed=7)
  model = tiny(make_mesh(*sizes))
  assert sample(model, ids, length=12, seed=7) == plain
  assert len(model.blocks.q_HKD.sharding.device_set) == 8


@pytest.mark.parametrize('temperature', [1.0, 0.6, None])
def test_logprobs_are_those_of_the_full_forward(temperature):
  model, ids = tiny(), prompts([4, 13, 1, 8])
  out = run(model, ids, 12, temperature=temperature, padded=16)
  whole = [tokens + answer for tokens, answer in zip(ids, out.tokens_BR.tolist())]
  logits = np.asarray(model.logits(*left_pad(whole, 25)))[:, -13:-1]
  full = np.asarray(jax.nn.log_softmax(logits / (temperature or 1.0)))
  picked = np.take_along_axis(full, np.asarray(out.tokens_BR)[..., None], -1)[..., 0]
  np.testing.assert_allclose(out.sampled_BR, picked, atol=TOLERANCE)
  assert (out.tokens_BR == full.argmax(-1)).all() == (temperature is None)


def test_bf16_sees_new_weights():
  """The cast is not remembered: other float32 weights, another answer, by the same program."""
  model, ids = tiny(dtype='bfloat16'), prompts([5, 9])
  before = sample(model, ids, length=12, temperature=0)
  programs = generate._cache_size()
  changed = jax.tree.map(lambda w: w[..., ::-1], model)
  after = sample(changed, ids, length=12, temperature=0)
  assert generate._cache_size() == programs
  assert after != before == sample(model, ids, length=12, temperature=0)
  whole = np.array([ids[1] + after[1]])
  logits = np.asarray(changed.logits(whole))[0, 8:-1]
  best = logits.max(-1) - logits[range(12), after[1]]
  assert best.max() < 0.05, 'greedy of the new weights, to the precision of bfloat16'
  assert {w.dtype.name for w in jax.tree.leaves(model)} == {'float32'}, 'the model keeps its own'


def test_the_cast_lies_outside_the_loop():
  """No step converts a whole weight: inside the while loop of the program, no such convert."""
  model = tiny(dtype='bfloat16')
  given = (*left_pad([[1, 2]], 16), row_keys([[1, 2]], 0), Sampling(slots=16, length=4))
  jaxpr = jax.make_jaxpr(generate)(model, *given)
  sizes = {w.size for w in jax.tree.leaves(model) if w.ndim > 1}
  loops = [e for e in inner(jaxpr.jaxpr) if e.primitive.name == 'while']
  assert loops
  for loop in loops:
    for e in inner(loop.params['body_jaxpr'].jaxpr):
      if e.primitive.name == 'convert_element_type':
        assert e.invars[0].aval.size not in sizes, e


@pytest.mark.parametrize('sizes', [(1, 8, 1), (2, 2, 2)], ids=str)
def test_no_step_gathers_a_weight(sizes):
  """While tokens are sampled, nothing as large as a matrix goes from device to device: weights are
  laid into groups before."""
  mesh = make_mesh(*sizes)
  model, ids = tiny(mesh), prompts([1] * 8)
  given = (*left_pad(ids, 1), row_keys(ids, 0), Sampling(slots=16, length=12))
  with jax.set_mesh(mesh):
    text = generate.lower(model, *given).compile().as_text()
  loops = [line for line in text.splitlines() if ' while(' in line]
  # Of prompts, which are read as in training, the number of turns is known: the layers.
  names = [re.search(r'body=%([\w.\-]+)', it)[1] for it in loops if 'known_trip_count' not in it]
  bodies = [re.search(rf'^%{re.escape(name)} .*?^}}', text, re.M | re.S)[0] for name in names]
  found = re.findall(r'\[([\d,]+)\]\S* all-(?:gather|to-all|reduce)\(', '\n'.join(bodies))
  assert found, 'activations do go around'
  largest = max(math.prod(map(int, shape.split(','))) for shape in found)
  assert largest < model.blocks.q_HKD[0].size < model.blocks.up_FD[0].size


def inner(jaxpr):
  """All equations, those of inner jaxprs too."""
  for e in jaxpr.eqns:
    yield e
    for sub in jax.extend.core.jaxprs_in_params(e.params):
      yield from inner(sub)


def test_a_story(shared):
  """stories260K continues greedily, as llama2.c does; an answer carries no prompt."""
  model = jaxalign.load(shared('stories260K/stories260K.bin'))
  story, again = sample(model, ['Once upon a time', ''], length=60, temperature=0.0)
  assert story.startswith(', there was a little girl named Lily. She loved to play outside in the')
  assert again.startswith('Once upon a time')
  ids = model.tokenizer.encode('Once upon a time')
  answer = sample(model, [ids], length=60, temperature=0)[0]
  assert model.tokenizer.decode_continuation(ids, answer) == story
  assert sample(model, 'Once upon a time', length=60, temperature=0) == [story]
