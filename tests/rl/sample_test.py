"""Sampling against loops of numpy: what is drawn, when it stops, what it compiles and refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.rl.prompts import sample
from jaxalign.rl.sample import bucket, generate, truncated
from tests.rl.sampling import STEPS, Config, Table, chain, prompts, run

TOLERANCE = 1e-5


# ---- what is drawn


def expected(logits, temperature=1.0, top_k=None, top_p=None):
  """The distribution, by hand: from the most likely down, of equal ones the lower id first."""
  p = np.exp(np.asarray(logits, np.float64) / temperature)
  p /= p.sum()
  order = sorted(range(len(p)), key=lambda v: (-p[v], v))[:top_k]
  kept, mass = [], 0.0
  for v in order:
    if top_p is None or mass < top_p * sum(p[order]) - 1e-12:
      kept.append(v)
      mass += p[v]
  out = np.zeros(len(p))
  out[kept] = p[kept]
  return out / out.sum()


LOGITS = np.array([1.0, 0.2, -0.5, 2.0, 0.2, -3.0, 0.9, -1.0], np.float32)
TIED = np.log(np.array([0.25, 0.125, 0.25, 0.125, 0.0625, 0.0625, 0.0625, 0.0625], np.float32))
RULES = [
  dict(),
  dict(temperature=0.5),
  dict(temperature=3.0),
  dict(top_k=3),
  dict(top_k=100),
  dict(top_p=0.6),
  dict(temperature=2.0, top_k=5, top_p=0.7),
]


@pytest.mark.parametrize('rule', RULES, ids=str)
def test_draws_follow_the_distribution(rule):
  """Chi-square of 16,384 draws; a right sampler fails once in 10,000 (and this seed does not)."""
  rows, steps = 512, 32
  model = Table(jnp.tile(LOGITS, (8, 1)), Config(8))
  how = rule | (dict(top_k=min(rule['top_k'], 8)) if 'top_k' in rule else {})
  out = run(model, [[0]] * rows, steps, **how)
  seen = np.bincount(np.asarray(out.tokens_BR).ravel(), minlength=8)
  want = expected(LOGITS, **rule) * rows * steps
  assert not seen[want == 0].any()
  kept = want > 0
  chi = ((seen - want)[kept] ** 2 / want[kept]).sum()
  limit = {1: 15.1, 2: 18.4, 3: 21.1, 4: 23.5, 5: 25.7, 6: 27.9, 7: 29.9}[kept.sum() - 1]
  assert chi < limit, (chi, seen, want)


@pytest.mark.parametrize('logits', [LOGITS, TIED, 0 * TIED], ids=['', 'tied', 'flat'])
def test_truncated_sets_are_exact(logits):
  for top_k in (None, 1, 2, 3, 5, 8):
    for top_p in (None, 1e-9, 0.2, 0.25, 0.26, 0.5, 0.75, 0.8, 0.99, 1.0):
      kept = np.isfinite(truncated(jnp.array(logits)[None], top_k, top_p)[0])
      want = expected(logits, top_k=top_k, top_p=top_p) > 0
      np.testing.assert_array_equal(kept, want, f'{top_k} {top_p}')


def test_greedy_is_top_k_of_one_also_when_tied():
  model = Table(jnp.array(np.random.default_rng(0).integers(0, 3, (16, 16)), 'float32'), Config(16))
  ids = [[v] for v in range(16)]
  greedy = sample(model, ids, length=9, temperature=0)
  assert greedy == sample(model, ids, length=9, top_k=1, temperature=2.0, seed=3)
  assert greedy == sample(model, ids, length=9, top_p=1e-6, seed=4)
  token, want = 3, []
  for _ in range(9):
    token = int(np.argmax(model.logits_VV[token]))
    want.append(token)
  assert greedy[3] == want


# ---- what comes with it


def test_truncation_leaves_the_logprob_of_the_whole_distribution():
  model = Table(jnp.tile(LOGITS, (8, 1)), Config(8))
  out = run(model, [[0]] * 4, 6, top_k=2)
  want = np.log(expected(LOGITS))[np.asarray(out.tokens_BR)]
  np.testing.assert_allclose(out.sampled_BR, want, atol=TOLERANCE)


def test_the_end_token_counts_and_pad_follows_it():
  """0 -> 1 -> 2 -> 3 (the end) -> 0: rows start at 0, 2, 3 and 4, which only leads to itself."""
  model = chain([1, 2, 3, 0, 4], eos=(3,))
  out = run(model, [[0], [2], [3], [4]], 6, slots=8)
  assert out.tokens_BR.tolist() == [
    [1, 2, 3, 3, 3, 3, 3, 3],  # pad is the end token here: lengths tell them apart
    [3] * 8,
    [0, 1, 2, 3, 3, 3, 3, 3],
    [4, 4, 4, 4, 4, 4, 3, 3],
  ]
  assert out.length_B.tolist() == [3, 1, 4, 6]
  assert out.finished_B.tolist() == [True, True, True, False]
  assert not np.asarray(out.sampled_BR)[np.arange(8) >= np.array([[3], [1], [4], [6]])].any()
  assert sample(model, [[0], [2], [3], [4]], length=6) == [[1, 2, 3], [3], [0, 1, 2, 3], [4] * 6]


@pytest.mark.parametrize(
  'eos, lengths, finished',
  [
    ((), [3, 3, 3], [False] * 3),
    ((3,), [3, 2, 3], [True, True, False]),  # at the very limit: finished, not truncated
    ((2, 4), [2, 1, 1], [True] * 3),  # any of several
  ],
)
def test_end_tokens_and_the_limit(eos, lengths, finished):
  """0 -> 1 -> 2 -> 3 -> 4 -> 0, from 0, 1 and 3, three tokens at most."""
  out = run(chain([1, 2, 3, 4, 0], eos=eos), [[0], [1], [3]], 3)
  assert out.length_B.tolist() == lengths and out.finished_B.tolist() == finished


def steps_taken(model, ids, length, **how):
  STEPS.clear()
  answers = sample(model, ids, length=length, **how)
  jax.effects_barrier()
  return len(STEPS), answers


def test_it_stops_when_the_last_row_is_done():
  """Of 500 allowed steps, as many run as the longest row needs; the first token needs none."""
  model = chain([1, 2, 3, 4, 5, 5], eos=(5,))
  assert steps_taken(model, [[0], [3]], 500) == (4, [[1, 2, 3, 4, 5], [4, 5]])
  assert steps_taken(model, [[4], [4]], 500) == (0, [[5], [5]])
  assert steps_taken(model, [[0]], 3) == (2, [[1, 2, 3]])
  assert steps_taken(model, [[0]], 1) == (0, [[1]])


def test_rows_that_fill_the_batch_keep_nobody_waiting():
  """Three rows are run as four; the fourth, whatever it would sample, is done from the start."""
  model = chain([1, 1, 0], eos=(1,))
  assert steps_taken(model, [[0], [0], [2]], 100) == (1, [[1], [1], [0, 1]])
  assert run(model, [[0], []], 4, padded=4).length_B.tolist() == [1, 0]


# ---- programs


def test_lengths_in_one_bucket_share_a_program():
  model = Table(jnp.zeros((64, 64)), Config(64))
  generate.clear_cache()
  sample(model, prompts([5, 9, 3]), length=9)
  assert generate._cache_size() == 1
  sample(model, prompts([16, 2, 2, 1]), length=16)
  sample(model, prompts([1] * 4), length=np.int64(12), seed=9)
  for how in (*(dict(temperature=t) for t in (0.3, np.float32(2), 2)), dict(top_p=1)):
    sample(model, prompts([7, 7, 7]), length=10, **how)
  assert generate._cache_size() == 1
  sample(model, prompts([17, 2, 2]), length=9)  # a longer prompt's bucket
  assert generate._cache_size() == 2
  sample(model, prompts([7, 2, 2]), length=17)  # a longer answer's
  assert generate._cache_size() == 3
  sample(model, prompts([7, 2, 2]), length=9, top_p=0.9)
  sample(model, prompts([7, 2, 2]), length=9, top_p=0.5)
  assert generate._cache_size() == 4
  for top_k in (5, np.int64(5)):
    sample(model, prompts([7, 2, 2]), length=9, top_k=top_k)
  assert generate._cache_size() == 5


def test_a_debugger_may_turn_jit_off():
  model = Table(jnp.zeros((64, 64)), Config(64))
  jitted = sample(model, prompts([5, 3]), length=2)
  with jax.disable_jit():
    assert sample(model, prompts([5, 3]), length=2) == jitted


def test_buckets_are_powers_of_two():
  assert [bucket(n) for n in (1, 16, 17, 33, 512, 513)] == [16, 16, 32, 64, 512, 1024]
  assert [bucket(n, least=1) for n in (1, 2, 3, 5)] == [1, 2, 4, 8]
  assert bucket(3, least=6) == 6 and bucket(7, least=6) == 12


# ---- what is refused


@pytest.mark.parametrize(
  'ids, how, said',
  [
    ([[]], {}, 'a prompt is empty'),
    ([[1, 8]], {}, 'token id 8 is outside the vocabulary of 8'),
    ([[1], [-1]], {}, 'token id -1'),
    ([[1.0]], {}, 'token id=1.0'),
    ([[True]], {}, 'token id=True'),
    ([1, 2], {}, 'prompt 1 is neither'),
    (['text'], {}, 'no tokenizer'),
    ([[1]], dict(length=0), 'length=0'),
    ([[1]], dict(length=2.0), 'length=2.0'),
    ([[1] * 30], dict(length=3), '30 tokens and length=3 do not fit the 32 positions'),
    ([[1]], dict(temperature=float('nan')), 'temperature=nan'),
    ([[1]], dict(temperature=float('inf')), 'temperature=inf'),
    ([[1]], dict(temperature=1e-40), 'temperature=1e-40'),
    ([[1]], dict(temperature=True), 'temperature=True'),
    ([[1]], dict(temperature='hot'), "temperature='hot'"),
    ([[1]], dict(top_k=0), 'top_k=0'),
    ([[1]], dict(top_k=2.0), 'top_k=2.0'),
    ([[1]], dict(top_p=0), 'top_p=0'),
    ([[1]], dict(top_p=1.5), 'top_p=1.5'),
    ([[1]], dict(top_p=float('nan')), 'top_p=nan'),
    ([[1]], dict(seed=-1), 'seed=-1'),
    ([[1]], dict(seed=2**32), 'seed=4294967296'),
    ([[1]], dict(seed=1.5), 'seed=1.5'),
  ],
  ids=str,
)
def test_bad_input_is_one_clear_line(ids, how, said):
  model = chain(range(8), length=32)
  with pytest.raises(UserError) as error:
    sample(model, ids, **dict(length=2) | how)
  assert said in str(error.value) and '\n' not in str(error.value)


def test_the_largest_seed_and_the_last_position_are_fine():
  model = chain([1, 0], length=32)
  assert sample(model, [[0] * 30], length=2, seed=2**32 - 1) == [[1, 0]]
  assert sample(model, [np.array([0, 1])], length=np.int64(2)) == [[0, 1]]


def test_no_prompts_no_answers_but_bad_settings_still_show():
  assert sample(chain([0]), [], length=3) == []
  with pytest.raises(UserError):
    sample(chain([0]), [], length=0)


def test_what_comes_out_is_typed():
  out = run(chain([1, 0]), [[0]], 2)
  types = 'int32 int32 bool int32 bool bool float32'.split()  # of Sampled, in its order
  assert [x.dtype.name for x in vars(out).values()] == types
