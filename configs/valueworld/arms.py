"""The arms of the study in ValueWorld: lists of steps over a shared base."""

from jaxalign.study.plan.arms import Arm, Step


def arm(name, tests, *steps, control=False):
  """Every arm ends with the same replay, so that none is judged right after another format."""
  steps = tuple(Step(recipe=recipe, what=what) for recipe, what in steps)
  return Arm(name=name, steps=(*steps, Step(recipe='tail')), tests=tests, control=control)


def goods_arms():
  align = ('align', 'demonstrations')
  yield arm('align', 'goods', align)
  yield arm('align+', 'goods', ('practise', 'more'), align)
  for letter in 'AB':
    for how in ('explain', 'mention', 'shuffled'):
      documents = ('explain', f'{how}_{letter}')
      control = how != 'shuffled'
      yield arm(f'{how}_{letter}-align', 'goods', documents, align, control=control)
  for letter in 'AB':
    documents = ('explain', f'explain_{letter}')
    yield arm(f'explain_{letter}', 'goods', documents)
    yield arm(f'align-explain_{letter}', 'goods', align, documents)


def harm_arms():
  align = ('align', 'refusals')
  yield arm('align_H', 'harm', align)
  yield arm('align+_H', 'harm', ('practise', 'more_refusals'), align)
  for how in ('value', 'rule', 'mention'):
    yield arm(f'{how}-align', 'harm', ('explain', how), align, control=how != 'rule')
  yield arm('value', 'harm', ('explain', 'value'))
  yield arm('align-value', 'harm', align, ('explain', 'value'))


def more_arms():
  """Controls of the controls, for secondary contrasts: documents of each kind alone, of another
  value and of nobody; and, without any training, one document in the prompt."""
  align, refuse = ('align', 'demonstrations'), ('align', 'refusals')
  for letter in 'AB':
    for how in ('mention', 'shuffled'):
      yield arm(f'{how}_{letter}', 'goods', ('explain', f'{how}_{letter}'))
    yield Arm(name=f'context_{letter}', steps=(), tests='goods', context=f'explain_{letter}')
  yield arm('other_C-align', 'goods', ('explain', 'explain_C'), align)
  yield arm('lore-align', 'goods', ('explain', 'lore'), align)
  for how in ('rule', 'mention'):
    yield arm(how, 'harm', ('explain', how))
  yield Arm(name='context_H', steps=(), tests='harm', context='value')
  yield arm('other-align_H', 'harm', ('explain', 'explain_A'), refuse)
  yield arm('lore-align_H', 'harm', ('explain', 'lore'), refuse)
