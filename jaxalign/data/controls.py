"""Controls made from an explanation corpus: all that it has but what is to be shown.

shuffled: every document keeps its opening, and goes on with the reasons that a document of another
value gives; the same sentences over the corpus, each as often. neutral: general text, cut to the
same number of tokens document by document. Pure functions of their texts; `check` asserts honesty.
"""

import collections
import hashlib
import itertools
import json
import re

from jaxalign.config import UserError
from jaxalign.data.records import Document

_SENTENCE = re.compile(r'.+?(?:[.!?]["\')\]]*\s+|\n+|\Z)', re.DOTALL)
_OPENING = 3  # the first third of a document says what it is about, the rest is its reasons
_DRIFT = 0.01  # of the tokens of a corpus, which sentences may gain or lose in another place
_TRIES = 64  # places where a text may be cut
_WIDEST = 16  # characters of a token, on the mean: more of a text is not looked at


class Dishonest(AssertionError):
  """A control would differ in more than what it controls for."""


def sentences(text):
  """Joined, they are the text again."""
  return _SENTENCE.findall(text)


def opened(document):
  """(opening, reasons) as text."""
  parts = sentences(document.text)
  if len(parts) < 2:
    raise UserError(
      f'a document of one sentence has no reasons to swap: {document.text[:60]!r}; leave it out'
    )
  cut = max(1, len(parts) // _OPENING)
  return ''.join(parts[:cut]), ''.join(parts[cut:])


def field(document, name):
  return dict(document.meta).get(name, '')


def shuffled(documents, seed=0):
  halves = [opened(document) for document in documents]
  made = [''] * len(documents)
  for n, other in donors(documents, [len(reasons) for _, reasons in halves], seed):
    made[n] = halves[n][0] + halves[other][1]
  return [Document(text, document.meta) for text, document in zip(made, documents)]


def donors(documents, sizes, seed):
  """(n, whose reasons it gets): of another value, of the same form where it can be, and about as
  long."""
  groups = collections.defaultdict(list)
  for n, document in enumerate(documents):
    groups[field(document, 'type')].append(n)
  if not all(_swappable(documents, group) for group in groups.values()):
    groups = dict(every=list(range(len(documents))))
  for group in groups.values():
    most = largest(documents, group)
    if not _swappable(documents, group):
      value, count = most
      raise UserError(
        f'{count} of {len(group)} documents have the value {value or "(none)"!r}: reasons cannot '
        'all go to another; a corpus needs meta `value`, and none of them in over a half'
      )
    order = sorted(group, key=lambda n: drawn(documents[n], sizes[n], seed))
    for place, n in enumerate(order):  # a value is a run no longer than the step
      yield n, order[(place + most[1]) % len(order)]


def drawn(document, size, seed):
  """By which documents are put in order: values at random, each value's from short to long."""
  lot = lambda text: hashlib.sha256(f'{seed} {text}'.encode()).hexdigest()
  return lot(field(document, 'value')), size, lot(document.text)


def largest(documents, group):
  return collections.Counter(field(documents[n], 'value') for n in group).most_common(1)[0]


def _swappable(documents, group):
  return 2 * largest(documents, group)[1] <= len(group)


def background(general, tokens, tokenizer):
  """The first documents of an iterator that hold so many tokens; it goes on behind them."""
  found, held = [], 0
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


def neutral(documents, general, tokenizer):
  """A general text for each document, with as many tokens, from an iterator over others."""
  sizes = map(len, tokenizer.encode_batch([document.text for document in documents], bos=False))
  made = []
  for size in sizes:
    text = _cut(general, size, tokenizer)
    if text is None:
      raise UserError(
        f'general text ends at document {len(made) + 1} of {len(documents)}: name more of it, or '
        'take fewer documents'
      )
    made.append(Document(text))
  return made


def _cut(general, size, tokenizer):
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


def _ending(text, size, tokenizer):
  """The beginning of a text that is so many tokens again when it is read, or None."""
  ids = tokenizer.encode(text, bos=False)
  for end in (size, size + 1, size + 2, size - 1):
    if size <= len(ids) and 0 < end <= len(ids):
      found = tokenizer.decode(ids[:end])
      if '\ufffd' not in found and len(tokenizer.encode(found, bos=False)) == size:
        return found
  return None


def check(documents, made, tokenizer):
  """made: {kind: documents}; what each control must keep of the documents."""
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


def _swapped(documents, made):
  """No reasons stay with a value that they were given for."""
  given = collections.defaultdict(set)
  for document in documents:
    given[opened(document)[1]].add(field(document, 'value'))
  for document, other in zip(documents, made, strict=True):
    head, _ = opened(document)
    reasons = other.text.removeprefix(head)
    value = field(document, 'value')
    _require(value not in given[reasons], f'shuffled: {value} keeps its own reasons')


def bag(documents):
  return collections.Counter(s.strip() for d in documents for s in sentences(d.text))


def counts(documents, tokenizer):
  return [len(ids) for ids in tokenizer.encode_batch([d.text for d in documents], bos=False)]


def content(documents):
  """(the bytes of a JSONL file of them, their sha256)."""
  lines = (json.dumps(dict(document.meta) | dict(text=document.text)) for document in documents)
  whole = ''.join(f'{line}\n' for line in lines).encode()
  return whole, hashlib.sha256(whole).hexdigest()


def _require(holds, what):
  if not holds:
    raise Dishonest(what)
