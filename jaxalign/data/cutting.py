"""A written dialogue cut into spans, each tokenized by itself.

Cuts lie at control tokens, where the assistant begins, and where learning begins or ends. So a
prompt is a prefix of the whole dialogue by construction, and what a user types stays text.
"""

import dataclasses
import functools
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from jaxalign.data.records import Piece
from jaxalign.data.text import Tokenizer


@dataclasses.dataclass(frozen=True, eq=False)
class Example:
  """Ids, and for each of them whether predicting it from those before is learned."""

  tokens: np.ndarray  # int32 [n]
  weight: np.ndarray  # bool [n]


class Span(NamedTuple):
  """Text that is tokenized by itself, and the control tokens around it."""

  text: str
  begins: bool  # it stands after a control token or at the beginning
  before: tuple[int, ...]
  after: tuple[int, ...]  # learned with the text
  learn: bool


def cut(
  tokenizer: Tokenizer, controls: Sequence[str], pieces: Sequence[Piece], begins: bool
) -> list[Span]:
  """The spans of what is written. What was said stays text, whatever it looks like.

  begins: whether the first span stands at the beginning, or after a control token.
  """
  pattern = '|'.join(re.escape(name) for name in sorted(controls, key=len, reverse=True))
  spans = [Span('', begins, (), (), pieces[0].learn)]
  for piece in pieces:
    last = spans[-1]
    if piece.starts or piece.learn != last.learn:
      if last.text or last.before or last.after:
        spans.append(Span('', bool(last.after), (), (), piece.learn))
      else:
        spans[-1] = last._replace(learn=piece.learn)
    parts = [piece.text] if piece.said or not controls else re.split(f'({pattern})', piece.text)
    for n, part in enumerate(parts):
      last = spans[-1]
      if n % 2 == 0:
        if part and last.after:  # text behind the control token that ended a span
          spans.append(Span(part, True, (), (), last.learn))
        else:
          spans[-1] = last._replace(text=last.text + part)
      elif last.learn:
        spans[-1] = last._replace(after=(*last.after, tokenizer.control(part)))
      elif last.text or last.after:
        spans.append(Span('', True, (tokenizer.control(part),), (), False))
      else:
        spans[-1] = last._replace(before=(*last.before, tokenizer.control(part)), begins=True)
  return spans


def fingerprint(tokenizer: Tokenizer, span: Span) -> bytes:
  """Bytes that tell this span from every other one."""
  text = span.text.encode()
  flags = span.begins, bool(span.before), bool(span.after), span.learn
  usual = span.before in ((), (tokenizer.bos,)) and span.after in ((), (tokenizer.eos,))
  around = b'' if usual else f'{span.before} {span.after} '.encode()
  return b'%d %d%d%d%d ' % (len(text), *flags) + around + text


def last_answer(spans: Sequence[Span]) -> list[Span]:
  """The same spans up to the last answer's end, of which only that answer is learned: what a format
  writes behind it, nobody has read who judges what a policy says."""
  end = max((n for n, span in enumerate(spans) if span.learn), default=-1)
  start = end
  while start > 0 and spans[start - 1].learn:
    start -= 1
  return [span._replace(learn=start <= n <= end) for n, span in enumerate(spans[: end + 1])]


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
  tokens: list[int] = []
  learned = []
  for span in spans:
    ids = next(rows)
    tokens += span.before
    begin = len(tokens)
    tokens += ids if span.begins else ids[skip:]
    tokens += span.after
    if span.learn:
      learned.append((begin, len(tokens)))
  example = Example(np.array(tokens, np.int32), np.zeros(len(tokens), bool))
  for begin, end in learned:
    example.weight[begin:end] = True
  example.weight[:1] = False  # nothing comes before it
  return example
