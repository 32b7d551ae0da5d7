"""A model that is opened to be talked to: its weights, its tokenizer, and how it is spoken to."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from jaxalign.config import UserError
from jaxalign.data import dialogues
from jaxalign.data.records import Turn
from jaxalign.data.text import Tokenizer
from jaxalign.doors.command_line import Flag, flags_and_words
from jaxalign.models.decoder import Decoder
from jaxalign.rl.prompts import start_of
from jaxalign.stages.loading import FORMATS

_PART = {'type', 'text'}  # of a message whose content is a list
_ROLES = ('system', 'user', 'assistant')


@dataclasses.dataclass(frozen=True)
class Opened:
  """A model with its text side. form: None where nothing says how it is spoken to."""

  name: str
  model: Decoder
  tokenizer: Tokenizer
  form: dialogues.Format | None

  @property
  def id(self) -> str:
    """What clients call it: a hub's name, or of a path the last part; the rest is not theirs."""
    return os.path.basename(os.path.abspath(self.name)) if os.path.exists(self.name) else self.name

  def ids(self, asked: str | Sequence[Turn]) -> tuple[int, ...]:
    """The prompt of a text that is continued, or of turns that wait for the assistant."""
    if isinstance(asked, str):
      return tuple(self.tokenizer.encode(asked)) or start_of(self.tokenizer)
    if self.form is None:
      known = ', '.join(FORMATS)
      raise UserError(f'{self.name} has no chat template: name a format, --format=NAME ({known})')
    return tuple(int(i) for i in dialogues.prompt(self.form, self.tokenizer, asked))


def _text_of(content: Any) -> Any:
  """The text of parts that are all text; anything else as it is."""
  parts = content if isinstance(content, list) else []
  texts: list[Any] = [
    one.get('text') for one in parts if isinstance(one, Mapping) and one.keys() == _PART
  ]
  whole = parts and len(texts) == len(parts) and all(isinstance(text, str) for text in texts)
  return ''.join(texts) if whole else content


def turns_of(messages: Any) -> tuple[Turn, ...]:
  """Turns of OpenAI's messages, each with a role and a text."""
  if not isinstance(messages, list) or not messages:
    raise UserError('messages: a list of objects with role and content')
  turns = []
  for n, message in enumerate(messages, 1):
    role = message.get('role') if isinstance(message, Mapping) else None
    text = _text_of(message.get('content')) if isinstance(message, Mapping) else None
    if role not in _ROLES or not isinstance(text, str):
      raise UserError(f'message {n}: role is one of {", ".join(_ROLES)}, and content is text')
    turns.append(Turn(role, text))
  return tuple(turns)


def line_of(record: Mapping[str, Any]) -> str:
  """A line of JSON; half a surrogate pair, which JSON may hold and UTF-8 may not, is escaped."""
  text = json.dumps(record, ensure_ascii=False)
  try:
    text.encode()
  except UnicodeEncodeError:
    text = json.dumps(record)
  return f'{text}\n'


def opened(
  name: str, *, dtype: str | None = None, form: str | None = None, mesh: Any = None
) -> Opened:
  """The model of a workdir, a Hugging Face directory or hub name, a .gguf or a .bin."""
  from jaxalign import api

  if form is not None and form not in FORMATS:
    raise UserError(f'--format={form}: one of {", ".join(FORMATS)}')
  model = api.load(name, dtype=dtype, mesh=mesh)
  if model.tokenizer is None:
    raise UserError(f'{name} has no tokenizer beside it, so that nobody can talk to it')
  return Opened(str(name), model, model.tokenizer, FORMATS[form] if form else model.format)


def refuse_pods(argv: Sequence[str]) -> None:
  """Several processes would each ask and write: one line, before they wait for one another."""
  names = ('coordinator', 'processes', 'process_id')
  given = [word for word in argv if word.lstrip('-').partition('=')[0] in names and word[0] == '-']
  given += [name for name in ('JAX_COORDINATOR_ADDRESS',) if os.environ.get(name)]
  if ',' in os.environ.get('TPU_WORKER_HOSTNAMES', ''):
    given.append('TPU_WORKER_HOSTNAMES')
  if given:
    raise UserError(
      f'jaxalign {argv[0]} is one process, and {given[0]} says there are several: start it on one '
      'host without; on a pod, jaxalign.sample and jaxalign.score serve from Python'
    )


def flag_values(argv: Sequence[str], usage: str, defined: Sequence[Flag]) -> tuple[Any, str] | None:
  """(the flags, MODEL) of a door's command line; None after --help, which is answered here."""
  refuse_pods(argv)
  given = flags_and_words(argv, usage, defined)
  if given is None:
    return None
  values, words = given
  if len(words) != 1:
    raise UserError(f'{argv[0]} takes one MODEL: jaxalign {argv[0]} MODEL (--help says more)')
  return values, words[0]
