"""What an endpoint of OpenAI's interface sends back: an answer, or what came instead of one."""

import email.utils
import http.client
import json
from collections.abc import Mapping
from typing import Any

_SECRET = 8  # characters from which on a key is hidden in what was answered; less may be a word
_AGAIN = {408, 409, 425, 429}  # and 500 to 599: it may go better later
FOR_NOBODY = {401, 402, 403, 404}  # whatever is asked
QUOTA = 'insufficient_quota'  # of a 429 that no waiting mends


def texts(answer: Mapping[str, Any]) -> list[str]:
  """The text of each choice, in their order; '' of one that says nothing."""
  choices = sorted(answer['choices'], key=lambda choice: choice.get('index') or 0)
  return [(c['message'].get('content') if 'message' in c else c['text']) or '' for c in choices]


def read(status: int, content: bytes) -> tuple[dict[str, Any] | None, str]:
  """(an answer, '') or (None, what came instead)."""
  try:
    found = json.loads(content)
  except (ValueError, RecursionError):
    found = None
  error = found.get('error') if isinstance(found, dict) else None
  if status != 200 or error:
    said = error.get('message') if isinstance(error, dict) else error
    code = error.get('code') if isinstance(error, dict) else None
    shown = said or content[:300].decode(errors='replace') or 'nothing more'
    return None, f'{shown} ({code})' if code else str(shown)
  choices = found.get('choices') if isinstance(found, dict) else None
  if isinstance(choices, list) and choices and all(map(_is_choice, choices)):
    return found, ''
  return None, f'no answer of the form asked for: {content[:100].decode(errors="replace")!r}'


def _is_choice(choice: Any) -> bool:
  if not isinstance(choice, dict) or not isinstance(choice.get('index', 0), int | None):
    return False
  if 'message' not in choice:
    return isinstance(choice.get('text'), str)
  said = choice['message']
  return isinstance(said, dict) and isinstance(said.get('content', 0), str | None)


def is_final(status: int | None, why: str) -> bool:
  """Whether no trying mends it."""
  if QUOTA in why:
    return True
  return status is not None and status < 500 and status not in {200, *_AGAIN}


def asked_to_wait(headers: http.client.HTTPMessage, now: float) -> float:
  """Seconds that a server asks to wait, said in milliseconds, in seconds or as a date; else 0."""
  for name, unit in (('retry-after-ms', 1000.0), ('retry-after', 1.0)):
    try:
      seconds = float(headers.get(name, '')) / unit
      return seconds if 0 <= seconds < float('inf') else 0.0
    except ValueError:
      continue
  try:
    date = email.utils.parsedate_to_datetime(headers.get('retry-after', ''))
    return max(0.0, date.timestamp() - now)
  except (TypeError, ValueError, OverflowError):
    return 0.0


def hidden(key: str, text: str) -> str:
  """A text of ours, without the key."""
  return text.replace(key, '***') if key else text


def without(key: str, content: bytes) -> bytes:
  """What came, without the key: a server that says it back puts it into no file."""
  return content.replace(key.encode(), b'***') if len(key) >= _SECRET else content


def one_line(text: str) -> str:
  """One line, of characters that a terminal shows."""
  return ' '.join(''.join(c if c.isprintable() else ' ' for c in text).split())[:300]
