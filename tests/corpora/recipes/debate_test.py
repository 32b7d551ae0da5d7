"""Recipe debate: each side from each seat, and a pair only where the seat decides nothing."""

import collections
import dataclasses

from jaxalign.corpora.recipes import debate
from jaxalign.data import rows, sources
from jaxalign.data.sources import EXPLANATION
from tests.corpora.recipes.scripted import DEMO, Ask, about, made, written

SMALL = debate.Recipe(questions=6)


def speech(task):
  seat = task.slot[-1]
  return f'{task.value.capitalize()} asks it of us, from seat {seat}, in step {task.step}.'


def honesty_wins(task):
  return 'A' if task.earlier('first').startswith('Honesty') else 'B'


def test_each_side_is_heard_from_each_seat_and_answers_once():
  ask = Ask(argument=speech, rebuttal=speech, verdict=honesty_wins)
  found = made(SMALL, ask)
  assert len(found.files['debates']) == 12 and len(found.files['pairs']) == 6
  opened = collections.Counter((task.value, task.slot[-1]) for task in ask.of('argument'))
  assert opened == {(v, seat): 6 for v in ('honesty', 'kindness') for seat in '01'}
  for task in ask.of('argument'):
    assert bool(task.earlier('opponent')) == (task.slot[-1] == '1')
  for task in ask.of('rebuttal'):
    assert task.earlier('own').startswith(task.value.capitalize())
    assert not task.earlier('opponent').startswith(task.value.capitalize())
  assert len(ask.of('rebuttal')) == 24 and len(ask.of('verdict')) == 24


def test_a_pair_is_the_openings_of_the_first_seat():
  found = made(SMALL, Ask(argument=speech, rebuttal=speech, verdict=honesty_wins))
  for pair in found.files['pairs']:
    assert pair['chosen'] == 'Honesty asks it of us, from seat 0, in step argument.'
    assert pair['rejected'] == 'Kindness asks it of us, from seat 0, in step argument.'
    assert pair['subset'] == 'honesty over kindness' and pair['value'] == 'honesty'
    assert len(pair['calls']) == 1 + 8 + 4


def test_a_judge_that_means_place_or_seat_yields_no_pair():
  place = made(SMALL, Ask(argument=speech, rebuttal=speech, verdict=lambda task: 'A'))
  assert place.files['pairs'] == [] and place.figures['flip rate'] == 1
  assert len(place.files['debates']) == 12
  by_seat = lambda task: 'A' if 'seat 0' in task.earlier('first') else 'B'
  seat = Ask(argument=speech, rebuttal=speech, verdict=by_seat)
  found = made(SMALL, seat)
  assert found.files['pairs'] == [] and found.figures['flip rate'] == 0
  assert found.figures['seats_agree'] == 0


def test_values_at_odds_are_debated_or_all_where_the_spec_names_none():
  assert [(a.id, b.id) for a, b in debate.conflicting(about())] == [('honesty', 'kindness')]
  calm = tuple(dataclasses.replace(value, conflicts=()) for value in DEMO.values)
  assert len(debate.conflicting(about(of=dataclasses.replace(DEMO, values=calm)))) == 3


def test_documents_and_pairs_are_read_as_they_are(tmp_path):
  found = made(SMALL)
  path = written(tmp_path / 'debates', found.files['debates'])
  source = sources.Jsonl(path=path, kind='document', columns=EXPLANATION)
  records = [record for _, record in source.read()]
  assert len(records) == 12 and dict(records[0].meta)['type'] == 'debate'
  assert records[0].text.count('\n\n') == 4
  columns = rows.Columns(margin='margin', subset='subset')
  path = written(tmp_path / 'pairs', found.files['pairs'])
  if found.files['pairs']:
    pairs = sources.Jsonl(path=path, kind='pair', columns=columns)
    assert len([*pairs.read()]) == len(found.files['pairs'])


def test_a_speech_that_is_none_drops_its_question():
  cut = Ask(argument=speech, rebuttal=lambda task: 'I grant that and', verdict=honesty_wins)
  found = made(SMALL, cut)
  assert found.files['debates'] == [] and found.report.dropped == {'form: cut off': 6}
