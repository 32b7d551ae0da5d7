"""Sections of the report: probes and directions layer by layer, and how alike two arms are."""

from jaxalign.page import kit
from jaxalign.page.kit import named
from jaxalign.study.report import report_pictures as pictures

_PAIRS = (
  ('explain_A-align', 'explain_B-align'), ('explain_A-align', 'mention_A-align'),
  ('explain_A-align', 'shuffled_A-align'), ('align', 'explain_A-align'),
  ('explain_A-align', 'align-explain_A'), ('align', 'align+'),
  ('value-align', 'mention-align'), ('value-align', 'rule-align'), ('align_H', 'value-align'),
)  # fmt: skip


def layers(found, beside):
  """Probes and directions, layer by layer."""
  probes = found.get('probes')
  if not probes:
    return ''
  head = ('arm', 'of', 'layer', 'probe', 'on seen words', 'control task', 'selectivity', 'cosine',
          'null, 97.5 %', 'p, mean')  # fmt: skip
  fields = 'accuracy', 'seen', 'control', 'selectivity', 'cosine', 'cosine_null', 'cosine_p'
  rows = []
  for arm, of in probes['layers'].items():
    for letter in (x for x in 'ABH' if f'accuracy_{x}' in of):
      one = [of[name.replace('cosine_', f'cosine_{letter}_') if '_' in name else
             f'{name}_{letter}'] for name in fields]  # fmt: skip
      for n in range(1, len(one[0])):  # at the embedding all questions end in one token
        rows.append((named(arm), letter, n, *(field[n]['mean'] for field in one)))
  if not rows:
    return ''
  last = max(row[2] for row in rows)
  shown = [(f'{row[0]} ({row[1]})', dict(cosine=[row[7]], chance=[-row[8], row[8]]))
           for row in rows if row[2] == last and row[7] is not None]  # fmt: skip
  draw = lambda: pictures.dots([('', shown)], f'cosine at layer {last}', mean=False)
  return kit.render('study/layers.html', draw=draw, exact=(head, rows))


def alike(found, beside):
  probes = found.get('probes')
  if not probes or not probes['similarity']:
    return ''
  head = ('measure', 'arm', 'other', 'layer', 'across seeds', 'ceiling', 'gap', 'low', 'high',
          'within a seed')  # fmt: skip
  fields = 'cross', 'ceiling', 'gap', 'low', 'high', 'within'
  rows = [
    (one['measure'], *map(named, one['arms']), n, *(layer[field] for field in fields))
    for one in probes['similarity'] for n, layer in enumerate(one['layers'])
  ]  # fmt: skip
  last = max(row[3] for row in rows)
  wanted = {tuple(map(named, pair)) for pair in _PAIRS}
  read = [row for row in rows if row[1:3] in wanted]
  shown = [
    (f'{a} and {b}', dict(mean=gap, low=low, high=high, differences=[], floor=None, holds=None),
     f'{gap:+.2f}: across seeds {cross:.2f}, ceiling {ceiling:.2f}, within a seed {within:.2f}')
    for measure, a, b, n, cross, ceiling, gap, low, high, within in read
    if (measure, n) == ('cka', last) and gap is not None
  ]  # fmt: skip
  draw = lambda: pictures.intervals(shown, f'below the ceiling, CKA at layer {last}')
  return kit.render(
    'study/alike.html', shown=shown, draw=draw, exact=(head, rows), read=(head, read)
  )
