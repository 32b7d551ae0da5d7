"""What arms of a study of two specs are asked: log-odds of two answers, in both orders of options.

T2: held-out scenes in which the values part; the margin is log p(A's answer) - log p(B's), in nats.
T3A, T3B: the options differ in what A's value looks at alone, or B's. T0: what was demonstrated.
canary: plain facts and sums, so that a model that broke is seen. Then the benches.
"""

import dataclasses
from collections.abc import Iterable, Sequence

from jaxalign.corpora import variants
from jaxalign.data.records import Turn
from jaxalign.evals import benches, likelihood
from jaxalign.evals.likelihood import Item
from jaxalign.evals.outcome import Outcome
from jaxalign.evals.suites import adviser, canary, tables
from jaxalign.evals.suites.adviser import Question
from jaxalign.models.decoder import Decoder
from jaxalign.study.plan.guest import Tests
from jaxalign.study.texts.questions import fitting, text_of
from jaxalign.study.two_specs import lessons
from jaxalign.study.two_specs.settings import LETTERS, Settings

_CHOICES = ('T0', 'T2', *(f'T3{letter}' for letter in LETTERS))
CANARY = 'canary'
SPECS = tuple(f'spec_{letter}' for letter in LETTERS)  # contexts: a spec before the question
_LEARNED = 64  # demonstrations whose learning is looked at, at most: two a scene that is asked


def asked(world: Settings) -> Tests:
  """{test: items}; what does not fit is left out."""
  text = text_of(world)
  scenes = tables.spread(adviser.scenes(world.scenes or None, 'apart'), world.limit)
  shown = min(_LEARNED, 2 * world.limit)
  every: dict[str, Sequence[Item]] = dict(
    T0=_items('T0', tables.spread(lessons.drawn(world)['demonstrations'], shown)),
    T2=_items('T2', (one for scene in scenes for one in adviser.parted(scene))),
  )
  for letter in LETTERS:
    test = f'T3{letter}'
    every[test] = _items(test, (q for scene in scenes for q in adviser.of_one(scene, letter)))
  every |= {CANARY: _facts(), **benches.asked(world.benches)}
  return {test: fitting(test, items, text) for test, items in every.items()}


def _items(test: str, questions: Iterable[Question]) -> list[Item]:
  return [
    Item(
      test=test,
      cluster=one.domain,
      turns=(Turn('user', one.text),),
      good=(one.good,),
      bad=(one.bad,),
    )
    for one in questions
  ]


def _facts() -> list[Item]:
  return [
    Item(test=CANARY, cluster=one.slice('subject'), turns=one.turns, good=one.right, bad=one.wrong)
    for one in canary.Choices().items()
  ]


def outcomes(world: Settings, model: Decoder, tests: Tests) -> list[Outcome]:
  """Of a choice of two, nats of the whole answer: both arms of a contrast are asked the same."""
  every = [item for items in tests.values() for item in items]
  found = likelihood.outcomes(model, every, text_of(world))
  return [_in_nats(one) if one.test in _CHOICES else one for one in found]


def _in_nats(one: Outcome) -> Outcome:
  assert one.raw is not None  # likelihood gives it
  return dataclasses.replace(one, margin=one.raw, unit='nats', right=one.raw > 0)


def with_spec(world: Settings, kind: str, tests: Tests) -> Tests:
  """The same choices, with a spec before each."""
  told = told_spec(world, kind)
  return {
    test: [_after(told, item) if test in _CHOICES else item for item in items]
    for test, items in tests.items()
  }


def told_spec(world: Settings, kind: str) -> str:
  """A value with its reasons, as a teacher is told."""
  letter = kind.rpartition('_')[2]
  projected = variants.project(world.spec(letter), 'why')
  return variants.told(dataclasses.replace(projected, values=projected.values[:1]))


def _after(told: str, item: Item) -> Item:
  (first, *others) = item.turns
  turn = Turn(first.role, f'{told}\n\n{first.text}')
  return dataclasses.replace(item, turns=(turn, *others))
