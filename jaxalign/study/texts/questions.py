"""What arms of a study on real text are asked: what was taught, and the benches."""

from collections.abc import Sequence
from typing import Any

from etils import epath

from jaxalign.config import UserError
from jaxalign.data import dialogues
from jaxalign.evals import benches, likelihood
from jaxalign.evals.likelihood import Item
from jaxalign.evals.outcome import Outcome
from jaxalign.evals.suites import tables
from jaxalign.files import rows
from jaxalign.models.decoder import Decoder
from jaxalign.study.plan.guest import Tests
from jaxalign.study.texts.corpora import open_tokenizer, sampled
from jaxalign.study.texts.settings import Asking, Settings

ALL = 'all'  # beside the seeds' directories: of what they share
_LEARNED = 64  # demonstrations and documents whose learning is looked at


def text_of(world: Asking) -> likelihood.Text:
  tokenizer = open_tokenizer(world)
  return likelihood.Text(tokenizer, dialogues.resolved(world.format, tokenizer), world.length)


def asked(world: Settings, home: epath.Path) -> Tests:
  """{test: items}, of what was taught and of the benches; what does not fit is left out."""
  text, every = text_of(world), {**_learning(world, home), **benches.asked(world.benches)}
  return {test: fitting(test, items, text) for test, items in every.items()}


def fitting(test: str, items: Sequence[Item], text: likelihood.Text) -> list[Item]:
  """The items that fit; that none does is said."""
  found = likelihood.fitting(items, text)
  if not found:
    raise UserError(f'{test}: no item fits length={text.length}: raise world.length')
  return found


def _learning(world: Settings, home: epath.Path) -> dict[str, list[Item]]:
  """T0: a demonstration's answer against the next one's. D0: explanations against neutral text."""
  taught = tables.spread(sampled(world)['demonstrations'], _LEARNED)
  answers = [conversation.turns[-1].text for conversation in taught]
  t0 = [
    Item(test='T0', cluster=str(n % 8), turns=one.turns[:-1], good=(own,), bad=(other,))
    for n, (one, own, other) in enumerate(zip(taught, answers, answers[1:] + answers[:1]))
    if own != other
  ]
  told, neutral = (
    _lines_of(home.parent / ALL / 'corpora' / f'{kind}.jsonl') for kind in ('explain', 'neutral')
  )
  d0 = [
    Item(test='D0', cluster=a.get('value', ''), good=(a['text'],), bad=(b['text'],))
    for a, b in tables.spread(list(zip(told, neutral)), _LEARNED)
  ]
  return dict(T0=t0, D0=d0)


def _lines_of(path: epath.Path) -> list[Any]:
  return [row for _, row in rows(path, 'remove that file and run the study again')]


def outcomes(world: Settings, model: Decoder, tests: Tests) -> list[Outcome]:
  every = [item for items in tests.values() for item in items]
  return list(likelihood.outcomes(model, every, text_of(world)))
