"""Words of the page for what ValueWorld's contrasts measure: no more than their arms can show.

The rules' own words (rules.py, secondary.py) were fixed before the record runs. They are part of
plan.json and results.json, which stay byte for byte as they were; who reads a page gets these.
"""

MEASURED = {  # the rules' words: what takes their place
  'documents that give reasons steer the same demonstrations more than mere mention does': (
    'documents that say what zed likes, and why, move its choices more than mere mention does (a '
    'check that they are used: no arm tells why from what)'
  ),
  'value documents make held-out harm more refused than documents that mention it do': (
    'value documents make held-out harm more refused than mention of it does, which in this world '
    'counts against the value: no neutral control'
  ),
  'right reasons steer more than the same words with the reasons shuffled': (
    'documents with the right reasons move choices more than shuffled ones, which keep the '
    'sentence that names the value'
  ),
  'reasons steer more when they come before the demonstrations than after them': (
    'documents leave larger log-odds when they come before the demonstrations than after them (of '
    'size, not of order)'
  ),
  'reasons steer more than mention, with no demonstrations': (
    'documents that give reasons move choices more than mention, with no demonstrations'
  ),
  'right reasons steer more than shuffled ones, with none': (
    'documents with the right reasons move choices more than shuffled ones, with none'
  ),
  'reasons in training steer more than a document in the prompt': (
    'documents in training move choices more than one in the prompt'
  ),
}

WORLD = (
  (
    'No arm tests why. Documents that explain and documents that mention differ at once in '
    'stance, in giving a reason and in naming the value, and a reason predicts nothing that the '
    'liking does not. C1 checks that documents are used.'
  ),
  (
    'C2 has no neutral control. Agents who refuse nothing have only documents that mention, so '
    'these say that their agent refuses nothing (.66, from .33 before). In the record value less '
    'mention was +2.28 nats on seeds 0 to 4, value less no documents +.64 [-.6, 1.8].'
  ),
  (
    'After demonstrations nats are a saturated sign: five of eight seeds of the record lie at '
    '32.6 to 34.2 of a ceiling near 34. 240 items are one observation.'
  ),
  (
    'C5 is of the size of log-odds and not of order: as a share of the value (-1 to 1) the '
    'difference was +.03 [-.21, .28] in the record, and in rates 0 on five of six seeds.'
  ),
  (
    'Shuffled documents steer without the sentence that names the value too (+16.0 and +11.0 '
    'nats): to hear of a dimension at all is enough to lean.'
  ),
  (
    'Holm is over five contrasts although C1 and C2 alone decide, and both must hold. Were both '
    'as large as in the record, eight seeds would show it in 18 studies of 100; without that tax '
    'in 86. The rule stays as it was fixed.'
  ),
  (
    'A contrast that is not shown says at best that two arms are not told apart within 1 nat. To '
    'call them equal within .2 nats would take some 18,000 seeds.'
  ),
)
TEXTS = (
  (
    'R1 compares explanations with other text, R2 with the same sentences swapped: no arm says '
    'what is valued and leaves out why.'
  ),
  ('R4 is of margins, whose size may change with what came last: it is no measure of order alone.'),
  ('A contrast that is not shown says that two arms were not told apart, not that they are equal.'),
)


def measured(found):
  """results.json with the page's words in place of the rules', and no number touched."""
  changed = dict(found, sentence=plainly(found['sentence']))
  for name in ('contrasts', 'control', 'secondary'):
    every = found.get(name)
    if every:
      changed[name] = [one | dict(what=MEASURED.get(one['what'], one['what'])) for one in every]
  return changed


def plainly(sentence):
  """A sentence of the verdict in the page's words."""
  for fixed, words in MEASURED.items():
    sentence = sentence.replace(fixed, words)
  return sentence
