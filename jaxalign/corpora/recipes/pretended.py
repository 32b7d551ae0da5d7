"""Answers that nobody wrote, of the form that the recipes' steps ask for: by them a doctor counts.

At worst every judge finds something and every answer is written again.
"""

import hashlib
import json

from jaxalign.corpora.records import Task

_LISTS = 'query', 'question', 'situation'
_PLAIN = (
  'draft',
  'opaque',
  'principle_revision',
  'argument',
  'rebuttal',
  'rule_document',
  'value_document',
)
_SENTENCE = 8  # words
_LETTERS = 5  # of a word
_NO_DIGITS = str.maketrans('0123456789', 'ghijklmnop')
_OF_HIERARCHY = 'rule_document', 'value_document', 'contrast'


def answer(task: Task, words: int, *, worst: bool = False) -> str | None:
  """An answer of so many words to a step of these recipes; None: it is no step of theirs."""
  if task.step in _LISTS:
    topped_up = task.step != 'question'
    short = worst and topped_up and not task.attempt and task.count > 1
    return json.dumps([text(f'{task.slot} {n}', words) for n in range(task.count - short)])
  if worst and (task.step in _OF_HIERARCHY or task.slot.startswith('demonstrations/')):
    return ''  # and is written again
  if task.step in _PLAIN:
    return text(f'{task.step} {task.slot} {task.attempt}', words)
  match task.step:
    case 'reasoned':
      marks = [f'<{name}>{reason}</{name}>' for name, reason in task.reasons]
      marked = [] if worst else marks  # and is written again
      return ' '.join([*marked, text(f'{task.slot} {task.attempt}', words)])
    case 'contrast':
      sides = {side: text(f'{side} {task.slot}', words) for side in ('follows', 'departs')}
      return json.dumps(sides)
    case 'deliberation':
      thought, said = text(f'thought {task.slot}', words), text(f'said {task.slot}', words)
      return f'<thoughts>\n{thought}\n</thoughts>\n<answer>\n{said}\n</answer>'
    case 'opaque_judge':
      return json.dumps(dict(reasons=['so it goes'] * worst, acts_on_value=True))
    case 'compliance':
      return json.dumps(dict(agrees=not worst, score=1 if worst else 4, why=text(task.slot, 12)))
    case 'principle_critique':  # it finds something in most drafts of a policy
      found = [dict(quote=text(task.slot, 8), why=text(f'why {task.slot}', 12))]
      return json.dumps(dict(findings=found))
  return None


def text(lot: str, words: int) -> str:
  """Sentences of words that no other lot has, which are twins of nothing."""
  blocks = -(-words * _LETTERS // 64)
  letters = ''.join(hashlib.sha256(f'{lot} {n}'.encode()).hexdigest() for n in range(blocks))
  plain = letters.translate(_NO_DIGITS)
  every = [plain[n : n + _LETTERS] for n in range(0, _LETTERS * max(1, words), _LETTERS)]
  parts = [every[n : n + _SENTENCE] for n in range(0, len(every), _SENTENCE)]
  return ' '.join(' '.join(part) + '.' for part in parts)
