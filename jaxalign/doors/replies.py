"""Answers in OpenAI's words: whole, or in the events of a stream."""

from collections.abc import Iterator, Sequence
from typing import Any

from jaxalign.data.text import Tokenizer
from jaxalign.doors.engine import Job
from jaxalign.doors.requests import Asked, Refused
from jaxalign.rl.answers import Answer

_FINISH = dict(end='stop', stop='stop', length='length')
_BEFORE = 8  # tokens from which the text of the next is read
_LEAST = -9999.0  # stands for -inf, which JSON does not have


class Saying:
  """Writes what came of a request."""

  def __init__(self, asked: Asked, jobs: Sequence[Job], id: str, created: int):
    self._asked, self._jobs = asked, jobs
    self._about = dict(id=id, created=created, model=asked.model)
    self._begun: set[int] = set()  # choices of which something was said
    self._tokens = 0

  def whole(self, found: Sequence[Answer]) -> dict[str, Any]:
    """The response of a request that was not streamed."""
    choices = []
    for n, answer in enumerate(found):
      text = self._lead(n) + (answer.text or '')
      own: dict[str, Any] = (
        dict(message=dict(role='assistant', content=text)) if self._asked.chat else dict(text=text)
      )
      logprobs = self._logprobs(n, answer)
      choices.append(dict(index=n, logprobs=logprobs, finish_reason=_FINISH[answer.why]) | own)
    kind = 'chat.completion' if self._asked.chat else 'text_completion'
    tokens = sum(len(answer.tokens) for answer in found)
    return self._about | dict(object=kind, choices=choices, usage=self._usage(tokens))

  @property
  def words(self) -> bool:
    """Whether an answer's tokens are told one by one, which takes its time."""
    return self._asked.logprobs is not None

  def events(self, n: int, text: str, answer: Answer | None) -> list[dict[str, Any]]:
    """Chunks of one answer: what came of it, and at its end why it ended."""
    if answer is not None and answer.error:
      return [Refused(answer.error, 500).body()]
    first, why = n not in self._begun, None
    if answer is not None:
      self._tokens += len(answer.tokens)
      why = _FINISH[answer.why]
    text = (self._lead(n) if first else '') + text
    if not (text or why):
      return []
    self._begun.add(n)
    if self._asked.chat:
      role = dict(role='assistant') if first else {}
      own: dict[str, Any] = dict(delta=dict(role, content=text))
    else:
      own = dict(text=text)
    logprobs = None if answer is None else self._logprobs(n, answer)
    return [self._chunk([dict(index=n, logprobs=logprobs, finish_reason=why) | own])]

  def end(self) -> Iterator[dict[str, Any]]:
    """What comes after the last answer, if it was asked for."""
    if self._asked.usage:
      yield self._chunk([]) | dict(usage=self._usage(self._tokens))

  def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
    kind = 'chat.completion.chunk' if self._asked.chat else 'text_completion'
    return self._about | dict(object=kind, choices=choices)

  def _lead(self, n: int) -> str:
    return self._asked.prompts[n // self._asked.count] if self._asked.echo else ''

  def _usage(self, tokens: int) -> dict[str, int]:
    prompt = sum(len(r.prompt) for r in self._asked.requests[:: self._asked.count])
    return dict(prompt_tokens=prompt, completion_tokens=tokens, total_tokens=prompt + tokens)

  def _logprobs(self, n: int, answer: Answer) -> dict[str, Any] | None:
    """What each token was given; with echo the prompt's too, of which the first has none."""
    asked, scores = self._asked, self._jobs[n].scores
    if asked.logprobs is None:
      return None
    prompt = list(asked.requests[n].prompt)
    ids, own = [*prompt, *answer.tokens], len(prompt)
    values: list[float | None] = [None] * own + list(answer.logprobs)
    best: list[list[tuple[int, float]]] = [[]] * len(ids)
    if scores is not None:
      values, best = [None, *scores.logprobs], [[], *scores.best]
    words, offsets = _words(asked.tokenizer, ids, 0 if asked.echo else own)
    end = len(self._lead(n)) + len(answer.text or '')
    shown = [
      at for at in range(0 if asked.echo else own, len(ids))
      if answer.why != 'stop' or at < own or offsets[at] < end
    ]  # fmt: skip
    top = [
      _top(asked.tokenizer, ids[max(0, at - _BEFORE) : at], ids[at], values[at],
           best[at][: asked.logprobs])
      for at in shown
    ]  # fmt: skip
    return _written(
      [words[at] for at in shown], [_finite(values[at]) for at in shown], top,
      [offsets[at] for at in shown], asked,
    )  # fmt: skip


def _written(
  words: list[str],
  values: list[Any],
  top: list[list[tuple[str, float]]],
  offsets: list[int],
  asked: Asked,
) -> dict[str, Any]:
  if not asked.chat:
    top_logprobs = [dict(pairs) if value is not None else None for pairs, value in zip(top, values)]
    return dict(
      tokens=words, token_logprobs=values, text_offset=offsets,
      top_logprobs=top_logprobs if asked.logprobs else None,
    )  # fmt: skip

  def one(word, value):
    return dict(token=word, logprob=value, bytes=list(word.encode(errors='replace')))

  return dict(
    content=[
      one(word, value) | dict(top_logprobs=[one(*pair) for pair in pairs[: asked.logprobs]])
      for word, value, pairs in zip(words, values, top)
    ]
  )


def _words(tokenizer: Tokenizer, ids: Sequence[int], begin: int) -> tuple[list[str], list[int]]:
  """(each token in words, where each begins in the text from the token at `begin` on)."""
  words, offsets, length = [], [], 0
  for n, token in enumerate(ids):
    added = _added(tokenizer, ids[max(0, n - _BEFORE) : n], token) if n >= begin else ''
    words.append(_named(tokenizer, token, added))
    offsets.append(length)
    length += len(added)
  return words, offsets


def _added(tokenizer: Tokenizer, before: Sequence[int], token: int) -> str:
  """The text that a token adds to those before it: with its space, and a character whole."""
  head = tokenizer.decode(before).rstrip('\ufffd')
  return tokenizer.decode([*before, token]).rstrip('\ufffd')[len(head) :]


def _named(tokenizer: Tokenizer, token: int, added: str) -> str:
  """A token in words: its text; a control token's name; else its number."""
  return added or tokenizer.decode([token], skip_special=False) or f'token_id:{token}'


def _top(
  tokenizer: Tokenizer,
  before: Sequence[int],
  token: int,
  value: float | None,
  best: Sequence[tuple[int, float]],
) -> list[tuple[str, float]]:
  """The likeliest in words, and the token itself if it is none of them; no two of one name."""
  found: dict[str, float] = {}
  own = [(token, value)] if best and token not in dict(best) else []
  for other, logprob in [*best, *own]:
    name = _named(tokenizer, other, _added(tokenizer, before, other))
    found[f'token_id:{other}' if name in found else name] = _finite(logprob)
  return list(found.items())


def _finite(value: float | None) -> Any:
  return None if value is None else max(value, _LEAST)
