"""Rules that every dialogue keeps: turns hold text and alternate, after at most one system turn.

Turns of one role in a row become one, since chat templates know only alternation; this is noted.
"""

import re
from collections.abc import Iterable
from typing import Any

from jaxalign.data.records import Conversation, Pair, Prompt, Role, Turn
from jaxalign.data.report import Counts, Fault, MissingColumn, Unwanted

_ROLES: dict[str, Role] = {'system': 'system', 'user': 'user', 'human': 'user'}
_ROLES |= dict.fromkeys(('assistant', 'gpt', 'bot', 'model'), 'assistant')
_MARKER = re.compile(r'(?:\A\s*|\n\n)(Human|Assistant):')
_SPEAKERS: dict[str, Role] = {'Human': 'user', 'Assistant': 'assistant'}


def as_text(value: Any, name: str) -> str:
  """Text that can be tokenized, or the reason why not."""
  if isinstance(value, bytes):
    try:
      value = value.decode('utf-8')
    except UnicodeDecodeError as error:
      raise Fault('invalid UTF-8') from error
  if not isinstance(value, str):
    raise Fault(f'{name} is not text')
  if not value or value.isspace():
    raise Fault(f'{name} is empty')
  if not value.isascii():
    try:
      value.encode('utf-8')
    except UnicodeEncodeError as error:
      raise Fault(f'{name} holds half a surrogate pair') from error
  return value


def from_transcript(text: Any, name: str) -> list[Turn]:
  """HH-RLHF's turns. A marker is one only after a blank line: 'Human:' in a line is text.

  Space around a turn is not part of it; an empty turn stays empty here."""
  before, *rest = _MARKER.split(as_text(text, name))
  if before:
    raise Fault(f'{name} does not begin with Human:')
  turns = zip(rest[::2], rest[1::2])
  return [Turn(_SPEAKERS[speaker], words.strip()) for speaker, words in turns]


def from_messages(messages: Any, role: str, content: str, name: str) -> list[Turn]:
  """A list of {role, content}, or (as TFDS gives sequences) a dict of two lists."""
  if isinstance(messages, dict):
    columns = [_get(messages, key) for key in (role, content)]
    pairs = list(zip(*columns))
  elif isinstance(messages, Iterable) and not isinstance(messages, str | bytes):
    pairs = [(_get(message, role), _get(message, content)) for message in messages]
  else:
    raise Fault(f'{name} is not a list of messages')
  return [Turn(_role(who), as_text(words, 'a turn')) for who, words in pairs]


def _get(message: Any, key: str) -> Any:
  if not isinstance(message, dict):
    raise Fault('a message is not an object')
  if key not in message:
    raise MissingColumn(key, message, ' (of a message)')
  return message[key]


def _role(who: Any) -> Role:
  who = as_text(who, 'a role')
  if who not in _ROLES:
    raise Fault(f'role {who[:20]!r} is none of {", ".join(_ROLES)}')
  return _ROLES[who]


def settle(turns: Iterable[Turn], noted: Counts) -> tuple[Turn, ...]:
  """The same dialogue with the rules above kept, or the reason why it cannot be."""
  settled: list[Turn] = []
  for turn in turns:
    as_text(turn.text, 'a turn')
    if settled and settled[-1].role == turn.role:
      settled[-1] = Turn(turn.role, f'{settled[-1].text}\n\n{turn.text}')
      noted['turns of one role joined'] += 1
      continue
    if settled and turn.role == 'system':
      raise Fault('a system turn after the first')
    settled.append(turn)
  said = [turn.role for turn in settled if turn.role != 'system']
  if said[:1] != ['user']:
    raise Fault('no user turn at the beginning')
  return tuple(settled)


def conversation(turns: Iterable[Turn], noted: Counts) -> Conversation:
  settled = settle(turns, noted)
  if all(turn.role != 'assistant' for turn in settled):
    raise Fault('no assistant turn')
  if settled[-1].role == 'user':
    noted['unanswered last turn cut off'] += 1
    settled = settled[:-1]
  return Conversation(settled)


def prompt(turns: Iterable[Turn], noted: Counts) -> Prompt:
  """Up to the last user turn: what was answered to it is not part of a prompt."""
  turns = list(turns)
  while turns and turns[-1].role == 'assistant':
    turns.pop()
  return Prompt(settle(turns, noted))


def pair(
  chosen: list[Turn],
  rejected: list[Turn],
  noted: Counts,
  margin: float | None = None,
  subset: str = '',
) -> Pair:
  """Two whole dialogues that differ in their last turn, the assistant's."""
  for name, turns in (('chosen', chosen), ('rejected', rejected)):
    if not turns or turns[-1].role != 'assistant':
      raise Fault(f'{name} does not end in an assistant turn')
  if chosen[:-1] != rejected[:-1]:
    raise Unwanted('prompts differ')
  better, worse = (as_text(turns[-1].text, 'an answer') for turns in (chosen, rejected))
  if better == worse:
    raise Unwanted('answers are the same')
  before = settle(chosen[:-1], noted)
  if before[-1].role != 'user':
    raise Fault('prompt does not end in a user turn')
  return Pair(before, better, worse, margin, subset)
