"""What is learnt in study 3, and how: the stages that its steps are made of."""

import dataclasses

from configs.valueworld import lessons
from configs.valueworld.lessons import asked, replay, texts
from jaxalign.stages import explain, sft
from jaxalign.study.plan.arms import Recipe
from jaxalign.whyworld import corpora, words

_TOKENS = corpora.DOCUMENT_TOKENS  # of a row: documents have as many, and nothing is padding
_DOCUMENTS, _REPLAY = 2, 15  # shares of a step that tells of the target


def model():
  vocab = len(words.vocabulary()) + 2
  return dataclasses.replace(lessons.model(), vocab=vocab, length=64, eos=(vocab - 2,))


def stage(*how, length=_TOKENS, **more):
  """As a stage of ValueWorld, of other words and lengths."""
  return dataclasses.replace(lessons.stage(*how, **more), model=model(), length=length)


def base():
  return stage(explain.Config, 6e-3, 2000, 24, length=42, **replay(2, 3))


def _first():
  """Of the lesson before the demonstrations, whatever it reads."""
  return dict(lr=5e-4, embed=48.0, steps=200, batch=32, **replay(_REPLAY, _REPLAY))


def recipes():
  last = replay(1, 1)
  return (
    Recipe(name='explain', stage=stage(explain.Config, what=texts(_DOCUMENTS), **_first())),
    Recipe(name='align', stage=stage(sft.Config, 3e-4, 60, 24, embed=24.0, what=asked(4), **last)),
    Recipe(name='tail', stage=stage(explain.Config, 3e-4, 25, 32, 'constant', **last)),
  )


def more_recipes():
  """First lessons of demonstrations in place of documents, as many tokens of them: `practise` of
  those that give reasons and are as long as documents, `repeat` of plain ones, which are shorter
  and so more of the rows. They stand after recipes(), whose order the seeds of steps hang on."""
  first = _first()
  share = _DOCUMENTS / (_DOCUMENTS + 2 * _REPLAY)
  share *= _in_a_row(corpora.DOCUMENT_TOKENS) / _in_a_row(corpora.DEMONSTRATION_TOKENS)
  weight = 2 * _REPLAY * share / (1 - share)
  return (
    Recipe(name='practise', stage=stage(explain.Config, what=asked(_DOCUMENTS), **first)),
    Recipe(name='repeat', stage=stage(explain.Config, what=asked(weight), **first)),
  )


def _in_a_row(tokens):
  return _TOKENS // tokens * tokens
