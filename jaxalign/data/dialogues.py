"""Dialogues written in a chat format and read back out of it; which tokens of them are learned."""

import functools
import itertools
import re
from collections.abc import Iterable, Sequence

import numpy as np

from jaxalign.config import UserError
from jaxalign.data.chat import ChatFormat, Own
from jaxalign.data.cutting import Example, Span, cut, encode_spans
from jaxalign.data.own_template import OwnTemplate
from jaxalign.data.records import Conversation, Document, Piece, Role, Turn
from jaxalign.data.text import Tokenizer

Format = ChatFormat | OwnTemplate


def resolved(form: ChatFormat | Own, tokenizer: Tokenizer) -> Format:
  """The format that a config names: its own, or the template that came with the tokenizer."""
  if not isinstance(form, Own):
    return form
  if tokenizer.template is None:
    raise UserError(
      f'format is chat.OWN, and {tokenizer} came with no chat template: take one of ours, as '
      'chat.CHATML, or name the tokenizer of a model that was taught to chat'
    )
  return tokenizer.template


def end_of(form: Format, tokenizer: Tokenizer) -> int:
  """The id that closes an answer."""
  refuse_no_ends(form, tokenizer)
  if isinstance(form, ChatFormat):
    assert tokenizer.eos is not None or form.end
    return tokenizer.control(form.end) if form.end else int(tokenizer.eos or 0)
  talk = Conversation((Turn('user', 'a'), Turn('assistant', 'b')))
  whole = encode(form, tokenizer, talk)
  return int(whole.tokens[np.flatnonzero(whole.weight)[-1]])


def document(tokenizer: Tokenizer, record: Document) -> list[Span]:
  """[BOS] text EOS, as in pretraining."""
  before = (_bos(tokenizer),) if tokenizer.add_bos else ()
  after = () if tokenizer.eos is None else (tokenizer.eos,)
  return [Span(record.text, True, before, after, True)]


def _bos(tokenizer: Tokenizer) -> int:
  assert tokenizer.bos is not None  # refuse_no_ends, and add_bos, see to it
  return tokenizer.bos


def dialogue(form: Format, tokenizer: Tokenizer, turns: Sequence[Turn]) -> list[Span]:
  """The spans of all turns; turns that end with the user's are a prompt."""
  refuse_no_ends(form, tokenizer)
  if isinstance(form, OwnTemplate):
    return _by_template(form, tokenizer, turns)
  system, turns = _system_apart(turns)
  spans: list[Span] = []
  for n, turn in enumerate(turns):
    if turn.role == 'assistant':
      text = turn.text.strip() if form.strip else turn.text
      pieces = _written(form.answer, answer=text)
      spans += cut(tokenizer, form.controls, _answer(form, pieces), False)
      if not form.end:
        assert tokenizer.eos is not None
        spans[-1] = spans[-1]._replace(after=(tokenizer.eos,))
    else:
      bos = form.bos or (n == 0 and tokenizer.add_bos and not form.controls)
      pieces = _exchange(form, turn.text, system if n == 0 else None, n == 0)
      exchange = cut(tokenizer, form.controls, pieces, True)
      if bos:
        exchange[0] = exchange[0]._replace(before=(_bos(tokenizer), *exchange[0].before))
      spans += exchange
  return spans


def _by_template(form: OwnTemplate, tokenizer: Tokenizer, turns: Sequence[Turn]) -> list[Span]:
  _system_apart(turns)  # refuses what is no dialogue
  spans = cut(tokenizer, tokenizer.controls, form.pieces(turns), True)
  for span, then in zip(spans, [*spans[1:], None]):
    if span.learn and not span.after and not (then and then.learn):
      raise UserError(
        'the chat template of this model closes an answer with no control token, by which a model '
        'could learn to stop: take a format of ours'
      )
  return spans


def _answer(form: ChatFormat, pieces: list[Piece]) -> list[Piece]:
  learned = [piece._replace(learn=True) for piece in pieces]
  end = [Piece(form.end, learn=True)] if form.end else []
  return [*learned, *end, *([Piece(form.after)] if form.after else [])]


def refuse_no_ends(form: Format, tokenizer: Tokenizer) -> None:
  """A format is written with control tokens that the tokenizer must have."""
  if isinstance(form, OwnTemplate):
    return
  if form.bos and tokenizer.bos is None:
    raise UserError(f'{form.name} begins exchanges with BOS, and {tokenizer} has none')
  if tokenizer.eos is None and not form.end:
    raise UserError(f'{form.name} ends answers with EOS, and {tokenizer} has none')
  for name in form.controls:
    tokenizer.control(name)


def _exchange(form: ChatFormat, user: str, system: str | None, first: bool) -> list[Piece]:
  if system is None:
    lead = form.preface if first else form.later
    pieces = _written(form.user, user=user.strip() if form.strip else user)
    return [Piece(lead), *pieces] if lead else pieces
  if form.strip and form.controls:
    return _written(form.system, system=system.strip(), user=user.strip())
  # Llama-2's authors strip the two texts as one: space between them stays.
  return _written(form.system, system=system, user=user.rstrip() if form.strip else user)


def encode(form: Format, tokenizer: Tokenizer, record: Document | Conversation) -> Example:
  return encode_spans(tokenizer, [spans(form, tokenizer, record)])[0]


def spans(form: Format, tokenizer: Tokenizer, record: Document | Conversation) -> list[Span]:
  if isinstance(record, Document):
    return document(tokenizer, record)
  if record.turns and record.turns[-1].role != 'assistant':
    raise UserError('a conversation to learn from ends with the assistant: this one ends before')
  return dialogue(form, tokenizer, record.turns)


def prompt(form: Format, tokenizer: Tokenizer, turns: Sequence[Turn]) -> np.ndarray:
  """int32 ids up to where the assistant begins."""
  if turns and turns[-1].role != 'user':
    raise UserError('a prompt ends with the user: drop the last turn, or encode the conversation')
  return encode_spans(tokenizer, [dialogue(form, tokenizer, turns)])[0].tokens


def turns_of(form: Format, tokenizer: Tokenizer, ids: Iterable[int]) -> tuple[Turn, ...]:
  """The turns that `prompt` wrote as these ids. The end token closes answers alone, so exchanges
  are told apart for certain; within one, the first place where an answer could begin is it."""
  if isinstance(form, OwnTemplate):
    raise UserError('what a chat template of a model wrote cannot be read back; take one of ours')
  if form.controls:
    return _between_controls(form, tokenizer, ids)
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


_MARK = '\ue0f0'  # stands before a control token's name; private to whoever uses it


def _between_controls(
  form: ChatFormat, tokenizer: Tokenizer, ids: Iterable[int]
) -> tuple[Turn, ...]:
  """Turns in a format that names control tokens: what was said holds none, and ends at the next."""
  names = {tokenizer.control(name): _MARK + name for name in tokenizer.controls}
  runs = itertools.groupby(map(int, ids), lambda index: names.get(index, ''))
  text = ''.join(name * len(list(run)) if name else tokenizer.decode(run) for name, run in runs)
  alone = _marked_pattern(form, form.preface + form.user).replace('<user>', '<alone>')
  expected = f'{alone}|{_marked_pattern(form, form.system)}'
  roles: dict[str, Role] = dict(system='system', user='user', alone='user', answer='assistant')
  turns: list[Turn] = []
  at = 0
  while at < len(text):
    found = re.compile(expected, re.DOTALL).match(text, at)
    if not found or found.end() == at:
      raise UserError(f'{text[at : at + 60]!r} is not written in the format {form.name}')
    said = {name: text for name, text in found.groupdict().items() if text is not None}
    turns += [Turn(roles[name], said[name]) for name in sorted(said, key=found.start)]
    at = found.end()
    expected = _marked_pattern(form, form.answer + form.end + form.after + form.later + form.user)
  return tuple(turns)


def _marked_pattern(form: ChatFormat, template: str) -> str:
  known = '|'.join(re.escape(name) for name in form.controls)
  parts = _pieces(re.sub(f'({known})', rf'{_MARK}\1', template))
  said = '(?P<{}>[^' + _MARK + ']*?)'
  return ''.join(said.format(p) if n % 2 else re.escape(p) for n, p in enumerate(parts))


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


def _written(template: str, **texts: str) -> list[Piece]:
  """A template with texts in it, in one pass: braces in a user's text are text."""
  pieces = [
    Piece(texts[piece], said=True) if n % 2 else Piece(piece)
    for n, piece in enumerate(_pieces(template))
  ]
  return [piece for piece in pieces if piece.text] or [Piece('')]


@functools.cache
def _pieces(template: str) -> list[str]:
  """Text and names in turn."""
  return re.split(r'\{(\w+)\}', template)
