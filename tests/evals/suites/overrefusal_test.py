"""XSTest: its counts and clusters, and that neither refusing nor answering everything pays."""

import dataclasses

import pytest

from jaxalign.config import UserError
from jaxalign.evals.suites import overrefusal
from jaxalign.evals.suites.overrefusal import PARTIAL
from jaxalign.sealing import seal
from tests.evals.suites.simulated import judged, mean

WORDS = dict(words='refusal')
SIDES = ('safe', 'unsafe')


@pytest.fixture(scope='module')
def published(shared):
  suite = overrefusal.XSTest(path=str(shared('xstest/xstest_prompts.csv')))
  return suite, suite.items()


def test_what_the_file_holds(published):
  suite, items = published
  counts = {'prompts': 450, 'safe': 250, 'unsafe': 200, 'safe types': 10, 'unsafe types': 8}
  assert suite.counts() == counts and len(items) == 450
  clusters = {side: {x.cluster for x in items if x.slice('label') == side} for side in SIDES}
  assert len(clusters['safe']) == 8 and clusters['safe'] == clusters['unsafe']
  assert len({item.slice('type') for item in items}) == 18


@pytest.mark.parametrize('label', ['refusal', 'compliance', 'degenerate', 'off topic', 'abstain'])
def test_whoever_does_one_thing_always_has_no_j(published, label):
  suite, items = published
  rows = suite.rows(judged(items, WORDS, lambda item, judge, draw: label))
  assert mean(rows, 'xstest/J', 'words') == 0.0  # exactly
  backwards = mean(rows[::-1], 'xstest/J', 'words')
  assert backwards == 0.0
  for side in SIDES:
    assert mean(rows, f'xstest/refusal_{side}', 'words') == (label == 'refusal')
    assert mean(rows, f'xstest/compliance_{side}', 'words') == (label == 'compliance')
  for name in ('degenerate', 'off_topic', 'abstain'):
    assert mean(rows, f'xstest/{name}', 'words') == (label == name.replace('_', ' '))


def test_who_tells_them_apart_has_all_of_j(published):
  suite, items = published
  told = lambda item, judge, draw: 'refusal' if item.slice('label') == 'unsafe' else 'compliance'
  rows = suite.rows(judged(items, WORDS, told))
  assert mean(rows, 'xstest/J', 'words') == 1.0
  j = [row for row in rows if row.measure == 'xstest/J']
  assert len(j) == 450 and not any(row.slices for row in j)


def test_each_judge_has_rows_and_draws_are_averaged():
  suite = overrefusal.XSTest(limit=8)
  items = suite.items()
  assert {item.slice('label') for item in items} == set(SIDES) and len(items) == 8
  kinds = dict(a='refusal', b='refusal', guard='harm')
  said = dict(a=('refusal', 'compliance'), b=('refusal', 'refusal'), guard=('harmful',) * 2)
  rows = suite.rows(judged(items, kinds, lambda item, judge, draw: said[judge][draw], draws=2))
  assert mean(rows, 'xstest/refusal_safe', 'a') == 0.5
  assert mean(rows, 'xstest/refusal_safe', 'b') == 1
  assert {row.judge for row in rows if row.measure == 'xstest/J'} == {'a', 'b'}
  assert len({row.unit for row in rows if row.measure == 'xstest/length'}) == 8


def test_a_judge_who_left_answers_out_is_named():
  suite = overrefusal.XSTest(limit=8)
  asked = judged(suite.items(), WORDS, lambda item, judge, draw: 'refusal')
  asked[3] = type(asked[3])(item=asked[3].item, said=asked[3].said, verdicts={}, kinds=WORDS)
  with pytest.raises(UserError, match='judge words gave 0 verdicts on 1 answers'):
    suite.rows(asked)


def test_a_partial_refusal_is_counted_where_a_judge_can_say_so():
  suite = overrefusal.XSTest(limit=8)
  kinds, can = dict(a='refusal', b='refusal'), dict(b=('refusal', 'compliance', PARTIAL))
  asked = judged(suite.items(), kinds, lambda i, judge, d: PARTIAL if judge == 'b' else 'refusal')
  rows = suite.rows([dataclasses.replace(one, labels=can) for one in asked])
  for side in SIDES:
    assert mean(rows, f'xstest/partial_{side}', 'b') == 1
    assert mean(rows, f'xstest/refusal_{side}', 'b') == 0
  assert {row.judge for row in rows if 'partial' in row.measure} == {'b'}
  assert mean(rows, 'xstest/J', 'b') == 0


def test_jailbreakbench_asks_both_its_halves(shared, tmp_path):
  harmful = str(shared('jailbreakbench/JBC_llama-2-7b-chat-hf.json'))
  benign = tmp_path / 'benign-behaviors.csv'
  rows = [f'{n},Write about subject {n},Category {n % 10}' for n in range(100)]
  benign.write_text('\n'.join(['Index,Goal,Category', *rows]) + '\n')
  suite = seal(overrefusal.JailbreakBench(harmful=harmful, benign=str(benign)))
  items = suite.items()
  sides = [item.slice('label') for item in items]
  assert (sides.count('safe'), sides.count('unsafe')) == (100, 100)
  assert all(item.cluster == item.slice('type') for item in items)
  told = lambda item, judge, draw: 'refusal' if item.slice('label') == 'unsafe' else 'compliance'
  asked = judged(items, WORDS, told)
  assert mean(suite.rows(asked), 'jbb/J', 'words') == 1
  assert mean(suite.rows(asked), 'jbb/refusal_unsafe', 'words') == 1
  same = judged(items, WORDS, lambda item, judge, draw: 'refusal')
  assert mean(suite.rows(same), 'jbb/J', 'words') == 0.0
  benign.write_text('\n'.join(['Index,Goal,Category', *rows[1:]]) + '\n')
  with pytest.raises(UserError, match='has 99 prompts, the published one 100 prompts'):
    suite.items()


def test_benign_prompts(tmp_path):
  suite = overrefusal.Benign(limit=8)
  items = suite.items()
  rows = suite.rows(judged(items, WORDS, lambda item, judge, draw: 'refusal'))
  assert len(items) == 8 and mean(rows, 'benign/refusal', 'words') == 1
  path = tmp_path / 'benign.csv'
  path.write_text('Index,goal\n' + ''.join(f'{n},Question {n}?\n' for n in range(100)))
  assert len(overrefusal.Benign(path=str(path)).items()) == 100
  path.write_text('Index,goal\n1,Why?\n')
  with pytest.raises(UserError, match='has 1 prompts, the published one 100 prompts'):
    overrefusal.Benign(path=str(path)).items()


def test_other_files_are_one_line(tmp_path):
  path = tmp_path / 'x.csv'
  path.write_text('prompt,type,label\nWhy?,homonyms,grey\n')
  with pytest.raises(UserError, match="label 'grey' is neither safe nor unsafe"):
    overrefusal.XSTest(path=str(path)).items()
  path.write_text('prompt,type,label\nWhy?,homonyms,safe\n')
  with pytest.raises(UserError, match='has 1 prompts, 1 safe, 0 unsafe') as error:
    overrefusal.XSTest(path=str(path)).items()
  assert '\n' not in str(error.value)
  twice = 'prompt,type,label\nWhy?,homonyms,safe\nWhy?,homonyms,safe\n'
  path.write_text(twice)
  assert len(overrefusal.XSTest(path=str(path), published=False).items()) == 1
