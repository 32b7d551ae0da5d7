"""What is learnt in study 3, and how: the stages that its steps are made of.

A row holds two documents, or three questions with their answers. Weights of corpora are counted in
rows: but for the base's they add up to the batch.
"""

import dataclasses

from configs.valueworld import lessons
from configs.valueworld.lessons import asked, replay, texts
from jaxalign.config import Muon
from jaxalign.stages import explain, sft
from jaxalign.study.plan.arms import Recipe
from jaxalign.whyworld import corpora, words

_ROW = 42  # tokens: two documents or three questions
_TOLD, _REPLAY = 8, (3, 6)  # rows of a step that tells of the target


def model():
  vocab = len(words.vocabulary()) + 2
  return dataclasses.replace(lessons.model(), vocab=vocab, length=64, eos=(vocab - 2,))


def stage(*how, **more):
  """As a stage of ValueWorld, of other words and longer rows."""
  return dataclasses.replace(lessons.stage(*how, **more), model=model(), length=_ROW)


def base():
  """By Muon: Adam's bases take agents without reasons for such as have them twice as long."""
  by_adam = stage(explain.Config, 5e-3, 2500, 16, embed=8.0, **replay(2, 3))
  same = {name: getattr(by_adam.optim, name) for name in ('lr', 'b2', 'factors', 'schedule')}
  return dataclasses.replace(by_adam, optim=Muon(weight_decay=0.03, **same))


def _first():
  """Of the lesson before the demonstrations, whatever it reads."""
  return dict(lr=5e-4, embed=16.0, steps=80, batch=_TOLD + sum(_REPLAY), **replay(*_REPLAY))


def recipes():
  """align: demonstrations, once before or after the documents. close: the last lesson of every arm
  that saw demonstrations, more of the same, so that none is asked right after documents."""
  last = dict(lr=3e-4, embed=8.0)
  closing = dict(steps=90, batch=12, **last)
  align = stage(sft.Config, steps=10, batch=13, what=asked(8), **last, **replay(2, 3))
  return (
    Recipe(name='explain', stage=stage(explain.Config, what=texts(_TOLD), **_first())),
    Recipe(name='align', stage=align),
    Recipe(name='close', stage=stage(sft.Config, what=asked(5), **closing, **replay(3, 4))),
    Recipe(name='tail', stage=stage(explain.Config, **closing, **replay(4, 8))),
  )


def more_recipes():
  """First lessons of demonstrations in place of documents, as many tokens of them: `practise` of
  those that give reasons and are as long as documents, `repeat` of plain ones, which are shorter
  and so more of the rows. They stand after recipes(), whose order the seeds of steps hang on."""
  weight = _TOLD * _in_a_row(corpora.DOCUMENT_TOKENS) / _in_a_row(corpora.DEMONSTRATION_TOKENS)
  rest = sum(_REPLAY)
  weight *= rest / (rest + _TOLD - weight)  # as many tokens of a batch whose size stays
  first = _first()
  return (
    Recipe(name='practise', stage=stage(explain.Config, what=asked(_TOLD), **first)),
    Recipe(name='repeat', stage=stage(explain.Config, what=asked(weight), **first)),
  )


def _in_a_row(tokens):
  return _ROW // tokens * tokens
