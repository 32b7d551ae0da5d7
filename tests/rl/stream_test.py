"""A running batch gives each row what it would have got alone; answers to any number of prompts."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from jaxalign.data.text import Tokenizer
from jaxalign.models import decoder, layers, llama2, mistral
from jaxalign.rl import stream_step
from jaxalign.rl.answers import Reading, answers, best_widths, misfit
from jaxalign.rl.prompts import sample
from jaxalign.rl.stream import Piece, Request, Stream
from jaxalign.sharding.layout import layout
from jaxalign.sharding.meshes import make_mesh

LENGTH = 20
RANDOM = np.random.RandomState(0)
PROMPTS = [RANDOM.randint(3, 64, RANDOM.randint(1, 40)).tolist() for _ in range(11)]


@functools.cache
def model(module=llama2):
  cfg = module.tiny(vocab=64, eos=(2, 5, 9))
  return cfg.build(jax.random.key(0))


def continued(stream, prompts, **how):
  """Every prompt's tokens, rows joining as others leave."""
  waiting, place, found = list(enumerate(prompts)), {}, {}
  while waiting or stream.live:
    now, waiting = waiting[: stream.free], waiting[stream.free :]
    asked = [Request(prompt=tuple(p), length=LENGTH, **how) for _, p in now]
    for (n, _), piece in zip(now, stream.join(asked)):
      place[piece.row], found[n] = n, list(piece.tokens)
    for piece in stream.step(7):
      found[place[piece.row]] += piece.tokens
  return [found[n] for n in range(len(prompts))]


def test_a_model_made_ready_gives_each_row_the_same(monkeypatch):
  """As a larger one is on a CPU; also behind a prefix, which is several tokens at once."""
  start = (7, 8, 9)
  asked = [[*start, *prompt[:15]] for prompt in PROMPTS[:4]]
  how = dict(rows=2, slots=64, widths=(16,), at_once=2, prefix=start)
  want = continued(Stream(model(), **how), asked, temperature=0.0)
  monkeypatch.setattr(decoder, 'SMALL', 2**16)
  monkeypatch.setattr(layers, 'LARGE', 1)
  assert model().at_hand(2).apart is not None
  assert continued(Stream(model(), **how), asked, temperature=0.0) == want


@pytest.mark.parametrize('module', [llama2, mistral], ids=['llama2', 'mistral'])
@pytest.mark.parametrize(
  'how', [dict(temperature=0.0), dict(temperature=0.7, top_k=20, top_p=0.9, seed=3)]
)
def test_rows_that_join_and_leave_get_what_sample_gives(module, how):
  """In 90 slots the batch moves to the left again and again."""
  wanted = sample(model(module), PROMPTS, length=LENGTH, **how)
  assert continued(Stream(model(module), rows=3, slots=90), PROMPTS, **how) == wanted
  assert len({len(answer) for answer in wanted}) > 1  # some end by themselves


@pytest.mark.parametrize('prefix', [(), tuple(range(10, 30))], ids=['alone', 'behind a prefix'])
def test_as_a_tpu_has_it(monkeypatch, prefix):
  """A batch of whole blocks, read by the kernel of one token; prompts are read in as few slots as
  they need, and laid into it. In 90 of its 128 slots the batch moves to the left many times."""
  monkeypatch.setattr(stream_step, 'slots_of', lambda slots: -(-slots // 128) * 128)
  kernels = dataclasses.replace(model().cfg, attention='splash')
  asked = [[*prefix, *prompt] for prompt in PROMPTS[:6]]
  wanted = sample(model(), asked, length=LENGTH, temperature=0.0)
  widths = dict(widths=(16, 48), at_once=4) if prefix else {}
  made = Stream(model().under(kernels), rows=3, slots=90, prefix=prefix, **widths)
  assert continued(made, asked, temperature=0.0) == wanted


def test_what_all_begin_with_is_read_once_and_changes_nothing():
  first = tuple(range(10, 30))
  prompts = [[*first, *prompt] for prompt in PROMPTS]
  wanted = sample(model(), prompts, length=LENGTH, temperature=0.0)
  made = Stream(model(), rows=4, slots=100, prefix=first, widths=(16, 48), at_once=4)
  assert continued(made, prompts, temperature=0.0) == wanted


def test_a_window_of_tokens_counts_no_padding():
  """Behind a beginning read apart, shorter prompts would have padding inside their windows."""
  asked = [(*range(10, 50), *prompt[:n]) for n, prompt in zip((1, 3, 12), PROMPTS)]
  wanted = sample(model(mistral), asked, length=LENGTH, temperature=0.0)
  requests = [Request(prompt=p, length=LENGTH, temperature=0.0) for p in asked]
  found = dict(answers(model(mistral), requests))
  assert [found[n].tokens for n in range(3)] == wanted


def test_on_a_mesh_too():
  mesh = make_mesh(2, 2, 2)
  spread = jax.device_put(model(), layout(model(), mesh))
  wanted = sample(model(), PROMPTS, length=LENGTH, temperature=0.0)
  made = Stream(spread, rows=4, slots=100, widths=(16, 48), at_once=4)
  assert continued(made, PROMPTS, temperature=0.0) == wanted


def test_a_row_that_leaves_is_free_and_disturbs_nobody():
  made = Stream(model(), rows=2, slots=90)
  asked = [Request(prompt=tuple(p), length=LENGTH, temperature=0.0) for p in PROMPTS[:3]]
  first, other = made.join(asked[:2])
  made.leave(first.row)
  (third,) = made.join(asked[2:])
  assert third.row == first.row and made.free == 0
  found = {other.row: list(other.tokens), third.row: list(third.tokens)}
  while made.live:
    for piece in made.step():
      found[piece.row] += piece.tokens
  wanted = sample(model(), PROMPTS[1:3], length=LENGTH, temperature=0.0)
  assert [found[other.row], found[third.row]] == wanted
  with pytest.raises(ValueError, match='3 requests for 2 free rows'):
    made.join(asked)


def test_a_third_draw_is_the_third_draw_in_any_call():
  ask = dict(prompt=tuple(PROMPTS[0]), length=LENGTH, seed=7)
  three = dict(answers(model(), [Request(**ask, draw=n) for n in range(3)]))
  wanted = sample(model(), [PROMPTS[0]] * 3, length=LENGTH, seed=7)
  assert [three[n].tokens for n in range(3)] == wanted
  ((_, alone),) = answers(model(), [Request(**ask, draw=2)])
  assert alone.tokens == wanted[2] != wanted[1]


def test_logprobs_are_those_of_what_was_drawn():
  ((_, answer),) = answers(model(), [Request(prompt=tuple(PROMPTS[1]), length=8, temperature=0.0)])
  tokens = np.array([PROMPTS[1] + answer.tokens], np.int32)
  logprob = jax.nn.log_softmax(model().logits(tokens))[0]
  start = len(PROMPTS[1])
  wanted = [float(logprob[start - 1 + n, token]) for n, token in enumerate(answer.tokens)]
  np.testing.assert_allclose(answer.logprobs, wanted, atol=1e-4)
  assert answer.why in ('end', 'length') and answer.text is None


def test_what_does_not_fit_is_an_error_alone():
  long = [3] * 500
  asked = [
    Request(prompt=tuple(p), length=LENGTH, temperature=0.0) for p in (PROMPTS[0], long, [], [64])
  ]
  found = dict(answers(model(), asked))
  assert found[0].tokens == sample(model(), PROMPTS[:1], length=LENGTH, temperature=0.0)[0]
  says = ['do not fit the 512 positions', 'the prompt is empty', 'outside the vocabulary of 64']
  for n, words in enumerate(says, 1):
    assert found[n].why == 'error' and words in found[n].error and not found[n].tokens
    assert misfit(model(), asked[n]) == found[n].error and misfit(model(), asked[0]) is None
  assert dict(answers(model(), [])) == {}


def test_few_programs_serve_a_job_of_many_lengths():
  programs = stream_step.join, stream_step.advance, stream_step.empty, stream_step.shifted
  for program in programs:
    program.clear_cache()
  prompts = [RANDOM.randint(3, 64, n).tolist() for n in range(1, 120, 3)]
  asked = [Request(prompt=tuple(p), length=4 + n % 30) for n, p in enumerate(prompts)]
  assert len(dict(answers(model(), asked, rows=8))) == len(asked)
  assert sum(program._cache_size() for program in programs) <= 6


@pytest.mark.parametrize('rows', [2, 8])
def test_a_long_answer_keeps_nobody_waiting(rows):
  """Rows of those that end are taken while it goes on."""
  endless = model().under(dataclasses.replace(model().cfg, eos=()))
  lengths = [400] + [4] * 19
  asked = [Request(prompt=(9, 8, 7), length=n, temperature=0.0) for n in lengths]
  assert [n for n, _ in answers(endless, asked, rows=rows)][-1] == 0


def test_widths_leave_the_least_padding():
  assert best_widths([16]) == [16] and best_widths([1, 17, 100]) == [16, 32, 112]
  lengths = [*range(10, 60), 400]
  widths = best_widths(lengths)
  assert len(widths) == 3 and widths[-1] == 400
  padded = sum(min(w for w in widths if w >= n) for n in lengths)
  assert 1 - sum(lengths) / padded <= 0.4
  every = [sorted({a, b, 400}) for a in range(16, 401, 16) for b in range(16, 401, 16)]
  assert padded == min(sum(min(w for w in ws if w >= n) for n in lengths) for ws in every)


# ---- text as it comes


WORDS = Tokenizer.from_vocab(['a', 'b', 'stop', 'here'], bos=None, eos='<eos>', pad=None)


def pieces(*groups, ended=False):
  for n, tokens in enumerate(groups):
    last = n == len(groups) - 1
    yield Piece(None, 0, list(tokens), [0.0] * len(tokens), ended and last, last and not ended)


def test_a_stop_string_ends_an_answer_and_is_never_shown():
  request = Request(prompt=(0,), length=9)
  reading = Reading(WORDS, request, ['stop here'])
  shown = [reading.take(piece) for piece in pieces([0], [1, 2], [3, 0])]
  assert reading.why == 'stop' and ''.join(shown) == reading.answer().text == ' a b '
  assert reading.answer().tokens == [0, 1, 2, 3, 0]


def test_what_might_begin_a_stop_string_waits_and_is_shown_when_it_does_not():
  reading = Reading(WORDS, Request(prompt=(0,), length=9), ['stop here'])
  shown = [reading.take(piece) for piece in pieces([0, 2], [1])]
  assert shown == [' a ', 'stop b'] and reading.why == 'length'


def test_half_a_character_waits(shared):
  tokenizer = Tokenizer.load(str(shared('tokenizers/phi2')))
  ids = tokenizer.encode('a 你好 😀!')
  for size in (1, 2, 3):
    reading = Reading(tokenizer, Request(prompt=(ids[0],), length=99), [])
    groups = [ids[n : n + size] for n in range(1, len(ids), size)]
    shown = [reading.take(piece) for piece in pieces(*groups)]
    assert ''.join(shown) == ' 你好 😀!' and not any('\ufffd' in text for text in shown)


def test_an_answer_with_a_stop_frees_its_row():
  tokenizer = Tokenizer.from_vocab([f'w{n}' for n in range(61)])
  talking = jax.tree.map(lambda w: w, model())
  talking.tokenizer = tokenizer
  asked = [Request(prompt=tuple(p), length=LENGTH, temperature=0.0) for p in PROMPTS]
  whole = dict(answers(talking, asked))
  stop = next(w for w in whole[0].text.split()[3:])
  cut = dict(answers(talking, asked, rows=2, stops=[stop]))
  assert cut[0].why == 'stop' and whole[0].text.startswith(cut[0].text)
  for n, answer in cut.items():
    assert answer.text == whole[n].text.partition(stop)[0]
    assert dataclasses.replace(answer, why='stop').tokens == whole[n].tokens[: len(answer.tokens)]
