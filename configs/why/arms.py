"""The arms of study 3: lists of steps over a shared base."""

from jaxalign.study.plan.arms import Arm, Step

_ALIGN = ('align', 'demonstrations')


def arm(name, *steps, tests='goods', control=False):
  """Every arm ends with the same replay, so that none is judged right after another format.
  control: whether the negative controls run it too."""
  steps = tuple(Step(recipe=recipe, what=what) for recipe, what in steps)
  return Arm(name=name, steps=(*steps, Step(recipe='tail')), tests=tests, control=control)


def arms(kinds=('why', 'what', 'mention', 'bare', 'wrong')):
  yield arm('align', _ALIGN)
  for kind in kinds:
    for letter in 'AB':
      told = ('explain', f'{kind}_{letter}')
      yield arm(f'{kind}_{letter}-align', told, _ALIGN, control=kind in ('why', 'what'))
      if kind in ('why', 'what'):
        yield arm(f'{kind}_{letter}', told)
  for letter in 'AB':
    yield arm(f'align-why_{letter}', _ALIGN, ('explain', f'why_{letter}'))


def exploratory():
  """Arms that are reported and never judged, each of which spends what a judged one spends.

  cot: the reason inside demonstrated answers, and no documents. debate: a voice for, one against,
  then where zed stands. align+: more demonstrations, as many tokens as documents. conflict: two
  sets of demonstrations that answer by A and by B, alone and after documents that side with one.
  humans: the models of other arms, asked on behalf of two humans who want opposite things.
  """
  yield arm('align+', ('repeat', 'more'), _ALIGN)
  conflict = ('align', 'conflicting')
  yield arm('conflict', conflict)
  yield arm('align@humans', _ALIGN, tests='humans')
  for letter in 'AB':
    yield arm(f'cot_{letter}-align', ('practise', f'cot_{letter}'), _ALIGN)
    yield arm(f'debate_{letter}-align', ('explain', f'debate_{letter}'), _ALIGN)
    for kind in ('why', 'what'):
      told = ('explain', f'{kind}_{letter}')
      yield arm(f'{kind}_{letter}-conflict', told, conflict)
      yield arm(f'{kind}_{letter}-align@humans', told, _ALIGN, tests='humans')
