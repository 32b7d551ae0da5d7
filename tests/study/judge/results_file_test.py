"""results.json: what is written is read again, and what is no results.json is one line."""

import dataclasses
import json

import pytest

from jaxalign.config import UserError
from jaxalign.rl import overoptimisation as over
from jaxalign.sealing import YOUNG
from jaxalign.study.judge import contrasts, goodhart, results_file, unjudged, verdict
from jaxalign.study.judge.results import AfterPpo, Results
from jaxalign.study.store.table import means
from tests.study.judge import goodhart_test
from tests.study.judge.contrasts_test import RULES, noise, store


def whole():
  rows = store(noise)
  found = contrasts.judged(contrasts.measured(rows, RULES), RULES)
  gates = verdict.gates(dict(G0={0: 0.95, 1: None}), RULES)
  arms = {arm: {test: {0: one}} for (arm, test), one in means(rows).items()}
  points = goodhart_test.points(lambda d: 2 * d, lambda d: d * (3 - d))
  short = goodhart_test.points(lambda d: 0, lambda d: 0, reach=0.0, way=over.BON)
  said = verdict.judge(found, gates, None, RULES)
  return Results(
    **dict(verdict=said.word, sentence=said.sentence, reasons=said.reasons, rules=RULES),
    **dict(contrasts=found, control=None, gates=gates, arms=arms, seeds=(0, 1), seconds=1.5),
    secondary=tuple(unjudged.measured(rows, RULES, {('value-align', 'harm'): {0: 0.5}})),
    goodhart=goodhart.summary(points + short),
    after_ppo=AfterPpo(arms=arms, kl=dict(align={0: 1.5})),
    where=dict(base=2.0),
  )


def test_results_come_back_as_they_were(tmp_path):
  found, path = whole(), tmp_path / 'results.json'
  results_file.write(found, path)
  assert results_file.read(path) == found
  written = json.loads(path.read_text())
  fields = dataclasses.fields(Results)  # those younger than a release only where they hold anything
  assert [*written] == [field.name for field in fields if field.metadata != YOUNG]
  assert written['rules']['class'].endswith('rules:Rules') and written['control'] is None
  first = written['contrasts'][0]
  assert first.items() >= first['scales']['margin'].items() and first['p_holm'] >= first['p']
  assert [*first['seeds'].values()] == first['differences']
  for one in written['secondary']:
    assert next(iter(one)) == 'group' and not {'p_holm', 'holds'} & one.keys() and 'mass' in one
  flat = written['goodhart']['climbs'][-1]['fits']['gold']
  assert [*flat] == ['why'] and written['goodhart']['points'][0]['gold'] == -1


@pytest.mark.parametrize(
  'text, says',
  [
    ('{}', 'it has no verdict, contrasts'),
    ('{"verdict": "SUPPORTED", "contrasts": [{}]}', 'is no results.json of this release'),
    ('{"verdict": "SUPPORTED", "contrasts": 7}', 'is no results.json of this release'),
  ],
)
def test_what_is_no_results_json_is_one_line(tmp_path, text, says):
  (tmp_path / 'results.json').write_text(text)
  with pytest.raises(UserError, match=says) as error:
    results_file.read(tmp_path / 'results.json')
  assert 'run its study again' in str(error.value) and '\n' not in str(error.value)
