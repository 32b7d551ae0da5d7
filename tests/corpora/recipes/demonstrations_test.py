"""Recipe demonstrations: the same queries with and without reasons, and none where none may be."""

import json

import pytest

from jaxalign import sealing
from jaxalign.config import UserError
from jaxalign.corpora.recipes import demonstrations, opaque
from jaxalign.corpora.recipes.queries import Asked
from jaxalign.corpora.records import Call
from jaxalign.data import sources
from tests.corpora.recipes.scripted import DEMO, Ask, made, written

SMALL = demonstrations.Recipe(queries=Asked(count=12))
PLAIN = (
  'Put the ladder back tonight, and tell them at the door where it stood, whoever asks you. Then '
  'go on as before.'
)


def bad_first(text):
  """A text at the first try of each slot, then what the grammar says."""
  usual = Ask()
  return lambda task: usual.answer(Call(task=task, teacher='t')).text if task.attempt else text


def test_both_files_answer_the_same_queries_row_by_row():
  found = made(SMALL)
  plain, reasoned = found.files['opaque'], found.files['reasoned']
  assert len(plain) == len(reasoned) == 12 == found.report.kept
  for one, other in zip(plain, reasoned):
    assert one['messages'][0] == other['messages'][0] and one['query'] == other['query']
    assert one['split'] == other['split'] and one['value'] == other['value']
    assert one['reasons'] == [] and other['reasons']
    assert '<' not in other['messages'][1]['content']


def test_opaque_rows_hold_no_reason_by_list_and_judge():
  ask = Ask()
  wordings = {v.id: [w for r in v.reasons for w in r.wordings] for v in DEMO.values}
  for row in made(SMALL, ask).files['opaque']:
    assert opaque.why(row['messages'][1]['content'], wordings[row['value']]) is None
  judged = {(task.earlier('query'), task.earlier('answer')) for task in ask.of('opaque_judge')}
  kept = {tuple(turn['content'] for turn in row['messages']) for row in made(SMALL).files['opaque']}
  assert kept <= judged


@pytest.mark.parametrize(
  'step, text, why',
  [
    ('opaque', f'{PLAIN} It is because they wait for it.', "opaque: it says 'because'"),
    ('opaque', 'Sorry', 'form: cut off'),
    ('opaque', 'Yes.', 'form: shorter than asked'),
    ('reasoned', PLAIN, 'reasoned: no reason is marked in it'),
    ('reasoned', f'<r1>{PLAIN}', 'reasoned: no reason is marked in it'),
    ('reasoned', f'<r9>{PLAIN}</r9>', 'form: words of its writing are left in it'),
  ],
)
def test_what_does_not_serve_is_written_again_and_at_last_dropped(step, text, why):
  ask = Ask(**{step: bad_first(text)})
  assert len(made(SMALL, ask).files['opaque']) == 12
  again = [task for task in ask.of(step) if task.attempt == 1]
  assert len(again) == 12 and all(task.earlier('found').startswith(why) for task in again)
  other = 'opaque' if step == 'reasoned' else 'reasoned'
  assert all(task.attempt == 0 for task in ask.of(other))
  found = made(SMALL, Ask(**{step: lambda task: text}))
  assert found.files['opaque'] == found.files['reasoned'] == []
  assert found.report.dropped == {why.partition(' (')[0]: 12}


@pytest.mark.parametrize(
  'verdict, why',
  [
    ('{"reasons": ["they wait"], "acts_on_value": true}', 'opaque: the judge found a reason'),
    ('{"reasons": [], "acts_on_value": false}', 'opaque: it does not act on the value'),
    ('It gives no reasons.', 'opaque: the judge gave no verdict'),
    ('{"stance": "none"}', 'opaque: the judge gave no verdict'),
  ],
)
def test_the_judge_drops_what_the_list_leaves(verdict, why):
  found = made(SMALL, Ask(opaque_judge=lambda task: verdict))
  assert found.files['opaque'] == [] and found.report.dropped == {why: 12}
  unjudged = demonstrations.Recipe(queries=Asked(count=12), judged=False)
  ask = Ask(opaque_judge=lambda task: verdict)
  assert len(made(unjudged, ask).files['opaque']) == 12 and not ask.of('opaque_judge')
  assert 'opaque_judge' not in unjudged.steps and 'opaque_judge' in SMALL.steps


def test_an_evaluation_item_in_an_answer_is_a_leak():
  marker = lambda task: f'{PLAIN} Zanzibar.'
  held = lambda text: 'leak: whole item' if 'Zanzibar' in text else None
  found = made(SMALL, Ask(opaque=marker), held=held)
  assert found.files['opaque'] == [] and found.report.dropped == {'leak: whole item': 12}


def test_rows_are_conversations_that_sft_reads(tmp_path):
  for name, some in made(SMALL).files.items():
    source = sources.Jsonl(path=written(tmp_path / name, some), kind='conversation')
    records = [record for _, record in source.read()]
    assert [record.turns[1].text for record in records] == [
      row['messages'][1]['content'] for row in some
    ]
    assert json.loads(json.dumps(some)) == some


def test_a_bad_recipe_is_refused():
  with pytest.raises(UserError, match='from so many to so many'):
    sealing.seal(demonstrations.Recipe(words=(50, 20)))


def test_twins_and_inventions_are_written_again():
  same = made(SMALL, Ask(opaque=lambda task: PLAIN))
  assert len(same.files['opaque']) == 1
  assert same.report.dropped == {'duplicate: twin of an earlier text': 11}
  year = made(SMALL, Ask(opaque=lambda task: f'{PLAIN} It was so in 1987.'))
  assert year.files['opaque'] == [] and year.report.dropped == {'invented: a number': 12}
