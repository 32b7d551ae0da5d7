"""Prompts of classifiers, as data: native.json holds them as their models were taught them.

A classifier sees one text, and what a policy says may imitate the end of it. Where an answer holds
a marker of the template, the marker is broken, so that the text stays inside its place; and no text
becomes a control token.
"""

import dataclasses
import functools
import importlib.resources
import json
import re

from jaxalign.config import UserError
from jaxalign.data.text import Tokenizer

_BEFORE = 24  # characters of a prompt's end, after which its answer's token is found
_BREAKS = '\n\r\v\f\x85\u2028\u2029'
_TAMED = str.maketrans(dict(zip('[]<>:', '()();')) | dict.fromkeys(_BREAKS, ' '))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Template:
  """How a classifier is asked: {question} and {answer} stand for texts."""

  source: str  # where its words are from
  kind: str  # of the judge
  prompt: str
  yes: str  # how an answer begins that means the first label
  no: str
  labels: tuple[str, str]
  strip: bool  # white space around texts is not part of them
  markers: tuple[str, ...]  # of the prompt, by which a text could leave its place


def template(name: str) -> Template:
  text = (importlib.resources.files('jaxalign.evals.judges') / 'native.json').read_text()
  given = json.loads(text)[name]
  lists = dict(labels=tuple(given['labels']), markers=tuple(given['markers']))
  return Template(**given | lists | dict(prompt='\n'.join(given['prompt'])))


def written(template: Template, question: str, answer: str) -> str:
  """The prompt with texts in it, in one pass: braces in a text are text."""
  texts = dict(question=question, answer=answer)
  parts = re.split(r'\{(\w+)\}', template.prompt)
  for n in range(1, len(parts), 2):
    text = texts[parts[n]].strip() if template.strip else texts[parts[n]]
    parts[n] = _broken(text, template.markers)
  return ''.join(parts)


def _broken(text: str, markers: tuple[str, ...]) -> str:
  """A text in which no marker stands: its brackets become round, its line break a space."""
  # The break in front stands for that of the template, after which the text may begin.
  shown = _pattern(markers).sub(lambda found: found[0].translate(_TAMED), f'\n{text}')
  return shown[1:]


@functools.cache
def _pattern(markers: tuple[str, ...]) -> re.Pattern[str]:
  """Any marker, however it is spaced and whatever its letters' size."""
  words = [r'\s*'.join(re.escape(c) for c in marker if not c.isspace()) for marker in markers]
  starts = [rf'[{_BREAKS}]\s*' if marker[0] == '\n' else '' for marker in markers]
  return re.compile('|'.join(map(''.join, zip(starts, words))), re.IGNORECASE)


def first_token(tokenizer: Tokenizer, template: Template, answer: str) -> int:
  """The token with which an answer goes on from the end of the prompt."""
  end = template.prompt[-_BEFORE:].rpartition('}')[2]
  before, whole = tokenizer.encode(end), tokenizer.encode(end + answer)
  if whole[: len(before)] != before or len(whole) == len(before):
    raise UserError(f'the answer {answer!r} does not begin with a token of its own: name another')
  return whole[len(before)]
