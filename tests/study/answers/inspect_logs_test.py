"""Logs that inspect_ai wrote: paired by content, whatever their order, ids and compression."""

import json
import pathlib
import zipfile

import pytest
from etils import epath

from jaxalign.config import UserError
from jaxalign.study.answers import inspect_logs
from jaxalign.study.answers.pairs import Arm, pair
from jaxalign.study.answers.zipped import Entries

LOGS = epath.Path(__file__).parent / 'logs'


def evaluated(path, label='x'):
  return inspect_logs.evaluated([epath.Path(path)], label)


def paired(*runs):
  return pair([Arm(label=run.label, runs=(run,)) for run in runs])


def means(run):
  found = {}
  for row in run.rows:
    found.setdefault(row.measure, []).append(row.value)
  return {name: sum(values) / len(values) for name, values in found.items()}


def log():
  return json.loads((LOGS / 'b.json').read_text())


def sample(n=1, **changed):
  given = dict(id=n, epoch=1, input=f'q{n}', target='a', scores={'s': {'value': 'C'}}, metadata={})
  return given | dict(output={'completion': 'a'}) | changed


def saved(path, samples=(), status='success', **changed):
  text = log() | dict(samples=list(samples), status=status)
  text['eval'] |= changed
  path.write_text(json.dumps(text))
  return path


def test_a_log_has_the_scores_that_inspect_counted():
  a, b = evaluated(LOGS / 'a.eval'), evaluated(LOGS / 'b.eval')
  assert means(a) == {'tiny/match': 0.75, 'tiny/includes': 0.75}  # as inspect view shows them
  assert means(b) == {'tiny/match': 0.5, 'tiny/includes': 0.5}
  assert a.about.model == 'mockllm/model' and a.about.suites[0].version == '3'
  assert a.about.suites[0].decode == {'temperature': 0.0, 'epochs': 2}
  assert [m.better for m in a.about.measures] == ['more', 'more']
  assert len(a.rows) == 8 and len(a.answers) == 8  # four questions, two epochs
  assert {answer.draw for answer in a.answers} == {0, 1}


def test_json_and_eval_are_one():
  ours, theirs = evaluated(LOGS / 'b.eval'), evaluated(LOGS / 'b.json')
  assert ours.rows == theirs.rows and ours.items == theirs.items
  assert {a.text for a in ours.answers} == {a.text for a in theirs.answers}


def test_questions_are_paired_whatever_their_ids_and_order():
  a, b = evaluated(LOGS / 'a.eval', 'a'), evaluated(LOGS / 'b.eval', 'b')
  with Entries(LOGS / 'b.eval', '') as entries:
    first = json.loads(entries.content('samples/1_epoch_1.json'))
  assert first['input'] == '1+1? Say <b>so</b>'  # which is the last one in a
  rows = paired(a, b).rows[0]
  asked = [a.items[name].text for name in rows.names]
  found = dict(zip(asked, zip(*rows.value_ASN[:, 0].tolist())))
  assert found == {
    'What is 2+2?': (1, 1),
    'Capital of France?': (1, 0),
    'Is fire hot?': (1, 0),
    '1+1? Say <b>so</b>': (0, 1),
  }
  assert set(rows.slices['kind']) == {'fact', 'sum'} or set(rows.slices['kind']) == {
    'fact',
    'other',
  }


def test_older_logs_are_deflated(tmp_path):
  path = tmp_path / 'old.eval'
  with Entries(LOGS / 'a.eval', '') as entries, zipfile.ZipFile(path, 'w', 8) as old:
    for name in entries.names:
      old.writestr(name, entries.content(name))
  assert evaluated(path).rows == evaluated(LOGS / 'a.eval').rows


def test_scores_of_every_kind(tmp_path):
  scores = {
    'letter': {'value': 'P'}, 'yes': {'value': True}, 'number': {'value': 2.5},
    'dict': {'value': {'a': 1, 'b': 'I', 'c': 'words'}}, 'none': {'value': None},
    'nan': {'value': float('nan')}, 'words': {'value': 'quite good'}, 'list': {'value': [1, 2]},
  }  # fmt: skip
  run = evaluated(saved(tmp_path / 'a.json', [sample(scores=scores)]))
  assert means(run) == {
    'tiny/letter': 0.5, 'tiny/yes': 1, 'tiny/number': 2.5, 'tiny/dict.a': 1, 'tiny/dict.b': 0,
  }  # fmt: skip
  better = {measure.name: measure.better for measure in run.about.measures}
  assert better['tiny/letter'] == better['tiny/yes'] == 'more' and better['tiny/number'] == ''


def test_epochs_are_averaged_and_one_that_lacks_leaves_its_sample_out(tmp_path):
  epochs = [sample(n, epoch=e, scores={'s': {'value': e - 1}}) for n in (1, 2) for e in (1, 2)]
  assert [row.value for row in evaluated(saved(tmp_path / 'a.json', epochs)).rows] == [0.5, 0.5]
  epochs[3] |= dict(scores={}, error={'message': 'timeout'})
  run = evaluated(saved(tmp_path / 'b.json', epochs))
  assert len(run.rows) == 1 and run.about.notes == {'tiny/s, unscored': '1 samples'}
  with pytest.raises(UserError, match=r"tiny/s: 1 of 2 units .* 1 not in b \('q2' is one\)"):
    paired(evaluated(tmp_path / 'a.json', 'a'), evaluated(tmp_path / 'b.json', 'b'))


def test_messages_are_known_by_their_words_and_attachments_are_put_back(tmp_path):
  def said(mark, text):
    content = [{'type': 'text', 'text': text}, {'type': 'image', 'image': 'data:,x'}]
    message = dict(id=mark, role='user', content=content, source='input')
    return sample(input=[message], attachments={'h': 'a long question'})

  one = evaluated(saved(tmp_path / 'a.json', [said('x', 'attachment://h')]))
  other = evaluated(saved(tmp_path / 'b.json', [said('y', 'a long question')]))
  assert [row.unit for row in one.rows] == [row.unit for row in other.rows]
  (item,) = one.items.values()
  assert item.text.startswith('a long question\n[image ')


def test_a_question_that_is_there_twice_is_no_pair_of_one(tmp_path):
  twice = [sample(1, input='q'), sample(2, input='q', scores={'s': {'value': 'I'}})]
  a = evaluated(saved(tmp_path / 'a.json', twice), 'a')
  assert [row.value for row in a.rows] == [0.5]
  with pytest.raises(UserError, match='2 of 2 units are not in all, .*none is shared'):
    paired(a, evaluated(saved(tmp_path / 'b.json', twice[:1]), 'b'))


@pytest.mark.parametrize(
  'changed, says',
  [
    (dict(task_version=4), r'asked tiny with other versions \(3 and 4\)'),
    (dict(model_generate_config={'temperature': 1.0}), 'decode parameters'),
    (dict(scorers=[{'name': 'match', 'options': {'location': 'any'}}]), 'two judges named tiny/m'),
  ],
)
def test_what_was_run_otherwise_is_refused(tmp_path, changed, says):
  text = log()
  text['eval'] |= changed
  if 'model_generate_config' in changed:
    text['plan']['config'] = {}
  (tmp_path / 'c.json').write_text(json.dumps(text))
  with pytest.raises(UserError, match=says):
    paired(evaluated(LOGS / 'b.json', 'b'), evaluated(tmp_path / 'c.json', 'c'))


@pytest.mark.parametrize(
  'text, says',
  [
    ('[' * 100_000, 'nests too deeply'),
    ('{"eval": {}}', 'it has no status, samples'),
    ('no json', 'no JSON'),
    ('{"eval": {}, "status": "success", "samples": []}', 'says no task'),
    ('{"eval": {"task": "t"}, "status": "success", "samples": null}', 'holds no samples'),
    ('{"eval": {"task": "t"}, "status": "success", "samples": [7]}', 'a sample without input'),
    ('{"eval": {"task": "t"}, "status": "error", "samples": []}', "status 'error': finish it"),
  ],
)
def test_a_log_that_says_nothing_is_one_line(tmp_path, text, says):
  path = tmp_path / 'a.json'
  path.write_text(text)
  with pytest.raises(UserError, match=says) as refused:
    evaluated(path)
  assert '\n' not in str(refused.value)


def test_a_run_that_did_not_finish_has_no_header(tmp_path):
  path = tmp_path / 'a.eval'
  with zipfile.ZipFile(path, 'w') as file:
    file.writestr('_journal/start.json', '{}')
  with pytest.raises(UserError, match='no header.json, so its run did not finish'):
    evaluated(path)


def test_a_directory_holds_a_task_once_and_one_model(tmp_path):
  saved(tmp_path / 'a.json', [sample()])
  saved(tmp_path / 'b.json', [sample()], task='other')
  both = inspect_logs.evaluated(inspect_logs.found_in(epath.Path(tmp_path)), 'x')
  assert [suite.name for suite in both.about.suites] == ['tiny', 'other']
  saved(tmp_path / 'c.json', [sample()])
  with pytest.raises(UserError, match='holds 2 logs of tiny: name one'):
    inspect_logs.evaluated(inspect_logs.found_in(epath.Path(tmp_path)), 'x')
  saved(tmp_path / 'c.json', [sample()], model='another')
  with pytest.raises(UserError, match='logs of mockllm/model and of another'):
    inspect_logs.evaluated(inspect_logs.found_in(epath.Path(tmp_path)), 'x')
  assert pathlib.Path(tmp_path / 'c.json').exists()
