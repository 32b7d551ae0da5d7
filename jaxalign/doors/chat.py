"""jaxalign chat MODEL

A conversation in the terminal. MODEL is a workdir, a Hugging Face directory or hub name, a .gguf or
a .bin. Ctrl-C stops an answer, at the prompt the program; Ctrl-D ends it. What a line may be:

  /reset          forgets the conversation        /retry       another answer to the last question
  /system TEXT    begins again under that system  /save FILE   the conversation, as a line of JSON
  /help           this                            anything else is said to the model
"""

import io
import sys
import unicodedata
from collections.abc import Callable, Generator, Sequence
from typing import Any

from absl import flags

from jaxalign.config import UserError
from jaxalign.data.records import Turn
from jaxalign.doors.opening import Flag, Opened, flag_values, line_of, opened
from jaxalign.files import place, write_text
from jaxalign.rl.answers import Reading, misfit
from jaxalign.rl.sample import bucket
from jaxalign.rl.stream import PIECE, Request, Stream

_FLAGS: tuple[Flag, ...] = (
  (flags.DEFINE_integer, 'length', 512, 'tokens of an answer, at most'),
  (flags.DEFINE_float, 'temperature', 0.7, '0: the likeliest token at every step'),
  (flags.DEFINE_integer, 'top_k', None, 'only the k likeliest tokens'),
  (flags.DEFINE_float, 'top_p', 0.95, 'only the likeliest tokens that hold this share'),
  (flags.DEFINE_integer, 'seed', 0, 'of what is drawn'),
  (flags.DEFINE_string, 'system', None, 'what the model is told first'),
  (flags.DEFINE_string, 'format', None, "a chat format's name; default: the model's own"),
  (flags.DEFINE_string, 'dtype', None, "float32, bfloat16 or float16; default: the file's"),
)


class Conversation:
  """Turns with one model, and the answer to the last of them as it comes."""

  def __init__(
    self, guest: Opened, *, system: str | None, length: int, temperature: float,
    top_k: int | None, top_p: float | None, seed: int,
  ):  # fmt: skip
    self._guest, self._system, self._seed = guest, system, seed
    self._model = guest.model.at_hand(1)  # once a conversation, not once an answer
    self._how: dict[str, Any] = dict(
      length=length, temperature=temperature, top_k=top_k, top_p=top_p
    )
    self.draws = 0
    self.turns: list[Turn] = []
    self.reset(system)

  def reset(self, system: str | None = None) -> None:
    """Begins again; with a system text, under that one."""
    self._system = self._system if system is None else system
    self.turns = [] if self._system is None else [Turn('system', self._system)]

  def say(self, text: str) -> Generator[str, None, None]:
    """The answer to this, piece by piece. It is part of the conversation as far as it came."""
    self.turns.append(Turn('user', text))
    return self._answer(0)

  def retry(self) -> Generator[str, None, None]:
    """Another answer to what was said last."""
    if not any(turn.role == 'user' for turn in self.turns):
      raise UserError('nothing was said yet')
    while self.turns[-1].role != 'user':
      self.turns.pop()
    self.draws += 1
    return self._answer(self.draws)

  def _answer(self, draw: int) -> Generator[str, None, None]:
    guest, model = self._guest, self._model
    try:
      request = Request(prompt=guest.ids(self.turns), seed=self._seed, draw=draw, **self._how)
      if why := misfit(model, request):
        raise UserError(f'{why}: /reset forgets what was said')
    except BaseException:  # Ctrl-C, too: what was never asked is not part of the conversation
      self.turns.pop()
      raise
    width = bucket(len(request.prompt), least=64)
    stream = Stream(model, rows=1, slots=bucket(width + request.length + PIECE, least=256))
    reading = Reading(guest.tokenizer, request, [])
    try:
      pieces = stream.join([request])
      while True:
        for piece in pieces:
          yield reading.take(piece)
        if reading.why:
          return
        pieces = stream.step()
    finally:
      self.turns.append(Turn('assistant', reading.text))


def run(argv: Sequence[str]) -> int:
  """The command; argv[0] is `chat`."""
  given = flag_values(argv, __doc__ or '', _FLAGS)
  if given is None:
    return 0
  values, name = given
  _check(values)
  guest = opened(name, dtype=values.dtype, form=values.format)
  if guest.form is None:
    guest.ids([Turn('user', '')])  # says which formats there are
  how = ('system', 'length', 'temperature', 'top_k', 'top_p', 'seed')
  talk = Conversation(guest, **{flag: values[flag].value for flag in how})
  for stream in (sys.stdin, sys.stdout):  # what is no text of this terminal ends no conversation
    if isinstance(stream, io.TextIOWrapper):
      stream.reconfigure(errors='replace')
  print(f'{guest.name}: /help says what a line may be; Ctrl-D ends', file=sys.stderr)
  return converse(talk, _read_line, lambda text: print(harmless(text), end='', flush=True))


def _check(values: Any) -> None:
  for flag, least in (('length', 1), ('temperature', 0), ('top_k', 1), ('seed', 0)):
    value = values[flag].value
    if value is not None and not least <= value < 2**31:
      raise UserError(f'--{flag}={value}: at least {least}')
  if values.top_p is not None and not 0 < values.top_p <= 1:
    raise UserError(f'--top_p={values.top_p}: above 0 and at most 1')


def harmless(text: str) -> str:
  """A model's text for a terminal, which obeys control characters: they are shown instead."""
  return ''.join(
    f'\\x{ord(c):02x}' if unicodedata.category(c) == 'Cc' and c not in '\n\t' else c for c in text
  )


def _read_line() -> str | None:
  try:
    return input('> ' if sys.stdin.isatty() else '')
  except EOFError:
    return None


def converse(
  talk: Conversation, read: Callable[[], str | None], show: Callable[[str], None]
) -> int:
  """Reads lines until there are no more; an answer may be stopped by Ctrl-C, and stands so far."""
  commands = dict(reset=_reset, system=_system, save=_save, help=_help)
  while (line := read()) is not None:
    name, _, rest = line.strip().partition(' ')
    try:
      if not line.strip():
        continue
      if name == '/retry':
        _show(talk.retry(), show)
      elif name.startswith('/'):
        if name[1:] not in commands:
          raise UserError(f'{name}: there is /retry, /{", /".join(commands)}')
        show(commands[name[1:]](talk, rest.strip()) + '\n')
      else:
        _show(talk.say(line), show)
    except UserError as error:
      show(f'error: {error}\n')
  return 0


def _show(pieces: Generator[str, None, None], show: Callable[[str], None]) -> None:
  try:
    for piece in pieces:
      show(piece)
  except KeyboardInterrupt:
    pieces.close()  # what came so far is kept
    show(' [stopped]')
  show('\n')


def _reset(talk: Conversation, rest: str) -> str:
  talk.reset()
  return 'forgotten'


def _system(talk: Conversation, rest: str) -> str:
  if not rest:
    raise UserError('/system TEXT: what the model is told first')
  talk.reset(rest)
  return 'begun again under that system'


def _save(talk: Conversation, rest: str) -> str:
  if not rest:
    raise UserError('/save FILE: where to')
  messages = [dict(role=turn.role, content=turn.text) for turn in talk.turns]
  try:
    write_text(line_of(dict(messages=messages)), place(rest, '/save'))
  except OSError as error:
    raise UserError(f'/save {rest}: {error.strerror}: name another file') from error
  return f'saved in {rest}'


def _help(talk: Conversation, rest: str) -> str:
  return (__doc__ or '').strip()
