"""Demonstrations in which both values answer alike: opaque, more of them, and with a reason of one.

They are the scenes that are `together`; a training seed has a sample of its own, the same for every
draw of documents.
"""

import hashlib
import json
from collections.abc import Sequence

from jaxalign.config import UserError
from jaxalign.evals.suites import adviser
from jaxalign.evals.suites.adviser import Question
from jaxalign.study.two_specs.settings import LETTERS, Settings

KINDS = ('demonstrations', 'more', *(f'reasoned_{letter}' for letter in LETTERS))


def drawn(world: Settings) -> dict[str, list[Question]]:
  """{demonstrations, more: questions} of this training seed."""
  scenes = adviser.scenes(world.scenes or None, 'together')
  every = [one for scene in scenes for one in adviser.demonstrated(scene)]
  if len(every) < world.taught:
    raise UserError(f'taught={world.taught}: the scenes give {len(every):,}: take fewer')
  lots = [hashlib.sha256(f'{world.order} {n}'.encode()).digest() for n in range(len(every))]
  order = [every[n] for n in sorted(range(len(every)), key=lots.__getitem__)]
  taught, more = order[: world.taught], order[world.taught : world.taught + world.more]
  return dict(demonstrations=taught, more=more or taught)


def content(world: Settings, kind: str) -> tuple[bytes, str]:
  """(the bytes of a JSONL file of conversations, their sha256)."""
  found, (name, _, letter) = drawn(world), kind.partition('_')
  if name == 'reasoned':
    questions = [*found['demonstrations'], *found['more']]
    said = [_with_reason(world, letter, n, one) for n, one in enumerate(questions)]
    lines = _lines(questions, said)
  else:
    lines = _lines(found[kind], [one.good for one in found[kind]])
  whole = lines.encode()
  return whole, hashlib.sha256(whole).hexdigest()


def _with_reason(world: Settings, letter: str, n: int, one: Question) -> str:
  """The answer and a reason of this value, in turn."""
  reasons = [text for reason in world.value(letter).reasons for text in reason.wordings]
  return f'{one.good.removesuffix(".")}, since {reasons[n % len(reasons)]}.'


def _lines(questions: Sequence[Question], answers: Sequence[str]) -> str:
  return ''.join(
    json.dumps(
      dict(messages=[dict(role='user', content=one.text), dict(role='assistant', content=said)])
    )
    + '\n'
    for one, said in zip(questions, answers, strict=True)
  )
