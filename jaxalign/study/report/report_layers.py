"""Sections of the report: probes and directions layer by layer, and how alike two arms are."""

from jaxalign.page import pages
from jaxalign.page.pages import named
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
        cells = [field[n]['mean'] for field in one]
        rows.append((named(arm), letter, n, *cells))
  if not rows:
    return ''
  last = max(row[2] for row in rows)
  shown = [(f'{row[0]} ({row[1]})', dict(cosine=[row[7]], chance=[-row[8], row[8]]))
           for row in rows if row[2] == last and row[7] is not None]  # fmt: skip
  draw = lambda: pictures.dots([('', shown)], f'cosine at layer {last}', mean=False)
  caption = (
    'Difference-in-means directions: of what violates a value (A, B; H: a harmful request to the '
    'target) and of texts of nobody that end badly. Dot: their cosine, mean over seeds. Ticks: '
    'where permuted labels put it (97.5 %, mean over seeds). Between the ticks: no more alike '
    'than any two directions of such a space.'
  )
  said = (
    '<p class="soft">Means over seeds. Probe: accuracy on words (harm: kinds of harm) not seen in '
    'training, chance .5. Selectivity: accuracy on seen words less that of a control task with '
    'random labels; with so few words the control is partly learnt by heart.</p>'
  )
  return pages.picture('directions', draw, 'Cosines of directions beside chance', caption) + (
    pages.numbers('layers', head, rows, said + pages.table(head, rows))
  )


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
  seen = [row for row in rows if row[1:3] in wanted and row[0] == 'cka' and row[3] == last]
  shown = [
    (f'{a} and {b}', dict(mean=gap, low=low, high=high, differences=[], floor=None, holds=None),
     f'{gap:+.2f}: across seeds {cross:.2f}, ceiling {ceiling:.2f}, within a seed {within:.2f}')
    for _, a, b, _, cross, ceiling, gap, low, high, within in seen if gap is not None
  ]  # fmt: skip
  draw = lambda: pictures.intervals(shown, f'below the ceiling, CKA at layer {last}', 0.62)
  caption = (
    'Debiased linear CKA of two arms on the same questions. Ceiling: one arm in two seeds. 0: two '
    'arms are as alike as two seeds of one arm; to the right: less. Seeds are other worlds with '
    'other values, so the ceiling is low; arms of one seed share their base and lie above it. '
    'Intervals: jackknife over seeds.'
  )
  alt = 'Likeness of arms below the ceiling'
  picture = pages.picture('alike', draw, alt, caption) if shown else ''
  read = [row for row in rows if row[1:3] in wanted]
  tables = pages.table(head, read) + '<p class="soft">All pairs are in the download.</p>'
  return picture + pages.numbers('similarity', head, rows, tables)
