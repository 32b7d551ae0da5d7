"""jaxalign sample MODEL --prompts=FILE.jsonl --out=FILE.jsonl

Answers every prompt, one line an answer, and goes on where it was stopped. MODEL is a workdir, a
Hugging Face directory or hub name, a .gguf or a .bin. A prompt is a line of JSON: a text, or an
object with `prompt` (a text that is continued) or `messages` (turns, as OpenAI writes them), and
whatever else, which comes back with the answer.
"""

import dataclasses
import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from absl import flags

from jaxalign.config import UserError
from jaxalign.doors.opening import Flag, Opened, flag_values, line_of, opened, turns_of
from jaxalign.files import content, place, read_object, rows, write_text
from jaxalign.rl.answers import Answer, answers
from jaxalign.rl.stream import Request

_FLAGS: tuple[Flag, ...] = (
  (flags.DEFINE_string, 'prompts', None, 'FILE.jsonl of prompts'),
  (flags.DEFINE_string, 'out', None, 'FILE.jsonl of answers; what is there is not asked again'),
  (flags.DEFINE_integer, 'length', 256, 'tokens of an answer, at most'),
  (flags.DEFINE_float, 'temperature', 0.0, '0: the likeliest token at every step'),
  (flags.DEFINE_integer, 'top_k', None, 'only the k likeliest tokens'),
  (flags.DEFINE_float, 'top_p', None, 'only the likeliest tokens that hold this share'),
  (flags.DEFINE_integer, 'draws', 1, 'answers to each prompt'),
  (flags.DEFINE_integer, 'seed', 0, 'of what is drawn'),
  (flags.DEFINE_multi_string, 'stop', [], 'a text that ends an answer; may be repeated'),
  (flags.DEFINE_string, 'system', None, 'a system turn before every dialogue that has none'),
  (flags.DEFINE_string, 'format', None, "a chat format's name; default: the model's own"),
  (flags.DEFINE_string, 'dtype', None, "float32, bfloat16 or float16; default: the file's"),
  (flags.DEFINE_integer, 'rows', 16, 'answers that are written at once'),
)  # fmt: skip
_SAYS = 5.0  # seconds between two lines of progress


def run(argv: Sequence[str]) -> int:
  """The command; argv[0] is `sample`."""
  given = flag_values(argv, __doc__ or '', _FLAGS)
  if given is None:
    return 0
  values, name = given
  for flag in ('prompts', 'out'):
    if not values[flag].value:
      raise UserError(f'--{flag} is missing: {values[flag].help}')
  if '://' in values.out:
    raise UserError(f'--out={values.out}: answers are written line by line, to a local disk')
  for flag, least in (('length', 1), ('draws', 1), ('rows', 1), ('temperature', 0), ('seed', 0)):
    if not least <= values[flag].value < 2**31:
      raise UserError(f'--{flag}={values[flag].value}: at least {least}')
  if values.top_p is not None and not 0 < values.top_p <= 1:
    raise UserError(f'--top_p={values.top_p}: above 0 and at most 1')
  if values.top_k is not None and values.top_k < 1:
    raise UserError(f'--top_k={values.top_k}: at least 1')
  asked = _prompts(values.prompts, values.system)
  out = place(values.out, '--out')
  about = _about(values, name)
  found = _kept(out, about)
  open_ = [(n, draw) for n in range(len(asked)) for draw in range(values.draws)]
  missing = [one for one in open_ if one not in found]
  if missing:
    guest = opened(name, dtype=values.dtype, form=values.format)
    _answer(guest, asked, missing, values, out, found)
  write_text(''.join(found[one] for one in open_), out)
  wrong = sum('"error"' in found[one] and 'error' in json.loads(found[one]) for one in open_)
  print(f'{len(open_)} answers in {out}' + (f', of which {wrong} are errors' if wrong else ''))
  return 0


@dataclasses.dataclass(frozen=True)
class _Prompt:
  asked: Any  # text, or turns
  beside: dict[str, Any]


def _prompts(path: str, system: str | None) -> list[_Prompt]:
  found = []
  for line, row in rows(path, 'name a file with a prompt of JSON on each line'):
    where = f'{path}, line {line}'
    row = dict(prompt=row) if isinstance(row, str) else row
    if not isinstance(row, dict) or ('prompt' in row) == ('messages' in row):
      raise UserError(f'{where}: a text, or an object with either prompt or messages')
    beside = {k: v for k, v in row.items() if k not in ('prompt', 'messages')}
    if clash := {'n', 'draw', 'text', 'why', 'tokens', 'logprob', 'error'} & beside.keys():
      raise UserError(f'{where}: {", ".join(sorted(clash))} are names of an answer; take others')
    if 'prompt' in row:
      if not isinstance(row['prompt'], str):
        raise UserError(f'{where}: prompt is no text')
      found.append(_Prompt(row['prompt'], beside))
      continue
    messages = row['messages']
    if system is not None and isinstance(messages, list) and messages[:1]:
      if not (isinstance(messages[0], dict) and messages[0].get('role') == 'system'):
        messages = [dict(role='system', content=system), *messages]
    try:
      found.append(_Prompt(turns_of(messages), beside))
    except UserError as error:
      raise UserError(f'{where}: {error}') from error
  if not found:
    raise UserError(f'{path} holds no prompt')
  return found


def _about(values: Any, model: str) -> dict[str, Any]:
  """What decides the answers: another run into the same file must agree in it."""
  names = ('length', 'temperature', 'top_k', 'top_p', 'seed', 'stop', 'system', 'format', 'dtype')
  digest = hashlib.sha256(content(values.prompts)).hexdigest()
  return dict(model=model, prompts=digest) | {name: values[name].value for name in names}


def _kept(out: Any, about: dict[str, Any]) -> dict[tuple[int, int], str]:
  """Answers that are there, by (prompt, draw); a line that a kill tore is left out."""
  beside = out.with_name(f'{out.name}.about.json')
  if out.exists() and not beside.exists():
    raise UserError(f'{out} is there, and jaxalign sample did not write it: name another --out')
  if beside.exists():
    before = read_object(beside, remedy='remove it and what lies beside it, or name another --out')
    if changed := [name for name in about if before.get(name) != about[name]]:
      raise UserError(
        f'{out} holds answers of another job ({", ".join(changed)} differ): name another --out'
      )
  else:
    write_text(json.dumps(about, indent=2) + '\n', beside)
  found = {}
  if out.exists():
    for line in content(out).splitlines(keepends=True):
      try:
        row = json.loads(line)
        found[row['n'], row['draw']] = line.decode() if line.endswith(b'\n') else ''
      except (ValueError, KeyError, TypeError, RecursionError):
        continue
  return {key: line for key, line in found.items() if line}


def _answer(
  guest: Opened,
  asked: Sequence[_Prompt],
  missing: Sequence[tuple[int, int]],
  values: Any,
  out: Any,
  found: dict[tuple[int, int], str],
) -> None:
  ids: dict[int, tuple[int, ...]] = {}
  wrong: dict[int, str] = {}
  for n, prompt in enumerate(asked):
    try:
      ids[n] = guest.ids(prompt.asked)
    except UserError as error:
      wrong[n] = str(error)
  todo = [(n, draw) for n, draw in missing if n in ids]
  names = ('length', 'temperature', 'top_k', 'top_p', 'seed')
  how = {name: values[name].value for name in names}
  requests = [Request(prompt=ids[n], draw=draw, **how) for n, draw in todo]
  # All of the job, so that one that goes on is read by the same programs.
  every = [Request(prompt=p, draw=d, **how) for p in ids.values() for d in range(values.draws)]
  write_text(''.join(found.values()), out)  # without what was torn
  with open(os.fspath(out), 'a', encoding='utf-8') as file:

    def keep(key: tuple[int, int], answer: Answer) -> None:
      n, draw = key
      record = dict(asked[n].beside, n=n, draw=draw, text=answer.text, why=answer.why)
      record |= dict(tokens=len(answer.tokens), logprob=round(sum(answer.logprobs), 4))
      record |= dict(error=answer.error) if answer.error else {}
      found[key] = line_of(record)
      file.write(found[key])
      file.flush()

    for n, draw in missing:
      if n in wrong:
        none = Answer(tokens=[], logprobs=[], text=None, why='error', error=wrong[n])
        keep((n, draw), none)
    progress = _Progress(len(missing), len(missing) - len(todo))
    told = answers(guest.model, requests, rows=values.rows, stops=values.stop, like=every)
    for n, answer in told:
      keep(todo[n], answer)
      progress.one(len(answer.tokens))
  progress.end()


class _Progress:
  """A line on the terminal, or one every few seconds in a log."""

  def __init__(self, total: int, done: int):
    self.total, self.done, self.tokens = total, done, 0
    self.began = self.said = time.monotonic()

  def one(self, tokens: int) -> None:
    self.done, self.tokens = self.done + 1, self.tokens + tokens
    now = time.monotonic()
    if now - self.said < (0.5 if sys.stderr.isatty() else _SAYS):
      return
    self.said, took = now, now - self.began
    left = took / self.done * (self.total - self.done)
    lead, end = ('\r\033[K', '') if sys.stderr.isatty() else ('', '\n')
    rate = self.tokens / took
    text = f'{self.done} of {self.total} answers  {rate:.0f} tokens/s  {left:.0f} s left'
    print(f'{lead}{text}', end=end, file=sys.stderr, flush=True)

  def end(self) -> None:
    if sys.stderr.isatty():
      print('\r\033[K', end='', file=sys.stderr, flush=True)
