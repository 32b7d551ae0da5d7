"""Models that are simulated: what they said is written down by hand, and what judges made of it."""

from jaxalign.evals.item import Asked, Said, Verdict


def scored(items, score):
  """Items whose choices were scored; score(item, choice): a log-probability, or (it, tokens)."""
  found = []
  for item in items:
    numbers = [score(item, choice) for choice in item.choices]
    pairs = [one if isinstance(one, tuple) else (one, 2) for one in numbers]
    said = Said(key=item.id, item=item.id, scores=tuple((*pair, False) for pair in pairs))
    found.append(Asked(item=item, said=(said,), verdicts={}))
  return found


def judged(items, kinds, verdict, draws=1, tokens=7):
  """Items that were answered. kinds: {judge: kind}; verdict(item, judge, draw): label or value."""
  found = []
  for item in items:
    said = tuple(
      Said(key=f'{item.id}{draw}', item=item.id, draw=draw, tokens=tokens) for draw in range(draws)
    )
    verdicts = {
      judge: tuple(_verdict(one.key, judge, verdict(item, judge, one.draw)) for one in said)
      for judge in kinds
    }
    found.append(Asked(item=item, said=said, verdicts=verdicts, kinds=kinds))
  return found


def _verdict(key, judge, given):
  if isinstance(given, str):
    return Verdict(key=key, judge=judge, label=given)
  return Verdict(key=key, judge=judge, value=given)


def mean(rows, measure, judge=''):
  """What a measure comes to: the plain mean of value times weight."""
  values = [row.value * row.weight for row in rows if (row.measure, row.judge) == (measure, judge)]
  assert values, f'{measure} has no rows under {judge!r}'
  return sum(values) / len(values)


def unasked(item):
  """An item that could not be asked."""
  return Asked(item=item, said=(Said(key='k', item=item.id, error='too long'),), verdicts={})
