"""Scores against one teacher-forced forward of each pair, whichever way they are read."""

import dataclasses
import functools
import math

import jax
import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.data.text import shipped
from jaxalign.models import llama2, mistral
from jaxalign.rl import score as programs
from jaxalign.rl.sample import left_pad
from jaxalign.rl.score import score
from jaxalign.sharding.layout import layout
from jaxalign.sharding.meshes import make_mesh

TOLERANCE = 1e-5
RANDOM = np.random.RandomState(0)


def ids(n):
  return RANDOM.randint(3, 64, n).tolist()


PRIMER = ids(40)
CONTEXTS = [PRIMER + ids(n) for n in (1, 2, 9, 14)]
CHOICES = [(context, ids(n)) for context in CONTEXTS for n in (1, 3, 8)]
SINGLE = [(ids(n), ids(1 + n % 4)) for n in (1, 12, 5, 30, 7)]


@functools.cache
def model(module=llama2, vocab=64):
  small = dict(width=16, heads=4, kv_heads=2, mlp=32, depth=2, length=64)
  return module.tiny(vocab=vocab, **small).build(jax.random.key(0))


def forward(pairs, module=llama2):
  """[(logprobs, greedy)] by a forward of all."""
  whole = [context + said for context, said in pairs]
  logits = np.asarray(model(module).logits(*left_pad(whole, 64)), np.float64)
  logprob_BTV = logits - np.logaddexp.reduce(logits, -1, keepdims=True)
  found = []
  for logprob_TV, (_, said) in zip(logprob_BTV, pairs):
    of_said = logprob_TV[-len(said) - 1 : -1]
    found.append((of_said[np.arange(len(said)), said], of_said.argmax(-1).tolist() == said))
  return found


def check(found, pairs, module=llama2):
  for one, (logprobs, greedy), (_, said) in zip(found, forward(pairs, module), pairs, strict=True):
    np.testing.assert_allclose(one.logprobs, logprobs, atol=TOLERANCE)
    assert one.logprob == pytest.approx(logprobs.sum(), abs=TOLERANCE * len(said))
    assert (one.tokens, one.greedy, one.error) == (len(said), greedy, None)


def likeliest(pairs):
  """The same contexts with what each foretells greedily, three tokens."""
  said = [[] for _ in pairs]
  for _ in range(3):
    whole = [context + more for (context, _), more in zip(pairs, said)]
    best = np.asarray(model().logits(*left_pad(whole, 64)))[:, -1].argmax(-1)
    said = [more + [int(token)] for more, token in zip(said, best)]
  return [(context, more) for (context, _), more in zip(pairs, said)]


def test_contexts_in_common_and_their_beginning_are_read_once():
  for program in (programs.read_before, programs.read_whole, programs.read_after):
    program.clear_cache()
  check(score(model(), CHOICES), CHOICES)
  assert programs.read_whole._cache_size() == 0
  assert 3 <= programs.read_before._cache_size() + programs.read_after._cache_size() <= 6
  check(score(model(), CHOICES[:6], rows=2), CHOICES[:6])


def test_a_context_of_one_token_beside_a_long_one_row_by_row():
  """Nothing of it is read before its continuations."""
  wide = model().under(dataclasses.replace(model().cfg, length=1024))
  pairs = [(context, ids(n)) for context in ([3], ids(600)) for n in (1, 2, 3)]
  one, many = ([x.logprob for x in score(wide, pairs, rows=rows)] for rows in (1, 16))
  np.testing.assert_allclose(one, many, atol=TOLERANCE * 3)


def test_pairs_without_a_common_context():
  pairs = SINGLE + likeliest(SINGLE)
  found = score(model(), pairs)
  check(found, pairs)
  assert all(one.greedy for one in found[5:]) and not any(one.greedy for one in found[:5])


def test_a_window_of_tokens_counts_no_padding():
  assert model(mistral).cfg.window == 5
  check(score(model(mistral), CHOICES), CHOICES, mistral)


def test_meshes_agree():
  mesh = make_mesh(2, 2, 2)
  spread = jax.device_put(model(), layout(model(), mesh))
  check(score(spread, CHOICES), CHOICES)
  check(score(spread, SINGLE), SINGLE)


def test_what_cannot_be_scored_is_its_own_error():
  asked = [SINGLE[0], ([], [3]), ([3], []), ([3], [64]), (ids(40), ids(26)), (ids(40), ids(25))]
  found = score(model(), asked)
  says = ['the context is empty', 'no token of its own', 'vocabulary of 64', '64 positions']
  for one, words in zip(found[1:5], says):
    assert words in one.error and math.isnan(one.logprob) and not one.greedy and one.tokens == 0
  check([found[0]], asked[:1])
  assert found[5].error is None and found[5].tokens == 25  # its last token is foretold only
  assert score(model(), []) == []


def test_what_is_not_finite_is_refused_by_its_pair():
  broken = jax.tree.map(lambda w: w, model())
  broken.embed_VD = type(broken.embed_VD)(model().embed_VD[...].at[9].set(np.nan))
  asked = [([3, 4], [5]), ([3, 9], [5])]
  with pytest.raises(UserError, match='pair [01]: a log-probability is not finite'):
    score(broken, asked)


@pytest.mark.parametrize(
  'pairs, how, said',
  [
    ('ab', {}, "pair 0 is 'ab'"),
    ([([1],)], {}, 'give (context, continuation)'),
    (['ab'], {}, "pair 0 is 'ab'"),
    ([([1], 'a')], {}, 'pair 0: both parts are strings'),
    ([('a', 'b')], {}, 'no tokenizer'),
    ([([1], [2.0])], {}, 'token id=2.0'),
    ([([1], [2])], dict(rows=0), 'rows=0'),
  ],
  ids=str,
)
def test_bad_input_is_one_clear_line(pairs, how, said):
  with pytest.raises(UserError) as error:
    score(model(), pairs, **how)
  assert said in str(error.value) and '\n' not in str(error.value)


def test_texts_are_cut_where_the_context_ends():
  """Encoded whole; spaces go to the continuation; an empty context is the start token."""
  talking = jax.tree.map(lambda w: w, model(vocab=1024))
  tokenizer = talking.tokenizer = shipped()
  found = programs._encoded(
    talking, [('Be kind', ' to all'), ('Be kind ', 'to all'), ('', 'Be kind'), ('  ', 'Be kind')]
  )
  whole, context = tokenizer.encode('Be kind to all'), tokenizer.encode('Be kind')
  assert found[0] == found[1] == (tuple(context), tuple(whole[len(context) :]))
  start = tokenizer.eos if tokenizer.bos is None else tokenizer.bos
  assert found[2] == ((start,), tuple(tokenizer.encode('Be kind', bos=False)))
  assert found[3] == ((start,), tuple(tokenizer.encode('  Be kind', bos=False)))
  one, again = score(talking, [('Be kind', ' to all'), ('', 'Be kind to all')])
  assert one.tokens == len(found[0][1]) and one.logprob < 0
  assert again.tokens == len(tokenizer.encode('Be kind to all', bos=False))
