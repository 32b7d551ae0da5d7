"""Prompts as a person gives them, and their answers: `jaxalign.sample`."""

import dataclasses
import numbers
import operator
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np

from jaxalign.config import UserError
from jaxalign.data.text import Tokenizer
from jaxalign.models.decoder import Decoder
from jaxalign.rl.answers import Answer, answers
from jaxalign.rl.sample import Sampling, bucket, generate, left_pad, row_keys, to_every_host
from jaxalign.rl.stream import Request
from jaxalign.sharding.layout import mesh_of, on_mesh


def sample(
  model: Decoder,
  prompts: str | Iterable[str | Sequence[int]],
  *,
  length: int,
  temperature: float = 1.0,
  top_k: int | None = None,
  top_p: float | None = None,
  seed: int = 0,
  stop: str | Iterable[str] = (),
  draws: int | Iterable[int] | None = None,
  logprobs: bool = False,
  text: bool | None = None,
  rows: int = 16,
) -> list[Any]:
  """Continues each prompt by up to `length` tokens; temperature 0 is greedy.

  Prompts are strings (the model carries its tokenizer) or lists of token ids; the answers are of
  the same kind, without the prompt. Equal prompts in one call get different samples.

  stop: texts that end an answer, which is shown as far as there.
  draws: 3 gives each prompt a list of three answers, range(3, 5) two others: a draw is the same in
    any call. None: one answer each, and of equal prompts the n-th gets draw n.
  logprobs: gives an Answer each, with text, tokens, logprobs and why it ended. A prompt that does
    not fit is then its own Answer's error; without, it refuses the call before anything is done.
  text: True gives texts for ids too.
  rows: answers written at once. More prompts wait, sorted by length, until a row is free.
  """
  given = _listed(prompts)
  ids = [ids_of(model, prompt) for prompt in given]
  _check(length, temperature, top_k, top_p, seed, rows)
  stops = _stops(model, stop, text)
  draws_of = _draws(draws, ids)
  if not logprobs and ids:
    _check_prompts(model.cfg, ids, int(length))
  like = _request(length, temperature, top_k, top_p, seed)
  asked = [
    dataclasses.replace(like, prompt=p, draw=n) for p, own in zip(ids, draws_of) for n in own
  ]
  batch = draws is None and not (stops or logprobs) and len(asked) <= rows
  said = iter(_in_one_batch(model, asked) if batch else _in_turn(model, asked, int(rows), stops))
  found: list[list[Any]] = [[next(said) for _ in own] for own in draws_of]
  if not logprobs:
    as_text = [isinstance(prompt, str) if text is None else text for prompt in given]
    found = [[one.text if t else one.tokens for one in own] for own, t in zip(found, as_text)]
  return found if draws is not None else [answer for own in found for answer in own]


def _in_turn(
  model: Decoder, asked: Sequence[Request], rows: int, stops: Sequence[str]
) -> list[Answer]:
  """Answers of any requests, in order."""
  done = dict(answers(model, asked, rows=rows, stops=stops))
  return [done[n] for n in range(len(asked))]


def _in_one_batch(model: Decoder, asked: Sequence[Request]) -> list[Answer]:
  """Answers of few requests that differ in nothing but prompt and draw, by one program."""
  if not asked:
    return []
  ids, one = [request.prompt for request in asked], asked[0]
  greedy = one.temperature == 0
  how = Sampling(
    slots=bucket(one.length),
    eos=model.cfg.eos,
    top_k=None if one.top_k is None or greedy else min(one.top_k, model.cfg.vocab),
    top_p=None if one.top_p in (None, 1) or greedy else one.top_p,
    temperature=None if greedy else one.temperature,
    length=one.length,
  )
  mesh = mesh_of(model)
  rows = bucket(len(ids), least=mesh.shape['data'] * mesh.shape['fsdp'] if mesh else 1)
  filled = ids + [()] * (rows - len(ids))
  prompt_BP, segment_BP = left_pad(filled, bucket(max(map(len, ids))))
  with on_mesh(mesh):
    hand = model.at_hand(rows)
    out = generate(hand, prompt_BP, segment_BP, row_keys(filled, one.seed), how)
    whole = out.tokens_BR, out.sampled_BR, out.length_B, out.finished_B
    tokens_BR, logprob_BR, length_B, finished_B = to_every_host(*whole)
  found = []
  for row, prompt in enumerate(ids):
    tokens, logprobs = (x_BR[row, : length_B[row]].tolist() for x_BR in (tokens_BR, logprob_BR))
    words: Any = model.tokenizer
    text = words and words.decode_continuation(prompt, tokens)
    how_ended: Literal['end', 'length'] = 'end' if finished_B[row] else 'length'
    found.append(Answer(tokens=tokens, logprobs=logprobs, text=text, why=how_ended))
  return found


# ---- what is given


def ids_of(model: Decoder, prompt: str | Sequence[int]) -> tuple[int, ...]:
  """The token ids of a prompt; of an empty text the start token."""
  if not isinstance(prompt, str):
    if not hasattr(prompt, '__iter__') or isinstance(prompt, bytes | dict):
      raise UserError(f'prompt {prompt!r} is neither a string nor a list of token ids')
    return tuple(whole_number('token id', token) for token in prompt)
  if model.tokenizer is None:
    raise UserError('this model carries no tokenizer: give prompts as lists of token ids')
  return tuple(model.tokenizer.encode(prompt)) or start_of(model.tokenizer)


def start_of(tokenizer: Tokenizer) -> tuple[int, ...]:
  """The token that a document starts after, where nothing else comes before it."""
  start = tokenizer.eos if tokenizer.bos is None else tokenizer.bos
  return () if start is None else (start,)


def whole_number(name: str, value: Any) -> int:
  if isinstance(value, bool | np.bool_) or not hasattr(type(value), '__index__'):
    raise UserError(f'{name}={value!r} must be a whole number')
  return operator.index(value)


def _listed(prompts):
  if not hasattr(prompts, '__iter__'):
    raise UserError(f'prompts={prompts!r}: give a list of strings, or of lists of token ids')
  return list(prompts) if not isinstance(prompts, str) else [prompts]


def _stops(model, stop, text):
  stops = [stop] if isinstance(stop, str) else list(stop)
  for one in stops:
    if not isinstance(one, str) or not one:
      raise UserError(f'stop={one!r} must be a text, and not an empty one')
  if model.tokenizer is None and (stops or text):
    raise UserError('this model carries no tokenizer: stop and text need one')
  return stops


def _draws(draws, ids):
  """The draws that each prompt gets."""
  if draws is None:
    seen: dict[Any, int] = {}
    found = []
    for prompt in ids:
      found.append([seen.setdefault(prompt, 0)])
      seen[prompt] += 1
    return found
  chosen = list(draws) if hasattr(draws, '__iter__') else list(range(whole_number('draws', draws)))
  if not chosen or not all(0 <= whole_number('a draw', draw) < 2**32 for draw in chosen):
    raise UserError(f'draws={draws!r}: a count of at least 1, or numbers of draws from 0 up')
  return [[int(draw) for draw in chosen] for _ in ids]


def _request(length, temperature, top_k, top_p, seed):
  """What all requests of a call share."""
  return Request(
    prompt=(),
    length=int(length),
    temperature=float(temperature),
    top_k=None if top_k is None else int(top_k),
    top_p=None if top_p is None else float(top_p),
    seed=int(seed),
  )


def _number(name, value):
  if isinstance(value, bool) or not isinstance(value, numbers.Real):
    raise UserError(f'{name}={value!r} must be a number')
  return value


def _check(length, temperature, top_k, top_p, seed, rows):
  for name, value in dict(length=length, rows=rows).items():
    if whole_number(name, value) < 1:
      raise UserError(f'{name}={value} must be at least 1')
  if _number('temperature', temperature) != 0 and not 1e-6 <= temperature < float('inf'):
    raise UserError(f'temperature={temperature}: 0 is greedy, otherwise from 1e-6 up and finite')
  if top_k is not None and whole_number('top_k', top_k) < 1:
    raise UserError(f'top_k={top_k} must be at least 1, or None')
  if top_p is not None and not 0 < _number('top_p', top_p) <= 1:
    raise UserError(f'top_p={top_p} must be above 0 and at most 1, or None')
  if not 0 <= whole_number('seed', seed) < 2**32:
    raise UserError(f'seed={seed} must be at least 0 and below 2**32')


def _check_prompts(cfg, ids, length):
  if min(map(len, ids)) == 0:
    raise UserError('a prompt is empty: give at least one token, the start token for instance')
  for token in (max(map(max, ids)), min(map(min, ids))):
    if not 0 <= token < cfg.vocab:
      raise UserError(f'token id {token} is outside the vocabulary of {cfg.vocab}')
  longest = max(map(len, ids))
  if longest + length > cfg.length:
    raise UserError(
      f'a prompt of {longest} tokens and length={length} do not fit the {cfg.length} positions '
      'that this model was trained on'
    )
