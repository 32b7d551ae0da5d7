"""Controls made from an explanation corpus: all that it has but what is to be shown.

shuffled: every document keeps its opening, and goes on with the reasons of one of another value.
neutral: general text, of the same number of tokens document by document. `check` asserts honesty.
"""

import collections
import hashlib
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence

from jaxalign.config import UserError
from jaxalign.data.records import Document
from jaxalign.data.text import Tokenizer

_SENTENCE = re.compile(r'.+?(?:[.!?]["\')\]]*\s+|\n+|\Z)', re.DOTALL)
_OPENING = 3  # the first third of a document says what it is about, the rest is its reasons
_DRIFT = 0.01  # of the tokens of a corpus, which sentences may gain or lose in another place
_TRIES = 64  # places where a text may be cut
_WIDEST = 16  # characters of a token, on the mean: more of a text is not looked at


class Dishonest(AssertionError):
  """A control would differ in more than what it controls for."""


def sentences(text: str) -> list[str]:
  """Sentences with the space behind them: joined, they are the text again."""
  return _SENTENCE.findall(text)


def opened(document: Document) -> tuple[str, str]:
  """(opening, reasons) as text."""
  parts = sentences(document.text)
  if len(parts) < 2:
    raise UserError(
      f'a document of one sentence has no reasons to swap: {document.text[:60]!r}; leave it out'
    )
  cut = max(1, len(parts) // _OPENING)
  return ''.join(parts[:cut]), ''.join(parts[cut:])


def field(document: Document, name: str) -> str:
  return dict(document.meta).get(name, '')


def shuffled(documents: Sequence[Document], seed: int = 0) -> list[Document]:
  halves = [opened(document) for document in documents]
  made = [''] * len(documents)
  for n, other in donors(documents, [len(reasons) for _, reasons in halves], seed):
    made[n] = halves[n][0] + halves[other][1]
  return [Document(text, document.meta) for text, document in zip(made, documents)]


def donors(
  documents: Sequence[Document], sizes: Sequence[int], seed: int
) -> Iterator[tuple[int, int]]:
  """(n, whose reasons it gets): of another value, about as long, and of the same form if any is."""
  groups: dict[str, list[int]] = collections.defaultdict(list)
  for n, document in enumerate(documents):
    groups[field(document, 'type')].append(n)
  if any(2 * _largest(documents, group)[1] > len(group) for group in groups.values()):
    groups = dict(every=list(range(len(documents))))
  for group in groups.values():
    value, count = _largest(documents, group)
    if 2 * count > len(group):
      raise UserError(
        f'{count} of {len(group)} documents have the value {value or "(none)"!r}: reasons cannot '
        'all go to another; a corpus needs meta `value`, and none of them in over a half'
      )
    order = sorted(group, key=lambda n: _lot(documents[n], sizes[n], seed))
    for place, n in enumerate(order):  # a value is a run no longer than the step
      yield n, order[(place + count) % len(order)]


def _lot(document: Document, size: int, seed: int) -> tuple[str, int, str]:
  """By which documents are put in order: values at random, each value's from short to long."""
  texts = field(document, 'value'), document.text
  value, text = (hashlib.sha256(f'{seed} {part}'.encode()).hexdigest() for part in texts)
  return value, size, text


def _largest(documents: Sequence[Document], group: Sequence[int]) -> tuple[str, int]:
  """The value that most documents of a group have, and how many."""
  return collections.Counter(field(documents[n], 'value') for n in group).most_common(1)[0]


def background(general: Iterator[Document], tokens: int, tokenizer: Tokenizer) -> list[Document]:
  """The first documents of an iterator that hold so many tokens; it goes on behind them."""
  found: list[Document] = []
  held = 0
  while held < tokens:
    document = next(general, None)
    if document is None:
      raise UserError(
        f'general text holds {held:,} tokens and {tokens:,} are asked for: name more of it, or '
        'lower background'
      )
    found.append(Document(document.text))
    held += len(tokenizer.encode(document.text, bos=False))
  return found


def neutral(
  documents: Sequence[Document], general: Iterator[Document], tokenizer: Tokenizer
) -> list[Document]:
  """A general text for each document, with as many tokens, from an iterator over others."""
  made: list[Document] = []
  for size in counts(documents, tokenizer):
    text = _cut(general, size, tokenizer)
    if text is None:
      raise UserError(
        f'general text ends at document {len(made) + 1} of {len(documents)}: name more of it, or '
        'take fewer documents'
      )
    made.append(Document(text))
  return made


def _cut(general: Iterator[Document], size: int, tokenizer: Tokenizer) -> str | None:
  """The next texts, as long as this many tokens; None where no text is left."""
  text = ''
  for document in general:
    text = f'{text}\n\n{document.text}' if text else document.text
    text = text[: _WIDEST * size + 256]
    for start in itertools.islice(re.finditer(r'\S+\s*', text), _TRIES):
      found = _ending(text[start.start() :], size, tokenizer)
      if found is not None:
        return found
      if len(tokenizer.encode(text[start.start() :], bos=False)) < size:
        break
  return None


def _ending(text: str, size: int, tokenizer: Tokenizer) -> str | None:
  """The beginning of a text that is so many tokens again when it is read, or None."""
  ids = tokenizer.encode(text, bos=False)
  for end in (size, size + 1, size + 2, size - 1):
    if size <= len(ids) and 0 < end <= len(ids):
      found = tokenizer.decode(ids[:end])
      if '\ufffd' not in found and len(tokenizer.encode(found, bos=False)) == size:
        return found
  return None


def check(
  documents: Sequence[Document], made: Mapping[str, Sequence[Document]], tokenizer: Tokenizer
) -> None:
  """Refuses controls, by kind, that do not keep of the documents what they must."""
  ours = counts(documents, tokenizer)
  if 'neutral' in made:
    _require(counts(made['neutral'], tokenizer) == ours, 'neutral: other token counts')
    texts = {document.text for document in made['neutral']}
    _require(not texts & {d.text for d in documents}, 'neutral: holds an explanation')
  if 'shuffled' in made:
    theirs = counts(made['shuffled'], tokenizer)
    _require(bag(documents) == bag(made['shuffled']), 'shuffled: other sentences')
    _require(abs(sum(theirs) - sum(ours)) <= _DRIFT * sum(ours), 'shuffled: other token count')
    _swapped(documents, made['shuffled'])


def _swapped(documents: Sequence[Document], made: Sequence[Document]) -> None:
  """No reasons stay with a value that they were given for."""
  given = collections.defaultdict(set)
  for document in documents:
    given[opened(document)[1]].add(field(document, 'value'))
  for document, other in zip(documents, made, strict=True):
    head, _ = opened(document)
    reasons = other.text.removeprefix(head)
    value = field(document, 'value')
    _require(value not in given[reasons], f'shuffled: {value} keeps its own reasons')


def bag(documents: Sequence[Document]) -> collections.Counter[str]:
  return collections.Counter(s.strip() for d in documents for s in sentences(d.text))


def counts(documents: Sequence[Document], tokenizer: Tokenizer) -> list[int]:
  return [len(ids) for ids in tokenizer.encode_batch([d.text for d in documents], bos=False)]


def content(documents: Sequence[Document]) -> tuple[bytes, str]:
  """(the bytes of a JSONL file of them, their sha256)."""
  lines = (json.dumps(dict(document.meta) | dict(text=document.text)) for document in documents)
  whole = ''.join(f'{line}\n' for line in lines).encode()
  return whole, hashlib.sha256(whole).hexdigest()


def _require(holds: bool, what: str) -> None:
  if not holds:
    raise Dishonest(what)
