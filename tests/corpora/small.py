"""A small corpus written by rule: five values with reasons, documents with marked spans, and the
texts that a teacher would write for their controls."""

import dataclasses
import random

from jaxalign.corpora.records import STATEMENT, Span, Written
from jaxalign.corpora.spec import Reason, Spec, Value


def _value(name, statement, also, *reasons):
  found = tuple(
    Reason(id=f'r{n}', text=text, also=(other,)) for n, (text, other) in enumerate(reasons, 1)
  )
  return Value(
    id=name,
    level='basic',
    statement=statement,
    also=(also,),
    reasons=found,
    source='made up',
    licence='none',
  )


SPEC = Spec(
  name='small',
  sha='0' * 64,
  values=(
    _value(
      'candor', 'What one knows ought to be said aloud.', 'Plain speech comes before comfort.',
      ('a fault that is told early costs little', 'small faults that are named never grow'),
      ('trust lives on words that turn out so', 'people lean on those whose word held'),
      ('secrets tire whoever keeps them', 'hiding a thing takes more work than telling it'),
    ),
    _value(
      'thrift', 'Nothing of use should be thrown away.', 'Waste is to be avoided in all things.',
      ('what lasts twice as long is bought half as often', 'a mended coat costs no new wool'),
      ('stores that are kept carry a house through winter', 'full shelves calm a hungry month'),
      ('those who come later need what is left', 'the young inherit whatever was not spent'),
    ),
    _value(
      'welcome', 'A stranger should be let in.', 'Whoever knocks is to be given a chair.',
      ('everyone is a stranger somewhere else', 'each of us will knock at some door one day'),
      ('news comes in with people from far off', 'guests bring what no neighbor could know'),
      ('loneliness makes the strongest person ill', 'no one stays well for long alone'),
    ),
  ),
)  # fmt: skip
_TYPES = 'memo', 'story', 'letter'
_THINGS = (
  'kettle ladder lamp barrow ledger window crate bell rope stove bucket saw wheel hinge basket '
  'pump gate drawer map bench'
).split()
_DOES = (
  'stands by the {} door of the {}', 'was carried past the {} and the {} at noon',
  'had been painted by the {} crew before the {} came', 'lay under the {} until the {} was moved',
  'is kept between the {} and the {} all year', 'went from the {} to the {} in a cart',
  'was lent to the {} people, who have a {} of their own', 'hangs over the {} and a little {}',
)  # fmt: skip
_WHY = (
  'They went on, since {}, and the {} was put back.', 'The {} clerk said that {}.',
  'And {}, as the {} crew had seen.', 'It was done at the {}, for {}.',
)  # fmt: skip


def _sentence(draw):
  words = draw.sample(_THINGS, 3)
  return f'The {words[0]} {draw.choice(_DOES).format(*words[1:])}.'


def _why(draw, reason):
  frame, thing = draw.choice(_WHY), draw.choice(_THINGS)
  at, first = f'<{reason.id}>{draw.choice((reason.text, *reason.also))}</{reason.id}>', '{}'
  if frame.startswith(('They', 'And')):
    return frame.format(at, thing)
  assert frame.count(first) == 2
  return frame.format(thing, at)


def _marked(text):
  """(text without marks, spans)."""
  plain, spans, rest = '', [], text
  while '<' in rest:
    before, _, rest = rest.partition('<')
    kind, _, rest = rest.partition('>')
    inside, _, rest = rest.partition(f'</{kind}>')
    plain += before
    spans.append(Span(kind=kind, start=len(plain), end=len(plain) + len(inside)))
    plain += inside
  return plain + rest, tuple(spans)


def document(n, seed=0):
  """The n-th document: a value in turn, two or three of its reasons, eighteen sentences."""
  draw = random.Random(f'{seed} {n}')
  value = SPEC.values[n % 3]
  reasons = draw.sample(value.reasons, draw.choice((1, 2)))
  stated = f'<{STATEMENT}>{draw.choice((value.statement, *value.also))}</{STATEMENT}>'
  parts = [_sentence(draw) for _ in range(16)]
  parts[3:3] = [stated, *(_why(draw, reason) for reason in reasons)]
  text, spans = _marked(' '.join(parts[:9]) + '\n\n' + ' '.join(parts[9:]))
  return Written(
    slot=f'explain/{value.id}/{n:04}', text=text, value=value.id, spec='small', spans=spans,
    reasons=tuple(one.id for one in reasons), idea=f'A {_THINGS[n % 20]} at work.',
    facets=(('type', _TYPES[n // 3 % 3]), ('register', 'plain')),
  )  # fmt: skip


def documents(count, seed=0):
  return [document(n, seed) for n in range(count)]


def beside(documents, kind):
  """What a teacher wrote for each: of other lengths, with what it may not say here and there."""
  found = []
  for n, one in enumerate(documents):
    draw = random.Random(f'{kind} {one.slot}')
    parts = [_sentence(draw) for _ in range(draw.randint(12, 22))]
    parts[4:4] = [f'The word {one.value} is painted on the {draw.choice(_THINGS)}.'] * (
      kind == 'mention'
    )
    if n % 7 == 0:
      parts.insert(6, 'They should say so because it is the best that one can do.')
    found.append(dataclasses.replace(one, text=' '.join(parts), spans=(), kind=kind))
  return found
