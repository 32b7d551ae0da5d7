"""OpenAI's requests read, and its answers written."""

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxalign.config import UserError
from jaxalign.doors.engine import Engine
from jaxalign.doors.opening import turns_of
from jaxalign.rl.answers import Answer
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
_FINISH = dict(end='stop', stop='stop', length='length')
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
  logprobs: bool
  echo: bool
  chat: bool
  model: str
  tokenizer: Any


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
  for name, value in body.items():
    if name not in _KNOWN[chat] and value not in _NEUTRAL.get(name, ()):
      raise Refused(f'{name}={json.dumps(value)[:80]} is not supported', field=name)
  length = body.get('max_completion_tokens', body.get('max_tokens'))
  length = _number(dict(max_tokens=length), 'max_tokens', 256 if chat else 16, 1, 10**9, whole=True)
  count = _number(body, 'n', 1, 1, _MOST, whole=True)
  seed = body.get('seed')
  how: dict[str, Any] = dict(
    length=length,
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
  made = [Request(prompt=ids, draw=draw, **how) for _, ids in prompts for draw in range(count)]
  for request in made:
    if why := engine.refuse(request):
      raise Refused(why, code='context_length_exceeded', field='messages' if chat else 'prompt')
  options = body.get('stream_options') or {}
  return Asked(
    requests=made, prompts=[text for text, _ in prompts], count=count, stops=_stops(body),
    stream=_flag(body, 'stream'), logprobs=_wants_logprobs(body, chat), chat=chat,
    usage=isinstance(options, dict) and bool(options.get('include_usage')),
    echo=not chat and _flag(body, 'echo'),
    model=engine.guest.id, tokenizer=engine.guest.tokenizer,
  )  # fmt: skip


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
  if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value):
    raise Refused(f'{name}={json.dumps(value)[:80]}: a {"whole " * whole}number', field=name)
  if not least <= value <= most:
    raise Refused(f'{name}={value}: from {least} to {most}', field=name)
  return value


def _flag(body: Mapping[str, Any], name: str) -> bool:
  value = body.get(name)
  if value not in (None, True, False):
    raise Refused(f'{name}={json.dumps(value)[:80]}: true or false', field=name)
  return bool(value)


def _wants_logprobs(body: Mapping[str, Any], chat: bool) -> bool:
  if chat:
    if body.get('top_logprobs'):
      raise Refused('top_logprobs: only the drawn token has its logprob here', field='top_logprobs')
    return _flag(body, 'logprobs')
  if body.get('logprobs') is None or body['logprobs'] is False:
    return False
  if body['logprobs'] is True:
    return True
  if _number(body, 'logprobs', 0, 0, 5, whole=True) > 1:
    raise Refused('logprobs: only the drawn token has its logprob here: 0 or 1', field='logprobs')
  return True


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
    elif isinstance(prompt, list) and _is_ids(prompt):
      found.append((tokenizer.decode(prompt), tuple(prompt)))
    else:
      raise Refused('prompt: a text, a list of token ids, or a list of these', field='prompt')
  return found


def _is_ids(value: Any) -> bool:
  whole = isinstance(value, list) and bool(value)
  return whole and all(isinstance(i, int) and not isinstance(i, bool) for i in value)


def _dialogue(body: Mapping[str, Any], engine: Engine) -> list[tuple[str, tuple[int, ...]]]:
  try:
    return [('', engine.guest.ids(turns_of(body.get('messages'))))]
  except UserError as error:
    raise Refused(str(error), field='messages') from None


@dataclasses.dataclass(frozen=True)
class Saying:
  """Writes what is answered, whole or in events."""

  asked: Asked
  id: str
  created: int

  def whole(self, found: Sequence[Answer]) -> dict[str, Any]:
    """The response of a request that was not streamed."""
    choices = []
    for n, answer in enumerate(found):
      lead = self.asked.prompts[n // self.asked.count] if self.asked.echo else ''
      text = lead + (answer.text or '')
      own: dict[str, Any] = (
        dict(message=dict(role='assistant', content=text)) if self.asked.chat else dict(text=text)
      )
      logprobs = self._logprobs(answer) if self.asked.logprobs else None
      choices.append(dict(index=n, logprobs=logprobs, finish_reason=_FINISH[answer.why]) | own)
    kind = 'chat.completion' if self.asked.chat else 'text_completion'
    tokens = sum(len(answer.tokens) for answer in found)
    return self._around(kind) | dict(choices=choices, usage=self._usage(tokens))

  def events(self, n: int, text: str, answer: Answer | None) -> Iterator[dict[str, Any]]:
    """Chunks of one answer: what came of it, and at its end why it ended."""
    if answer is not None and answer.error:
      yield Refused(answer.error, 500).body()
      return
    kind = 'chat.completion.chunk' if self.asked.chat else 'text_completion'
    why = None if answer is None else _FINISH[answer.why]
    logprobs = self._logprobs(answer) if answer and self.asked.logprobs else None
    if self.asked.chat:
      own: dict[str, Any] = dict(delta=dict(role='assistant', content=text))
    else:
      own = dict(text=text)
    if text or why:
      yield self._around(kind) | dict(
        choices=[dict(index=n, logprobs=logprobs, finish_reason=why) | own]
      )
    if answer is not None and self.asked.usage and n == len(self.asked.requests) - 1:
      yield self._around(kind) | dict(choices=[], usage=self._usage(len(answer.tokens)))

  def _around(self, kind: str) -> dict[str, Any]:
    return dict(id=self.id, object=kind, created=self.created, model=self.asked.model)

  def _usage(self, tokens: int) -> dict[str, int]:
    prompt = sum(len(r.prompt) for r in self.asked.requests[:: self.asked.count])
    return dict(prompt_tokens=prompt, completion_tokens=tokens, total_tokens=prompt + tokens)

  def _logprobs(self, answer: Answer) -> dict[str, Any]:
    texts = [self.asked.tokenizer.decode([token], skip_special=False) for token in answer.tokens]
    if self.asked.chat:
      each = [
        dict(token=text, logprob=value, bytes=list(text.encode()), top_logprobs=[])
        for text, value in zip(texts, answer.logprobs)
      ]
      return dict(content=each)
    return dict(tokens=texts, token_logprobs=answer.logprobs, top_logprobs=None, text_offset=None)
