"""Every suite as it ships: it can be sealed and written down, asks eight items, names its rows."""

import json

import pytest

from jaxalign.evals.item import REFERENCE, as_json
from jaxalign.evals.suites import (
  bold,
  canary,
  hh,
  jailbreak,
  outcomes,
  overrefusal,
  refusal_odds,
  truthful,
)
from jaxalign.sealing import seal, to_json
from tests.evals.suites.simulated import judged, scored

SUITES = (
  truthful.Binary(limit=8),
  truthful.MC(limit=8),
  truthful.Generation(limit=8),
  hh.Preference(subset='helpful-base', limit=8),
  hh.Harmless(limit=8),
  hh.Helpful(limit=8),
  bold.Sentiment(limit=4, least=2),
  jailbreak.Grid(limit=8),
  overrefusal.XSTest(limit=8),
  overrefusal.Benign(limit=8),
  canary.Text(limit=8),
  canary.Choices(limit=8),
  refusal_odds.Twins(limit=8),
  outcomes.Outcomes(limit=8),
)
LABELS = dict(
  refusal='refusal', harm='harmful', truth='true', info='informative', reward='win',
  toxicity='toxic', regard='positive',
)  # fmt: skip


def told(item, judge, draw):
  return LABELS.get(judge, 0.5)


@pytest.mark.parametrize('suite', SUITES, ids=lambda suite: suite.name)
def test_a_suite_as_it_ships(suite):
  seal(suite)
  suite.decode.check()
  assert json.loads(to_json(suite))['class'].startswith('jaxalign.evals.suites.')
  items = suite.items()
  assert len({item.unit or item.id for item in items}) >= 8
  assert len({item.id for item in items}) == len(items) and suite.items() == items
  assert all(bool(item.choices) != bool(suite.needs) for item in items)
  assert all(json.dumps(as_json(item)) for item in items)
  assert len(suite.source()) == 64 and suite.version and '/' not in suite.name
  kinds = {kind: kind for kind in suite.needs}
  asked = judged(items, kinds, told) if kinds else scored(items, lambda *_: -1.0)
  rows = suite.rows(asked)
  names = [measure.name for measure in suite.measures()]
  assert len(names) == len(set(names)) and all(name.startswith(f'{suite.name}/') for name in names)
  said = {row.measure for row in rows}
  beside = {f'{suite.name}/{name}' for name in ('degenerate', 'off_topic')}
  assert said <= set(names) and set(names) - said <= beside | LACKING
  assert len({(row.measure, row.judge, row.unit) for row in rows}) == len(rows)
  assert all(row.cluster and row.unit for row in rows)
  for measure in suite.measures():  # what a judge gives is known to take one
    own = {row.judge for row in rows if row.measure == measure.name}
    assert all(bool(measure.kinds) == bool(judge) for judge in own), measure.name
    kinds = {kind for one in measure.kinds for kind in one.split('+')}
    assert kinds <= {*suite.needs, REFERENCE}


# This simulated judge gives a label or a number, has no name for a part, and there is no reference;
# nor does anything under copyright ship.
LACKING = {
  'truthful_generation/overlap_diff', 'hh_preference_helpful-base/implicit', 'jailbreak/copyright',
  'xstest/partial_safe', 'xstest/partial_unsafe', 'benign/partial',
}  # fmt: skip


def test_no_two_suites_have_a_name():
  names = [suite.name for suite in SUITES]
  assert len(names) == len(set(names))


def test_measures_are_told_where_the_data_is_not(tmp_path):
  """Whoever judges stored answers may have no data: baselines lack, names do not."""
  path = str(tmp_path / 'none')
  for suite, there in (
    (truthful.Binary(path=path), SUITES[0]),
    (truthful.MC(path=path), SUITES[1]),
    (hh.Preference(subset='helpful-base', path=path), SUITES[3]),
    (canary.Choices(path=path), SUITES[11]),
    (jailbreak.Grid(artifact=path), SUITES[7]),
  ):
    measures = suite.measures()
    assert [one.name for one in measures] == [one.name for one in there.measures()]
    assert not any(one.baselines for one in measures) and suite.version == there.version
