"""An Asker behind an address: answers are generated there, and their log-probabilities unknown.

A dialogue is sent as messages, and its format is the server's; a beginning is sent as a prompt. A
call that no server answered is no answer: it is asked again by the next run.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxalign import pod
from jaxalign.config import UserError
from jaxalign.endpoint import Client, Endpoint, EndpointError
from jaxalign.endpoint_answers import texts
from jaxalign.evals.ask import Ask
from jaxalign.evals.item import Decode, Item, Said, Why

_OWN = {400, 413, 422}  # of one body: a prompt too long, say; every other may go better later


class Served:
  """A model behind an address, as an Asker."""

  form = None

  def __init__(self, endpoint: Endpoint, *, prefill: bool = False):
    """prefill: whether beginnings of answers are sent, as the last message."""
    self.name = f'{endpoint.url}#{endpoint.model}'
    self._endpoint, self._prefill = endpoint, prefill
    decides = [endpoint.url, endpoint.model, prefill]
    self.fingerprint = hashlib.sha256(json.dumps(decides).encode()).hexdigest()

  def refuse(self, suite: str, items: Sequence[Item], decode: Decode) -> None:
    del decode
    if any(item.choices for item in items):
      raise UserError(
        f'{suite} asks for log-probabilities of choices, which no endpoint gives: leave it out, or '
        'load the model here'
      )
    if not self._prefill and any(item.prefill for item in items):
      raise UserError(
        f'{suite} begins answers itself (prefill), which many servers do not take: leave such '
        'templates out, or set --config.prefill=true, and they are sent as the last message'
      )

  def said(
    self, plan: Sequence[Ask], missing: Sequence[int], decode: Decode
  ) -> Iterator[tuple[int, Said]]:
    if not pod.writes():
      return  # one process calls; the others read what it kept
    client, lost = Client(self._endpoint), []
    bodies = (self._body(plan[n], decode) for n in missing)
    for at, answer in client.answers(bodies):
      n = missing[at]
      if not isinstance(answer, EndpointError):
        yield n, _said(plan[n], answer)
      elif answer.status in _OWN:
        yield n, _failed(plan[n], str(answer))
      else:
        lost.append(answer)
    if lost:
      raise UserError(
        f'{len(lost)} of {len(missing)} items were not answered, the rest is kept; the same '
        f'command asks these again. The last: {lost[-1]}'
      )

  def _body(self, ask: Ask, decode: Decode) -> dict[str, Any]:
    body: dict[str, Any] = dict(max_tokens=decode.length, temperature=decode.temperature)
    if decode.temperature:
      own = hashlib.sha256(f'{decode.seed} {ask.draw}'.encode()).digest()
      body['seed'] = int.from_bytes(own[:4], 'big') >> 1
    given = dict(top_p=decode.top_p, top_k=decode.top_k, stop=list(decode.stop) or None)
    body |= {name: value for name, value in given.items() if value is not None}
    item = ask.item
    if not item.turns:
      return body | dict(prompt=item.text + item.prefill)
    messages = [dict(role=turn.role, content=turn.text) for turn in item.turns]
    if item.prefill:
      messages.append(dict(role='assistant', content=item.prefill))
    return body | dict(messages=messages)


def _said(ask: Ask, answer: Mapping[str, Any]) -> Said:
  text = texts(answer)[0].encode('utf-16', 'surrogatepass').decode('utf-16', 'replace')
  reason = answer['choices'][0].get('finish_reason')
  why: Why = 'length' if reason == 'length' else 'end'
  usage = answer.get('usage')
  count = usage.get('completion_tokens') if isinstance(usage, dict) else None
  tokens = count if isinstance(count, int) and 0 <= count < 2**31 else 0
  return Said(key=ask.key, item=ask.item.id, draw=ask.draw, text=text, tokens=tokens, why=why)


def _failed(ask: Ask, error: str) -> Said:
  return Said(key=ask.key, item=ask.item.id, draw=ask.draw, why='error', error=error)
