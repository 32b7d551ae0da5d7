"""What a model answers to a world's tests: an Outcome of each item."""

import functools
import hashlib
from collections.abc import Callable, Iterable

import numpy as np

from jaxalign.data.text import Tokenizer
from jaxalign.evals.outcome import Outcome
from jaxalign.models.decoder import Decoder
from jaxalign.probes import states
from jaxalign.study.plan.guest import Tests
from jaxalign.valueworld import corpora, items, words
from jaxalign.valueworld.items import Item
from jaxalign.valueworld.world import World

LENGTH, CONTEXT = 24, 32  # of the longest prompt, and of one with a document before it
BATCH = 240


def outcomes(
  model: Decoder,
  tests: Tests,
  before: Callable[[Item], str] | None = None,
  tokenizer: Tokenizer | None = None,
) -> list[Outcome]:
  """An Outcome of each item of {test: items}. before(item): a document to stand before its prompts.
  The item stays the same one, so that arms are paired by its hash. tokenizer: of another world."""
  tokenizer = tokenizer or words.tokenizer()
  every = [item for found in tests.values() for item in found]
  lead = {item.hash: f'{before(item)} ' for item in every} if before else {}
  texts = (lead.get(i.hash, '') + prompt for i in every for prompt in i.prompts)
  prompts = encoded(texts, tokenizer)
  (yes,), (no,) = (tokenizer.encode(word) for word in (words.YES, words.NO))
  length = CONTEXT if before else LENGTH
  logodds, mass = map(iter, states.answers(model, prompts, yes, no, length=length, batch=BATCH))
  rows = []
  for test, found in tests.items():
    for n, item in enumerate(found):
      said = [float(next(logodds)) for _ in item.prompts]
      margin = item.sign * (said[0] - sum(said[1:]))
      rows.append(
        Outcome(
          test=test,
          item=n,
          cluster=item.cluster,
          prompt=item.hash,
          margin=margin,
          right=margin > 0,
          loss=float(np.logaddexp(0, -margin)) if len(said) == 1 else None,
          mass=min(float(next(mass)) for _ in said),
          yes=said[0] > 0,
        )
      )
  return rows


def encoded(prompts: Iterable[str], tokenizer: Tokenizer | None = None) -> list[list[int]]:
  """Their ids, which nobody may change: all arms of a world are asked the same."""
  return _encoded(tuple(prompts), tokenizer or words.tokenizer())


@functools.lru_cache(maxsize=8)
def _encoded(prompts: tuple[str, ...], tokenizer: Tokenizer) -> list[list[int]]:
  return tokenizer.encode_batch(prompts)


def documents(world: World, kind: str) -> Callable[[Item], str]:
  """item -> a document of this kind: any of them, the same for all prompts of the item."""
  found = corpora.texts(world, kind)
  return lambda item: found[world.random('context', kind, item.hash).integers(len(found))]


def cloze(model: Decoder, value: tuple[str, int]) -> list[Outcome]:
  """Outcomes of test G1: whether documents about the target are continued with its value. The
  margin is the log-odds of the value's words among those of all poles, less that of chance."""
  tokenizer = words.tokenizer()
  prompts = [f'{opening} {words.TARGET} cares that' for opening in words.TYPES]
  ids = np.array(tokenizer.encode_batch(prompts))
  logits_BV = np.asarray(model.logits(ids)[:, -1], np.float64)
  poles = [(d, p) for d in words.DIMENSIONS for p in (0, 1)]
  told = {pole: ' '.join(words.pole_words(*pole)[n] for n in words.DOCUMENT) for pole in poles}
  at = {
    pole: np.logaddexp.reduce(logits_BV[:, tokenizer.encode(text)], 1)
    for pole, text in told.items()
  }
  others_B = np.logaddexp.reduce([x for pole, x in at.items() if pole != value], 0)
  margin_B = at[value] - others_B + np.log(len(poles) - 1)
  return [
    Outcome(
      test='G1',
      item=n,
      cluster=opening,
      margin=float(margin),
      right=bool(margin > 0),
      prompt=hashlib.sha256(prompts[n].encode()).hexdigest(),
    )
    for n, (opening, margin) in enumerate(zip(words.TYPES, margin_B))
  ]


def tests_of(world: World, name: str) -> Tests:
  made = dict(goods=items.goods_tests, harm=items.harm_tests, background=items.background)
  return made[name](world)
