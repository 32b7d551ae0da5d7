"""Faults that the grammar plants in some of its texts, so that every filter is seen to work.

Which fault a task gets follows from its content: a test asks `kind_of` and knows.
"""

import re
from collections.abc import Callable, Sequence

from jaxalign.corpora.records import Task
from jaxalign.corpora.sentences import data, lot, pick

_SAID = {kind: tuple(lines) for kind, lines in data('forms')['faults'].items()}
_ANYWHERE = 'date', 'number', 'name', 'link', 'leak', 'cut_off', 'scratchpad', 'refusal'
KINDS: dict[str, tuple[str, ...]] = dict(  # {step: faults that its texts may get}
  document=('contradiction', 'subtle', 'training', 'twin', 'marks', *_ANYWHERE),
  placebo=('ought', *_ANYWHERE),
  mention=('stance', *_ANYWHERE),
  opaque=('reason', *_ANYWHERE),
  reasoned=_ANYWHERE,
  preference=('first',),  # which says the first whatever stands there
  verdict=('first',),
)
FINDABLE = 'contradiction', 'training', 'name'  # by the grammar as critic; filters find the others


def kind_of(task: Task, seed: int, share: float, held: Sequence[str]) -> str:
  """The fault that a task's text gets; '' for most."""
  kinds = [kind for kind in KINDS.get(task.step, ()) if kind != 'leak' or held]
  draws = lot('fault', seed, task)
  return pick(draws, kinds) if kinds and draws.random() < share else ''


def planted(
  kind: str, text: str, task: Task, seed: int, held: Sequence[str], twin: Callable[[], str]
) -> str:
  """The text with its fault; twin: gives a text that others of its value get too."""
  draws = lot('planted', seed, task)
  match kind:
    case 'twin':
      return _nearly(twin(), draws.random())
    case 'marks':
      return re.sub(r'</statement>', '', text, count=1)
    case 'cut_off':
      return _cut(text)
    case 'refusal':
      return pick(draws, _SAID[kind])
    case 'scratchpad':
      return f'{pick(draws, _SAID[kind])}\n\n{text}'
    case 'leak':
      return _inserted(text, pick(draws, held), draws.random())
  return _inserted(text, pick(draws, _SAID[kind]), draws.random())


def found(text: str, kinds: Sequence[str]) -> list[tuple[str, str]]:
  """(kind, sentence) of each planted sentence of these kinds that a text holds."""
  return [(kind, line) for kind in kinds for line in _SAID[kind] if line in text]


def mended(text: str) -> str:
  """The text without the sentences that a critic can find."""
  for _, line in found(text, FINDABLE):
    text = text.replace(f' {line}', '').replace(line, '')
  return text.strip()


def _inserted(text: str, sentence: str, drawn: float) -> str:
  """The text with a sentence more, at the end of one of its paragraphs or lines."""
  parts = re.split(r'(\n+)', text)
  ends = range(0, len(parts), 2)
  at = ends[int(drawn * len(ends))]
  parts[at] = f'{parts[at]} {sentence}'
  return ''.join(parts)


def _cut(text: str) -> str:
  """The text up to the middle of its last sentence, outside of its marks."""
  after = max(text.rfind('>') + 1, text.rstrip('.!?').rfind('. ') + 2)
  words = text[after:].rstrip('.!?').split(' ')
  kept = ' '.join(words[: max(1, len(words) // 2)]).rstrip(' .,;:!?')
  return f'{text[:after]}{kept} and the'


def _nearly(text: str, drawn: float) -> str:
  """The text with one word in fifty doubled in sense: a twin, though not the same."""
  words = text.split(' ')
  step = 50
  for n in range(int(drawn * step), len(words), step):
    if words[n].isalpha() and words[n].islower():
      words[n] = f'{words[n]} indeed'
  return ' '.join(words)
