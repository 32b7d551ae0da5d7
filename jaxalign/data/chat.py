"""Chat formats: how a dialogue is written for a model, and which of its tokens are learned.

Text is tokenized in spans that begin after a control token or where the assistant begins, so that
a prompt is a prefix of the whole dialogue. Control tokens come from the format alone: what a user
types stays text.
"""

import dataclasses
import functools
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jaxalign.config import UserError
from jaxalign.data.records import Conversation, Document, Role, Turn
from jaxalign.data.text import Tokenizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChatFormat:
  """{system}, {user} and {answer} stand for text; the end-of-text token closes every answer."""

  name: str
  user: str  # an exchange up to where the assistant begins
  system: str  # the same for the first exchange, if there is a system turn
  answer: str
  later: str = ''  # stands before `user` in the second exchange and after it
  bos: bool = False  # before every exchange; otherwise before the first, if the model has a habit
  strip: bool = False  # white space around texts is not part of them

  @functools.cached_property
  def hash(self) -> str:
    """sha256 of all that decides the ids; a new name is no change."""
    fields = {k: v for k, v in dataclasses.asdict(self).items() if k != 'name'}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


# As Llama-2-chat was trained: every exchange is a document, and a space follows the answer.
LLAMA2_CHAT = ChatFormat(
  name='llama2_chat',
  user='[INST] {user} [/INST]',
  system='[INST] <<SYS>>\n{system}\n<</SYS>>\n\n{user} [/INST]',
  answer=' {answer} ',
  bos=True,
  strip=True,
)
# Phi-2's card gives one exchange; later ones begin on a new line.
PHI2_INSTRUCT = ChatFormat(
  name='phi2_instruct',
  user='Instruct: {user}\nOutput:',
  system='{system}\nInstruct: {user}\nOutput:',
  answer=' {answer}',
  later='\n',
)
# HH-RLHF's transcripts, for base models, which know no format.
TRANSCRIPT = ChatFormat(
  name='transcript',
  user='\n\nHuman: {user}\n\nAssistant:',
  system='{system}\n\nHuman: {user}\n\nAssistant:',
  answer=' {answer}',
)


@dataclasses.dataclass(frozen=True, eq=False)
class Example:
  """Ids, and for each of them whether predicting it from those before is learned."""

  tokens: np.ndarray  # int32 [n]
  weight: np.ndarray  # bool [n]


class Span(NamedTuple):
  """Text that is tokenized by itself; it says which control tokens go around it."""

  text: str
  begins: bool = False  # it stands after a control token or at the beginning
  bos: bool = False
  eos: bool = False
  learn: bool = False


def document(tokenizer: Tokenizer, record: Document) -> list[Span]:
  """[BOS] text EOS, as in pretraining."""
  ends = dict(bos=tokenizer.add_bos, eos=tokenizer.eos is not None)
  return [Span(record.text, begins=True, **ends, learn=True)]


def dialogue(form: ChatFormat, tokenizer: Tokenizer, turns: Sequence[Turn]) -> list[Span]:
  """The spans of all turns; turns that end with the user's are a prompt."""
  refuse_no_ends(form, tokenizer)
  system, turns = _system_apart(turns)
  spans = []
  for n, turn in enumerate(turns):
    if turn.role == 'assistant':
      text = turn.text.strip() if form.strip else turn.text
      spans.append(Span(_filled(form.answer, answer=text), eos=True, learn=True))
    else:
      bos = form.bos or (n == 0 and tokenizer.add_bos)
      text = _exchange(form, turn.text, system if n == 0 else None)
      spans.append(Span(form.later + text if n else text, begins=True, bos=bos))
  return spans


def refuse_no_ends(form: ChatFormat, tokenizer: Tokenizer) -> None:
  """A format is written with control tokens that the tokenizer must have."""
  if form.bos and tokenizer.bos is None:
    raise UserError(f'{form.name} begins exchanges with BOS, and {tokenizer} has none')
  if tokenizer.eos is None:
    raise UserError(f'{form.name} ends answers with EOS, and {tokenizer} has none')


def _exchange(form: ChatFormat, user: str, system: str | None) -> str:
  if system is None:
    return _filled(form.user, user=user.strip() if form.strip else user)
  # Llama-2's authors strip the two texts as one: space between them stays.
  return _filled(form.system, system=system, user=user.rstrip() if form.strip else user)


def encode(form: ChatFormat, tokenizer: Tokenizer, record: Document | Conversation) -> Example:
  return encode_spans(tokenizer, [spans(form, tokenizer, record)])[0]


def spans(form: ChatFormat, tokenizer: Tokenizer, record: Document | Conversation) -> list[Span]:
  if isinstance(record, Document):
    return document(tokenizer, record)
  if record.turns and record.turns[-1].role != 'assistant':
    raise UserError('a conversation to learn from ends with the assistant: this one ends before')
  return dialogue(form, tokenizer, record.turns)


def prompt(form: ChatFormat, tokenizer: Tokenizer, turns: Sequence[Turn]) -> np.ndarray:
  """int32 ids up to where the assistant begins."""
  if turns and turns[-1].role != 'user':
    raise UserError('a prompt ends with the user: drop the last turn, or encode the conversation')
  return encode_spans(tokenizer, [dialogue(form, tokenizer, turns)])[0].tokens


def turns_of(form: ChatFormat, tokenizer: Tokenizer, ids: Iterable[int]) -> tuple[Turn, ...]:
  """The turns that `prompt` wrote as these ids. The end token closes answers alone, so exchanges
  are told apart for certain; within one, the first place where an answer could begin is it."""
  exchanges: list[list[int]] = [[]]
  for index in ids:
    if index == tokenizer.eos:
      exchanges.append([])
    elif index != tokenizer.bos:
      exchanges[-1].append(int(index))
  exchanges = [exchange for exchange in exchanges if exchange]  # BOS may be EOS, and end nothing
  turns: list[Turn] = []
  for n, exchange in enumerate(exchanges):
    text = tokenizer.decode(exchange).removeprefix(form.later if n else '')
    turns += _turns_in(form, text, n == 0, n < len(exchanges) - 1)
  return tuple(turns)


def _turns_in(form: ChatFormat, text: str, first: bool, answered: bool) -> list[Turn]:
  free = form.system.startswith('{')  # then it would fit an exchange without a system turn too
  both = (form.user, form.system) if free else (form.system, form.user)
  roles: dict[str, Role] = dict(system='system', user='user', answer='assistant')
  for template in both if first else (form.user,):
    pieces = _pieces(template + (form.answer if answered else ''))
    pattern = ''.join(f'(?P<{p}>.*?)' if n % 2 else re.escape(p) for n, p in enumerate(pieces))
    if found := re.fullmatch(pattern, text, re.DOTALL):
      return [Turn(roles[name], said) for name, said in found.groupdict().items()]
  raise UserError(f'{text[:60]!r} is not written in the format {form.name}')


def encode_spans(tokenizer: Tokenizer, examples: Sequence[Sequence[Span]]) -> list[Example]:
  """Many at once: the tokenizer is fastest on long lists of texts."""
  lead, skip = _lead(tokenizer)
  texts = [span.text if span.begins else lead + span.text for spans in examples for span in spans]
  rows = iter(tokenizer.encode_batch(texts, bos=False))
  return [_joined(tokenizer, spans, rows, skip) for spans in examples]


@functools.lru_cache(maxsize=8)
def _lead(tokenizer: Tokenizer) -> tuple[str, int]:
  """What to put before text that continues other text, and how many tokens of it to drop again:
  sentencepiece begins every text with a space of its own, but none after a newline."""
  ids = tokenizer.encode('\n', bos=False)
  return ('\n', len(ids)) if len(ids) > 1 else ('', 0)


def _joined(
  tokenizer: Tokenizer, spans: Sequence[Span], rows: Iterator[list[int]], skip: int
) -> Example:
  tokens, learned = [], []
  for span in spans:
    ids = next(rows)
    tokens += [tokenizer.bos] * span.bos
    begin = len(tokens)
    tokens += ids if span.begins else ids[skip:]
    tokens += [tokenizer.eos] * span.eos
    if span.learn:
      learned.append((begin, len(tokens)))
  example = Example(np.array(tokens, np.int32), np.zeros(len(tokens), bool))
  for begin, end in learned:
    example.weight[begin:end] = True
  example.weight[:1] = False  # nothing comes before it
  return example


def _system_apart(turns: Sequence[Turn]) -> tuple[str | None, Sequence[Turn]]:
  first = turns[0].text if turns and turns[0].role == 'system' else None
  rest = turns[1:] if first is not None else turns
  for n, turn in enumerate(rest):
    expected = 'assistant' if n % 2 else 'user'
    if turn.role != expected:
      raise UserError(f'turn {n + 1} is of the {turn.role}: turns alternate, the user first')
  if not rest:
    raise UserError('a conversation has no turns')
  return first, rest


def _filled(template: str, **texts: str) -> str:
  """In one pass: braces in a user's text are text."""
  pieces = _pieces(template)
  return ''.join(texts[piece] if n % 2 else piece for n, piece in enumerate(pieces))


@functools.cache
def _pieces(template: str) -> list[str]:
  """Text and names in turn."""
  return re.split(r'\{(\w+)\}', template)
