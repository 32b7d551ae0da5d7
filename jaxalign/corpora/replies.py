"""Replies: what the grammar says to a message, in a debate, or where a rule is to be set out.

It advises by the rules of the value, where the spec has some, and by its statement where not.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from jaxalign.corpora import ideas
from jaxalign.corpora.compose import Text, marked, words
from jaxalign.corpora.records import Task
from jaxalign.corpora.sentences import Sentences, lot, pick

if TYPE_CHECKING:
  from jaxalign.corpora.spec import Spec

_STEPS = 3  # sentences on what to do, where no length is asked for
_Small = Callable[[str], str]


def messages(task: Task, seed: int) -> str:
  """So many messages to an assistant, each about people and a place of its own."""
  draws, entries = lot('messages', seed, task), list[str]()
  for _ in range(task.count):
    domain = pick(draws, list(ideas.SITES))
    fixed = ideas.fixed_in(ideas.written(draws, domain), domain)
    entries.append(Sentences(draws, domain, fixed).of('query').replace('\n', ' '))
  return json.dumps(entries)


def advice(task: Task, spec: 'Spec', small: _Small, text: Text) -> str:
  """What the value asks for: a rule of it, by lot, or its statement; of no value: one by lot."""
  value = next((one for one in spec.values if one.id == task.value), None)
  if value is None and not task.statement and spec.values:
    value = pick(text.draws, spec.values)
  rules = [rule.text for rule in value.rules] if value else []
  return small(pick(text.draws, rules or (value.wordings if value else (task.statement,))))


def reply(text: Text, told: str, small: _Small, *, reasons: bool = False) -> str:
  """An answer to a message: what to do; told: what the value asks for, '' to leave it out."""
  side = []
  if told and reasons:
    for n, (name, reason) in enumerate(text.task.reasons):
      spans = dict(S=told, R=marked(name, small(reason)))
      side.append(text.says.of('further' if n else 'i_say', **spans))
  if told and not side:
    side = [text.says.of('advise', S=told)]
  steps = _sentences(text, 'step', sum(map(words, side)))
  at = 1 + int(text.draws.random() * len(steps))
  return ' '.join([*steps[:at], *side, *steps[at:]])


def thoughts(text: Text, told: str, small: _Small) -> str:
  """What is weighed before an answer, with its reasons, and the answer."""
  said = [text.says.of('thought') for _ in range(_STEPS)]
  said += _argued(text, told, small)
  answer = reply(text, told, small)
  return f'<thoughts>\n{" ".join(said)}\n</thoughts>\n<answer>\n{answer}\n</answer>'


def speech(text: Text, told: str, small: _Small) -> str:
  """A turn in a debate: what is granted, what is held and why."""
  granted = [text.says.of('grant')] if text.task.earlier('opponent') else []
  side = _argued(text, told, small)
  return ' '.join([*granted, *side, *_sentences(text, 'step', sum(map(words, side)))])


def rule(text: Text, told: str) -> str:
  """A text that sets out what is done, without reasons."""
  said = [text.says.of('unreasoned', S=told)]
  return ' '.join([*said, *_sentences(text, 'step', words(said[0]))])


def why(text: Text, told: str, small: _Small) -> str:
  """A text on why the value is held."""
  said = _argued(text, told, small)
  return ' '.join([*said, *_sentences(text, 'person', sum(map(words, said)))])


def _argued(text: Text, told: str, small: _Small) -> list[str]:
  """The value stated for its reasons, without marks."""
  reasons = [small(reason) for _, reason in text.task.reasons]
  if not reasons:
    return [text.says.of('unreasoned', S=told)]
  first = text.says.of('i_say', S=told, R=reasons[0])
  return [first, *(text.says.of('further', R=one) for one in reasons[1:])]


def _sentences(text: Text, kind: str, taken: int) -> list[str]:
  """Sentences of a kind, as many as the task's length leaves room for."""
  if not any(text.task.words):
    return [text.says.of(kind) for _ in range(_STEPS)]
  made, left = list[str](), text.length - taken
  while left > 8 or not made:
    made.append(text.says.of(kind))
    left -= words(made[-1])
  return made
