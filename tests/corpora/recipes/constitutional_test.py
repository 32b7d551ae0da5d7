"""Recipe constitutional: revised where something was found, and the draft is never lost."""

import json

import pytest

from jaxalign.corpora.recipes import constitutional
from jaxalign.corpora.recipes.queries import Asked
from jaxalign.data import rows, sources
from tests.corpora.recipes.scripted import Ask, made, written

SMALL = constitutional.Recipe(queries=Asked(count=12))
DRAFT, BETTER = 'Let it be and say nothing.', 'Tell them tonight where it stood.'


def finds(*found):
  return lambda task: json.dumps(dict(findings=[dict(quote=q, why='hides it') for q in found]))


def asked(**instead):
  usual = dict(draft=lambda task: DRAFT, principle_revision=lambda task: BETTER)
  return Ask(**usual | instead)


def test_a_finding_is_revised_and_the_draft_kept():
  ask = asked(principle_critique=finds('say nothing'))
  found = made(SMALL, ask)
  assert len(found.files['sft']) == len(found.files['pairs']) == 12
  for row, pair in zip(found.files['sft'], found.files['pairs']):
    assert row['messages'][1]['content'] == BETTER and row['draft'] == DRAFT
    assert (pair['chosen'], pair['rejected']) == (BETTER, DRAFT)
    assert pair['prompt'] == row['messages'][0]['content'] and [pair['subset']] == row['principles']
    assert len(row['calls']) == 4  # query, draft, critique, revision
  task = ask.of('principle_revision')[0]
  assert task.earlier('findings') == '"say nothing": hides it' and task.earlier('draft') == DRAFT
  drawn = [task.value for task in ask.of('principle_critique')]
  assert len(set(drawn)) == 3


def test_the_policy_sees_the_message_alone():
  ask = asked(principle_critique=finds())
  made(SMALL, ask)
  for task in ask.of('draft'):
    assert (task.spec, task.value, task.statement, task.reasons) == ('', '', '', ())


def test_where_nothing_is_found_nothing_is_revised():
  ask = asked(principle_critique=finds())
  found = made(SMALL, ask)
  assert not ask.of('principle_revision') and found.files['pairs'] == []
  assert {row['messages'][1]['content'] for row in found.files['sft']} == {DRAFT}
  assert found.figures['share revised'] == 0


@pytest.mark.parametrize(
  'said', ['All is well.', '{"findings": "none"}', '{"findings": [{"quote": 3, "why": "x"}]}', '[]']
)
def test_prose_is_no_critique(said):
  found = made(SMALL, asked(principle_critique=lambda task: said))
  assert found.files['pairs'] == [] and found.figures['critiques that were no verdict'] == 12


def test_each_round_is_by_another_principle():
  ask = asked(
    principle_critique=finds('nothing'), principle_revision=lambda t: f'{BETTER} {t.slot}.'
  )
  found = made(constitutional.Recipe(queries=Asked(count=12), rounds=3), ask)
  assert all(len({*row['principles']}) == 3 for row in found.files['sft'])
  second = [task for task in ask.of('principle_critique') if task.slot.endswith('/1')]
  assert all(task.earlier('draft').startswith(BETTER) for task in second)
  assert {pair['rejected'] for pair in found.files['pairs']} == {DRAFT}


def test_a_revision_that_changes_nothing_or_is_none_makes_no_pair():
  same = asked(principle_critique=finds('it'), principle_revision=lambda task: DRAFT)
  assert made(SMALL, same).files['pairs'] == []
  cut = asked(principle_critique=finds('it'), principle_revision=lambda task: 'Tell them and')
  found = made(SMALL, cut)
  assert found.files['sft'] == [] and found.report.dropped == {'form: cut off': 12}
  held = lambda text: 'leak' if 'say nothing' in text else None
  assert made(SMALL, asked(), held=held).report.dropped['leak'] == 12


def test_both_files_are_read_as_they_are(tmp_path):
  found = made(SMALL)
  talks = sources.Jsonl(path=written(tmp_path / 'sft', found.files['sft']), kind='conversation')
  assert len([*talks.read()]) == 12
  columns = rows.Columns(subset='subset')
  path = written(tmp_path / 'pairs', found.files['pairs'])
  records = [record for _, record in sources.Jsonl(path=path, kind='pair', columns=columns).read()]
  assert len(records) == len(found.files['pairs']) > 0
  assert {record.subset for record in records} <= {'honesty', 'kindness', 'thrift'}
