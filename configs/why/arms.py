"""The arms of study 3: lists of steps over a shared base."""

from jaxalign.study.plan.arms import Arm, Step

_ALIGN = ('align', 'demonstrations')


def arm(name, *steps, tests='goods', control=False):
  """No arm is asked right after another format: where there were demonstrations some more of the
  same close, else what the base read. control: whether the negative controls run it too."""
  shown = [what for recipe, what in steps if recipe == 'align']
  steps = (*steps, ('close', shown[0]) if shown else ('tail', ''))
  taken = tuple(Step(recipe=recipe, what=what) for recipe, what in steps)
  return Arm(name=name, steps=taken, tests=tests, control=control)


def compared():
  """Arms of the three primary contrasts, and one of mention for a gate: what the demo runs."""
  yield arm('align', _ALIGN)
  for kind in ('why', 'what'):
    for letter in 'AB':
      yield arm(f'{kind}_{letter}-align', _told(kind, letter), _ALIGN, control=True)
  for letter in 'AB':
    yield arm(f'align-why_{letter}', _ALIGN, _told('why', letter))
    yield arm(f'mention_{letter}-align', _told('mention', letter), _ALIGN)


def beside():
  """Arms of the secondary contrasts, which spend what why does, and documents alone.

  cot: the reason inside demonstrated answers, and no documents. align+: more demonstrations, as
  many tokens as documents.
  """
  for letter in 'AB':
    for kind in ('wrong', 'bare'):
      yield arm(f'{kind}_{letter}-align', _told(kind, letter), _ALIGN)
    yield arm(f'cot_{letter}-align', ('practise', f'cot_{letter}'), _ALIGN)
    for kind in ('why', 'what'):
      yield arm(f'{kind}_{letter}', _told(kind, letter))
  yield arm('align+', ('repeat', 'more'), _ALIGN)


def _told(kind, letter):
  return 'explain', f'{kind}_{letter}'


def exploratory():
  """Arms that are reported and never judged, each of which spends what a judged one spends.

  debate: a voice for, one against, then where zed stands. conflict: two sets of demonstrations that
  answer by A and by B, alone and after documents that side with one. humans: the models of other
  arms, asked on behalf of two humans who want opposite things.
  """
  conflict = ('align', 'conflicting')
  yield arm('conflict', conflict)
  yield arm('align@humans', _ALIGN, tests='humans')
  for letter in 'AB':
    yield arm(f'debate_{letter}-align', _told('debate', letter), _ALIGN)
    for kind in ('why', 'what'):
      yield arm(f'{kind}_{letter}-conflict', _told(kind, letter), conflict)
      yield arm(f'{kind}_{letter}-align@humans', _told(kind, letter), _ALIGN, tests='humans')
