"""Samples that lm-eval logged: paired by content, of old and new files."""

import json

import pytest
from etils import epath

from jaxalign.config import UserError
from jaxalign.study.answers import concluding, families, lm_eval_samples
from jaxalign.study.answers.pairs import Arm, pair

LOGS = epath.Path(__file__).parent / 'logs'


def evaluated(directory, label='x'):
  return lm_eval_samples.evaluated(lm_eval_samples.found_in(epath.Path(directory)), label)


def lines(directory, task):
  (path,) = (LOGS / directory).glob(f'samples_{task}_*')
  return [json.loads(line) for line in path.read_text().splitlines()]


def written(directory, given, task='tiny_mc'):
  directory.mkdir(parents=True, exist_ok=True)
  text = ''.join(json.dumps(line) + '\n' for line in given)
  (directory / f'samples_{task}_2026-01-01T00-00-00.1.jsonl').write_text(text)
  return directory


def paired(*runs):
  return pair([Arm(label=run.label, runs=(run,)) for run in runs])


@pytest.mark.parametrize('name', ['lm_a', 'lm_b'])
def test_means_are_those_of_the_results_that_lm_eval_wrote(name):
  run = evaluated(LOGS / name)
  (path,) = (LOGS / name).glob('results_*')
  results = json.loads(path.read_text())['results']
  for measure, known in {
    'tiny_mc/acc': results['tiny_mc']['acc,none'],
    'tiny_mc/acc_norm': results['tiny_mc']['acc_norm,none'],
    'tiny_gen/exact_match.strict': results['tiny_gen']['exact_match,strict'],
    'tiny_gen/exact_match.loose': results['tiny_gen']['exact_match,loose'],
  }.items():
    values = [row.value for row in run.rows if row.measure == measure]
    assert len(values) == 6 and sum(values) / 6 == pytest.approx(known)
  assert {measure.better for measure in run.about.measures} == {'more'}
  assert [suite.decode.get('max_gen_toks') for suite in run.about.suites] == [8, None]


def test_what_was_said_is_the_text_or_the_likeliest_choice():
  run = evaluated(LOGS / 'lm_a')
  said = {(answer.suite, run.items[answer.item].text): answer for answer in run.answers}
  assert said['tiny_gen', 'Paris is in'].text == lines('lm_a', 'tiny_gen')[1]['resps'][0][0]
  for line in lines('lm_a', 'tiny_mc'):
    likely = max(range(len(line['resps'])), key=lambda n: float(line['resps'][n][0][0]))
    found = said['tiny_mc', line['doc']['question']]
    assert found.text == f' {line["doc"]["choices"][likely]}'
    assert found.labels['acc'] == ('1' if likely == line['doc']['label'] else '0')
  assert set(said['tiny_gen', '2+2 ='].labels) == {'exact_match.strict', 'exact_match.loose'}


def test_documents_are_paired_by_content_whatever_their_order_and_age(tmp_path):
  """Older files have no hashes, lists of arguments, and metrics that nobody lists."""
  old = []
  for n, line in enumerate(reversed(lines('lm_b', 'tiny_mc'))):
    requests = [[one['arg_0'], one['arg_1']] for one in line['arguments'].values()]
    gone = 'doc_hash', 'prompt_hash', 'target_hash', 'metrics', 'filter'
    kept = {name: value for name, value in line.items() if name not in gone}
    old.append(kept | dict(doc_id=n, arguments=requests))
  b = evaluated(written(tmp_path, old), 'b')
  rows = next(one for one in paired(evaluated(LOGS / 'lm_a', 'a'), b).rows)
  known = {
    name: {line['doc']['question']: line['acc'] for line in lines(name, 'tiny_mc')}
    for name in ('lm_a', 'lm_b')
  }
  assert rows.measure.name == 'tiny_mc/acc'
  asked = [b.items[name].text for name in rows.names]
  assert dict(zip(asked, rows.value_ASN[0, 0])) == known['lm_a']
  assert dict(zip(asked, rows.value_ASN[1, 0])) == known['lm_b']


def test_other_prompts_documents_and_parameters_are_refused(tmp_path):
  a = evaluated(LOGS / 'lm_a', 'a')
  chat = lines('lm_b', 'tiny_mc')
  for line in chat:
    for request in line['arguments'].values():
      request['arg_0'] = f'User: {request["arg_0"]}'
  with pytest.raises(UserError, match='asked tiny_mc with other templates'):
    paired(a, evaluated(written(tmp_path / 'chat', chat), 'b'))
  sampled = lines('lm_b', 'tiny_gen')
  for line in sampled:
    line['arguments']['gen_args_0']['arg_1']['do_sample'] = True
  with pytest.raises(UserError, match='decode parameters .do_sample False and True'):
    paired(a, evaluated(written(tmp_path / 'sampled', sampled, 'tiny_gen'), 'b'))


def test_a_limit_of_one_alone_is_refused_with_an_example(tmp_path):
  b = evaluated(written(tmp_path, lines('lm_b', 'tiny_mc')[:4]), 'b')
  with pytest.raises(UserError, match=r"tiny_mc/acc: 2 of 6 units .* 2 not in b \('.*' is one\)"):
    paired(evaluated(LOGS / 'lm_a', 'a'), b)


def test_a_document_that_one_lacks_costs_no_pair_and_prompts_are_held_to_all_the_same(tmp_path):
  runs = [evaluated(LOGS / 'lm_a', 'a')]
  runs.append(evaluated(written(tmp_path / 'b', lines('lm_b', 'tiny_mc')[:5]), 'b'))
  arms = [Arm(label=run.label, runs=(run,)) for run in runs]
  found = pair(arms, most_left_out=0.2)
  assert [len(one.names) for one in found.rows if one.measure.name == 'tiny_mc/acc'] == [5]
  assert any('tiny_mc/acc' in said and '1 of 6 units' in said for said in found.partly)
  chat = lines('lm_b', 'tiny_mc')[:5]
  for request in chat[2]['arguments'].values():
    request['arg_0'] = f'User: {request["arg_0"]}'
  other = evaluated(written(tmp_path / 'chat', chat), 'b')
  with pytest.raises(UserError, match='tiny_mc with other templates: 1 of 5 prompts differ'):
    pair([arms[0], Arm(label='b', runs=(other,))], most_left_out=0.2)


def test_a_sample_without_a_number_is_left_out_and_told(tmp_path):
  """NaN is what lm-eval writes where it divided 0 by 0: of both models it would go unseen."""
  runs = []
  for name in 'ab':
    given = lines(f'lm_{name}', 'tiny_mc')
    given[3]['acc'] = float('nan')
    runs.append(evaluated(written(tmp_path / name, given), name))
  assert runs[0].about.notes == {'tiny_mc/acc, unscored': '1 samples'}
  found = pair([Arm(label=run.label, runs=(run,)) for run in runs])
  acc = next(one for one in found.rows if one.measure.name == 'tiny_mc/acc')
  assert len(acc.names) == 5 and not found.partly  # none has it
  told = list(concluding.says(found, families.of(found, runs[0].about)))
  assert {f'{name}: tiny_mc/acc, unscored: 1 samples, left out.' for name in 'ab'} <= set(told)


def test_a_document_that_is_there_twice_counts_once(tmp_path):
  given = lines('lm_a', 'tiny_mc')
  again = given[0] | dict(acc=1 - given[0]['acc'], doc_id=9)
  run = evaluated(written(tmp_path, [*given, again]))
  acc = [row.value for row in run.rows if row.measure == 'tiny_mc/acc']
  assert len(acc) == 6 and 0.5 in acc


@pytest.mark.parametrize(
  'text, says',
  [
    ('{"doc_id": 0}\n', 'sample 1 has no doc'),
    ('{"doc_id": 0, "doc": {}\n', 'line 1 cannot be read'),
    ('\n', 'holds no sample'),
    ('{"doc_id": 0, "doc": {}, "metrics": ["f1"], "f1": [1, 2]}\n', 'no metric that is a number'),
  ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, text, says):
  path = epath.Path(tmp_path / 'samples_t.jsonl')
  path.write_text(text)
  with pytest.raises(UserError, match=says):
    lm_eval_samples.evaluated([path], 'x')


def test_a_directory_holds_a_task_once_and_one_model(tmp_path):
  for model in 'ab':
    written(tmp_path / model, lines('lm_a', 'tiny_mc'))
  with pytest.raises(UserError, match='the samples of several models'):
    lm_eval_samples.found_in(epath.Path(tmp_path))
  newer = tmp_path / 'a' / 'samples_tiny_mc_2026-01-02T00-00-00.1.jsonl'
  newer.write_text(json.dumps(lines('lm_a', 'tiny_mc')[0]) + '\n')
  with pytest.raises(UserError, match='holds tiny_mc twice'):
    evaluated(tmp_path / 'a')
