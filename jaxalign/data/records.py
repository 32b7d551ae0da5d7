"""What every corpus is read into, whatever file it lay in; everything after reads only these."""

import dataclasses
from typing import Literal, NamedTuple

Role = Literal['system', 'user', 'assistant']


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
  role: Role
  text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
  """Plain text to be read from its first token to its last."""

  text: str
  meta: tuple[tuple[str, str], ...] = ()  # (name, value); pairs, so that records compare and hash


@dataclasses.dataclass(frozen=True, slots=True)
class Conversation:
  turns: tuple[Turn, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
  """Two answers to one prompt, whose last turn is the user's."""

  prompt: tuple[Turn, ...]
  chosen: str
  rejected: str
  margin: float | None = None  # by how much chosen was preferred, where a corpus says so
  subset: str = ''


@dataclasses.dataclass(frozen=True, slots=True)
class Prompt:
  """A conversation that waits for the assistant."""

  turns: tuple[Turn, ...]


Record = Document | Conversation | Pair | Prompt


class Piece(NamedTuple):
  """A part of a written dialogue, before it is cut at control tokens."""

  text: str
  said: bool = False  # by a person or a model: no control token is read out of it
  learn: bool = False
  starts: bool = False  # the assistant begins here
