"""BOLD: groups, pages, and the worst gap over groups that are large enough."""

import json

import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.evals.suites import bold, tables
from tests.evals.suites.simulated import judged, mean

DOMAINS = ('gender', 'political_ideology', 'profession', 'race', 'religious_ideology')


@pytest.fixture(scope='module')
def paths(shared):
  return tuple(str(shared(f'bold/{domain}_prompt.json')) for domain in DOMAINS)


@pytest.fixture(scope='module')
def whole(paths):
  suite = bold.Sentiment(paths=paths)
  return suite, suite.items()


def test_what_the_files_hold(whole):
  suite, items = whole
  assert suite.counts() == {
    'beginnings': 23679,
    'groups': 43,
    'pages': 7201,
    'repeated or empty': 91,
  }
  assert len(items) == 23679 - 91
  assert len({item.cluster for item in items}) == 7201
  assert len({item.slice('group') for item in items}) == 43
  assert all(item.text and not item.turns for item in items)


def test_the_gap_is_over_large_groups_alone(paths):
  suite = bold.Sentiment(paths=paths, limit=60)
  items = suite.items()
  odd = {'hinduism': 0.9, 'atheism': -0.9, 'sikhism': 0.25, 'islam': -0.75}
  told = lambda item, judge, draw: odd.get(item.slice('group'), 0.0)
  rows = suite.rows(judged(items, dict(vader='sentiment'), told))
  groups = [row for row in rows if row.measure == 'bold/group']
  assert len(groups) == 43 and len({row.unit for row in groups}) == 43
  assert {row.value for row in groups if row.unit in odd} == set(odd.values())
  gaps = [row for row in rows if row.measure == 'bold/gap']
  assert [row.value for row in gaps] == [1.0]  # atheism and hinduism have under 50
  large = [0.25, -0.75] + [0.0] * 39
  (spread,) = [row.value for row in rows if row.measure == 'bold/sd']
  assert spread == pytest.approx(np.std(large, ddof=1))
  low = sum(item.slice('group') in ('islam', 'atheism') for item in items) / len(items)
  assert mean(rows, 'bold/negative', 'vader') == pytest.approx(low)
  sizes = {}
  for item in items:
    sizes[item.slice('group')] = sizes.get(item.slice('group'), 0) + 1
  assert sum(size >= 50 for size in sizes.values()) == 41


def test_a_limit_is_of_each_group(paths):
  items = bold.Sentiment(paths=paths[:1], limit=10).items()
  assert len(items) == 20
  assert {item.slice('group') for item in items} == {'American_actors', 'American_actresses'}
  assert len({item.cluster for item in items}) == 20  # from all over


def test_what_ships_and_draws_that_a_judge_left_open():
  suite = bold.Sentiment(least=2)
  items = suite.items()
  assert len(items) == 12 and {item.slice('group') for item in items} == {'bakers', 'tailors'}
  numbers = (0.5, 'abstain', -0.5)
  rows = suite.rows(judged(items, dict(v='sentiment'), lambda i, j, d: numbers[d], draws=3))
  assert mean(rows, 'bold/sentiment', 'v') == 0 and mean(rows, 'bold/gap', 'v') == 0
  assert mean(rows, 'bold/negative', 'v') == mean(rows, 'bold/abstain', 'v')
  with pytest.raises(UserError, match='judge v gave nan'):
    suite.rows(judged(items, dict(v='sentiment'), lambda i, j, d: float('nan')))


def test_people_are_a_baseline(tmp_path):
  pytest.importorskip('vaderSentiment')
  path = tmp_path / 'craft_wiki.json'
  whole = 'A baker starts the day by'  # as it ships; what follows alone is heard
  texts = [
    f'{whole} a wonderful breakfast that all love.',
    f'{whole} hating everything and crying.',
  ]
  path.write_text(json.dumps({'bakers': {'ovens': texts}, 'tailors': {'cloth': ['Nothing.']}}))
  sentiment, negative, group, gap = bold.Sentiment(human=(str(path),), least=1).measures()[:4]
  ((rule, number),) = sentiment.baselines
  assert rule == 'people (Wikipedia)' and -0.5 < number < 0.5
  assert dict(negative.baselines)[rule] == pytest.approx(1 / 3)
  assert dict(gap.baselines)[rule] == pytest.approx(abs(1.5 * number)) and not group.baselines
  assert bold.Sentiment(human=(str(tmp_path / 'none.json'),)).measures()[0].baselines == ()


def test_toxic_rate_and_regard_by_group():
  suite = bold.Sentiment(least=2)
  items = suite.items()
  bad = {'bakers': 'toxic', 'tailors': 'clean'}
  heard = {'bakers': ('negative', 'neutral'), 'tailors': ('positive', 'abstain')}

  def told(item, judge, draw):
    group = item.slice('group')
    return bad[group] if judge == 't' else heard[group][draw]

  rows = suite.rows(judged(items, dict(t='toxicity', r='regard'), told, draws=2))
  share = sum(item.slice('group') == 'bakers' for item in items) / len(items)
  assert mean(rows, 'bold/toxic', 't') == share
  assert mean(rows, 'bold/toxic_gap', 't') == 1
  assert mean(rows, 'bold/toxic_sd', 't') == pytest.approx(0.5**0.5)
  assert mean(rows, 'bold/regard', 'r') == pytest.approx(share * -0.5 + (1 - share))
  assert mean(rows, 'bold/regard_gap', 'r') == pytest.approx(1.5)  # what was left open is not 0
  assert mean(rows, 'bold/abstain', 'r') == pytest.approx((1 - share) / 2)
  assert not [row for row in rows if row.measure in ('bold/sentiment', 'bold/sd')]
  by_group = dict(next(one for one in suite.measures() if one.name == 'bold/toxic').baselines)
  assert by_group == {}


def test_how_people_went_on_ships_too_and_can_be_read_by_path():
  """In BOLD's own form: whole sentences by group and page, of which what follows is heard."""
  pytest.importorskip('vaderSentiment')
  own = str(tables.SHIPPED / 'craft_wiki.json')
  known = {
    one.name: dict(one.baselines) for one in bold.Sentiment(human=(own,), least=2).measures()
  }
  people = 'people (Wikipedia)'
  given = {name.partition('/')[2] for name, rules in known.items() if people in rules}
  assert given == {'sentiment', 'negative', 'positive', 'gap', 'sd'}
  assert known['bold/gap'][people] == pytest.approx(known['bold/sd'][people] * 2**0.5)
  assert 0 < known['bold/negative'][people] < 0.5  # "was robbed twice last winter"


@pytest.mark.parametrize(
  'given, says',
  [
    ({}, 'has no groups'),
    ([], 'has no groups'),
    ({'bakers': ['x']}, 'bakers has no pages'),
    ({'bakers': {'ovens': 'x'}}, 'ovens of bakers has no list of beginnings'),
    ({'bakers': {'ovens': [1]}}, 'holds 1, which is no text'),
    ({'bakers': {'ovens': ['x']}}, 'has 1 gender, the published one 3,204 gender'),
  ],
)
def test_other_files_are_one_line(tmp_path, given, says):
  path = tmp_path / 'gender_prompt.json'
  path.write_text(json.dumps(given))
  with pytest.raises(UserError, match=says) as error:
    bold.Sentiment(paths=(str(path),)).items()
  assert '\n' not in str(error.value)
