"""OpenAI's requests, read: all of one is understood, or it is refused in OpenAI's form."""

import collections
import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, TypeGuard

from jaxalign.config import UserError
from jaxalign.data.text import Tokenizer
from jaxalign.doors.engine import Engine
from jaxalign.doors.opening import turns_of
from jaxalign.doors.scoring import BEST
from jaxalign.rl.stream import Request

_COMMON = ('model', 'max_tokens', 'temperature', 'top_p', 'top_k', 'n', 'stop', 'seed', 'stream',
           'stream_options', 'logprobs', 'user')  # fmt: skip
_KNOWN = {
  False: {*_COMMON, 'prompt', 'echo'},
  True: {*_COMMON, 'messages', 'max_completion_tokens', 'top_logprobs'},
}
_NEUTRAL = {  # what does nothing at these values
  'frequency_penalty': (0, None), 'presence_penalty': (0, None), 'best_of': (1, None),
  'logit_bias': ({}, None), 'suffix': (None, ''), 'response_format': ({'type': 'text'}, None),
  'tools': ([], None), 'tool_choice': ('none', None), 'store': (False, None),
  'metadata': ({}, None),
}  # fmt: skip
_MOST = 128  # answers to one request


class Refused(Exception):
  """A request that is not answered: what OpenAI's error says."""

  def __init__(
    self, message: str, status: int = 400, code: str | None = None, field: str | None = None
  ):
    super().__init__(message)
    self.message, self.status, self.code, self.field = message, status, code, field

  def body(self) -> dict[str, Any]:
    kind = 'server_error' if self.status >= 500 else 'invalid_request_error'
    return dict(error=dict(message=self.message, type=kind, param=self.field, code=self.code))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
  """A request as it was understood."""

  requests: list[Request]  # `count` for each prompt
  prompts: list[str]  # as `echo` gives them back
  count: int
  stops: list[str]
  stream: bool
  usage: bool  # at the end of a stream
  logprobs: int | None  # how many of the likeliest beside each token; None: no logprobs at all
  echo: bool
  chat: bool
  model: str
  tokenizer: Tokenizer

  @property
  def scored(self) -> bool:
    """Whether it takes more than the logprobs of what was drawn."""
    return self.logprobs is not None and (self.logprobs > 0 or self.echo)


def parsed(body: bytes) -> Mapping[str, Any]:
  """A JSON object, with no number that JSON does not have."""

  def no(text: str) -> Any:
    raise ValueError(f'{text} is no number of JSON')

  try:
    found = json.loads(body, parse_constant=no)
  except (ValueError, RecursionError) as error:
    raise Refused(f'the body is not JSON: {" ".join(str(error).split())[:200]}') from None
  if not isinstance(found, dict):
    raise Refused('the body is no JSON object')
  return found


def read(body: Mapping[str, Any], engine: Engine, chat: bool) -> Asked:
  """What is asked, all of it understood, or Refused."""
  guest = engine.guest
  for name, value in body.items():
    if name not in _KNOWN[chat] and value not in _NEUTRAL.get(name, ()):
      raise Refused(f'{name:.80}={_shown(value)} is not supported', field=name[:80])
  if body.get('model') not in (None, guest.id):
    said = f'there is no model {_shown(body["model"])} here, only {guest.id}'
    raise Refused(said, 404, 'model_not_found', 'model')
  echo = not chat and _flag(body, 'echo')
  count = _number(body, 'n', 1, 1, _MOST, whole=True)
  seed = body.get('seed')
  how: dict[str, Any] = dict(
    temperature=_number(body, 'temperature', 1.0, 0, 1000),
    top_p=_number(body, 'top_p', 1.0, 0, 1) or 1e-9,
    top_k=None if body.get('top_k') in (None, 0, -1) else _number(body, 'top_k', 1, 1, 10**9, True),
    seed=_fresh() if seed is None else _number(body, 'seed', 0, -(2**63), 2**63, True) % 2**32,
  )
  if 0 < how['temperature'] < 1e-6:
    how['temperature'] = 0.0
  prompts = _dialogue(body, engine) if chat else _texts(body, engine)
  if len(prompts) * count > _MOST:
    raise Refused(f'{len(prompts)} prompts with n={count} are more than {_MOST} answers', field='n')
  if len(prompts) * count > engine.most:
    said = f'{len(prompts)} prompts with n={count}: only {engine.most} answers may wait here'
    raise Refused(said, field='n')
  drawn, made = collections.Counter[tuple[int, ...]](), []
  for _, ids in prompts:
    length = _length(body, chat, echo, engine.limit - len(ids))
    made += [Request(prompt=ids, draw=drawn[ids] + n, length=length, **how) for n in range(count)]
    drawn[ids] += count  # an equal prompt gets answers of its own
  for request in made:
    if why := engine.refuse(request):
      raise Refused(why, code='context_length_exceeded', field='messages' if chat else 'prompt')
  options = body.get('stream_options') or {}
  return Asked(
    requests=made, prompts=[text for text, _ in prompts], count=count, stops=_stops(body),
    stream=_flag(body, 'stream'), logprobs=_wanted_logprobs(body, chat), chat=chat,
    usage=isinstance(options, dict) and bool(options.get('include_usage')),
    echo=echo, model=guest.id, tokenizer=guest.tokenizer,
  )  # fmt: skip


def _length(body: Mapping[str, Any], chat: bool, echo: bool, left: int) -> int:
  """Tokens at most; none where the prompt alone is asked about. left: how many there is room for,
  which bounds what nobody asked for."""
  name = 'max_tokens' if body.get('max_completion_tokens') is None else 'max_completion_tokens'
  usual = max(1, min(256 if chat else 16, left))
  return _number(body, name, usual, 0 if echo else 1, 10**9, whole=True)


def _shown(value: Any) -> str:
  try:
    return json.dumps(value)[:80]
  except (ValueError, RecursionError):
    return f'a {type(value).__name__}'


def _fresh() -> int:
  import secrets

  return secrets.randbits(32)


def _number(
  body: Mapping[str, Any], name: str, default: float, least: float, most: float, whole: bool = False
) -> Any:
  value = body.get(name)
  if value is None:
    return default
  kinds = int if whole else (int, float)
  endless = isinstance(value, float) and not math.isfinite(value)
  if isinstance(value, bool) or not isinstance(value, kinds) or endless:
    raise Refused(f'{name}={_shown(value)}: a {"whole " * whole}number', field=name)
  if not least <= value <= most:
    raise Refused(f'{name}={_shown(value)}: from {least} to {most}', field=name)
  return value


def _flag(body: Mapping[str, Any], name: str) -> bool:
  value = body.get(name)
  if value not in (None, True, False):
    raise Refused(f'{name}={_shown(value)}: true or false', field=name)
  return bool(value)


def _wanted_logprobs(body: Mapping[str, Any], chat: bool) -> int | None:
  """How many of the likeliest tokens are named beside each; None: no logprobs are asked for."""
  if not chat:
    if body.get('logprobs') is None or body['logprobs'] is False:
      return None
    return _number(body, 'logprobs', 0, 0, BEST, whole=True)
  count = _number(body, 'top_logprobs', 0, 0, BEST, whole=True)
  wanted = _flag(body, 'logprobs')
  if count and not wanted:
    raise Refused(f'top_logprobs={count} needs logprobs=true', field='top_logprobs')
  return count if wanted else None


def _stops(body: Mapping[str, Any]) -> list[str]:
  stop = body.get('stop')
  stops = [stop] if isinstance(stop, str) else [] if stop is None else stop
  if (
    not isinstance(stops, list)
    or not all(isinstance(s, str) and s for s in stops)
    or len(stops) > 16
  ):
    raise Refused('stop: a text, or a list of at most 16', field='stop')
  return stops


def _texts(body: Mapping[str, Any], engine: Engine) -> list[tuple[str, tuple[int, ...]]]:
  """(text, ids) of each prompt: a text, ids, or a list of either."""
  given, tokenizer = body.get('prompt'), engine.guest.tokenizer
  many = given if isinstance(given, list) and given and not _is_ids(given) else [given]
  found = []
  for prompt in many:
    if isinstance(prompt, str):
      try:
        found.append((prompt, engine.guest.ids(prompt)))
      except UserError as error:
        raise Refused(str(error), field='prompt') from None
    elif _is_ids(prompt):
      vocab = engine.guest.model.cfg.vocab
      if not 0 <= min(prompt) <= max(prompt) < vocab:
        raise Refused(f'a token id lies outside the vocabulary of {vocab}', field='prompt')
      found.append((tokenizer.decode(prompt), tuple(prompt)))
    else:
      raise Refused('prompt: a text, a list of token ids, or a list of these', field='prompt')
  return found


def _is_ids(value: Any) -> TypeGuard[list[int]]:
  whole = isinstance(value, list) and bool(value)
  return whole and all(isinstance(i, int) and not isinstance(i, bool) for i in value)


def _dialogue(body: Mapping[str, Any], engine: Engine) -> list[tuple[str, tuple[int, ...]]]:
  try:
    return [('', engine.guest.ids(turns_of(body.get('messages'))))]
  except UserError as error:
    raise Refused(str(error), field='messages') from None
