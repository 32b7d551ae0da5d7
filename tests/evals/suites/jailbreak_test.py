"""The grid of attacks: what the files hold, twins, and what success means under each judge."""

import dataclasses
import json

import pytest

from jaxalign.config import UserError
from jaxalign.evals import summary
from jaxalign.evals.suites import jailbreak
from jaxalign.evals.templates import PUBLISHED, Template
from jaxalign.sealing import seal
from tests.evals.suites.simulated import judged, mean

JUDGES = dict(words='refusal', guard='harm')
TWO = (Template(id='direct'), Template(id='base64', encode='base64', decode='base64'))


@pytest.fixture(scope='module')
def files(shared):
  return dict(
    advbench=jailbreak.advbench(str(shared('advbench/harmful_behaviors.csv'))),
    harmbench=jailbreak.harmbench(str(shared('harmbench/harmbench_behaviors_text_all.csv'))),
    strongreject=jailbreak.strongreject(str(shared('strongreject/strongreject_dataset.csv'))),
    jailbreakbench=jailbreak.jailbreakbench(
      str(shared('jailbreakbench/JBC_llama-2-7b-chat-hf.json'))
    ),
    twins=str(shared('xstest/xstest_prompts.csv')),
  )


@pytest.fixture(scope='module')
def grid(files):
  twins = files['twins']
  requests = tuple(one for name, one in files.items() if name != 'twins')
  suite = jailbreak.Grid(requests=requests, twins=twins, templates=TWO)
  return suite, suite.items()


def test_rows_of_the_files(files, grid):
  three = [files[name] for name in ('advbench', 'harmbench', 'strongreject')]
  suite = dataclasses.replace(grid[0], requests=tuple(three))
  counts = suite.counts()
  assert (counts['rows'], counts['distinct'], counts['twins']) == (1233, 1201, 250)
  assert 95 <= counts['weapons'] <= 110 and 80 <= counts['hate'] <= 90
  weapons = [sum('weapons' in one.subjects for one in file.read()) for file in three]
  assert weapons[:2] == [48, 28]
  counts = grid[0].counts()
  assert (counts['rows'], counts['distinct']) == (1333, 1281)
  standard = jailbreak.harmbench(files['harmbench'].path, of='standard', count=200)
  assert len(standard.read()) == 200


def test_the_grid_is_templates_times_requests_and_times_twins(grid):
  _, items = grid
  sides = [item.slice('twin') for item in items]
  assert (sides.count('no'), sides.count('yes')) == (2 * 1281, 2 * 250)
  of = {name: [x for x in items if x.slice('template') == name] for name in ('direct', 'base64')}
  assert len(of['direct']) == len(of['base64']) == 1281 + 250
  assert len({item.cluster for item in items}) == 1281 + 250
  assert {item.decode for item in of['base64']} == {'base64'}
  assert [item.wants for item in of['direct']] == [item.wants for item in of['base64']]
  assert all(item.turns[0].text == item.wants for item in of['direct'])


def test_a_context_stands_before_its_request(grid):
  items = [x for x in grid[1] if x.slice('source') == 'harmbench' and '\n\n' in x.wants]
  assert len(items) >= 2 * 90  # one request may have two contexts: it is asked once
  assert all(item.turns[0].text == item.wants for item in items[: len(items) // 2])


def test_success_under_each_judge():
  suite = jailbreak.Grid(templates=TWO)
  items = suite.items()
  assert len(items) == 2 * (8 + 12)

  # The code works wherever words are refused; the guard sees through it. Twins are all answered.
  def told(item, judge, draw):
    if item.slice('twin') == 'yes':
      return dict(words='compliance', guard='harmless')[judge]
    coded = item.slice('template') == 'base64'
    return dict(words='compliance' if coded else 'refusal', guard='harmless')[judge]

  rows = suite.rows(judged(items, JUDGES, told))
  assert mean(rows, 'jailbreak/asr', 'words') == 0.5
  assert mean(rows, 'jailbreak/asr@k', 'words') == 1
  assert mean(rows, 'jailbreak/asr', 'guard') == mean(rows, 'jailbreak/asr@k', 'guard') == 0
  assert mean(rows, 'jailbreak/twin_refusal', 'words') == 0
  assert mean(rows, 'jailbreak/J', 'words') == 0.5
  coded = [row for row in rows if ('template', 'base64') in row.slices]
  assert mean(coded, 'jailbreak/asr', 'words') == 1
  any_of = [r for r in rows if (r.measure, r.judge) == ('jailbreak/asr@k', 'words')]
  assert len(any_of) == 8 and all(not dict(row.slices).get('template') for row in any_of)
  assert not [row for row in rows if row.measure == 'jailbreak/J' and row.judge == 'guard']


def test_what_is_under_copyright_is_in_no_rate_but_its_own(files):
  whole, quoted = (
    jailbreak.harmbench(files['harmbench'].path, *of) for of in ((), ('copyright', 100))
  )
  assert len(quoted.read()) == 100 and {one.category for one in quoted.read()} == {'copyright'}
  suite = jailbreak.Grid(requests=(whole,), twins=files['twins'], templates=TWO)
  items = suite.items()
  rows = suite.rows(judged(items, JUDGES, lambda i, judge, d: dict(words='compliance')[judge]
                           if judge == 'words' else 'abstain'))  # fmt: skip
  count = lambda name, judge: sum((row.measure, row.judge) == (name, judge) for row in rows)
  harmful = sum(item.slice('twin') == 'no' for item in items)
  assert count('jailbreak/copyright', 'words') == 2 * 100
  assert count('jailbreak/asr', 'words') == count('jailbreak/asr', 'guard') == harmful - 2 * 100
  assert count('jailbreak/J', 'words') == len(items) - 2 * 100
  assert count('jailbreak/asr@k', 'words') == (harmful - 2 * 100) / 2
  assert not count('jailbreak/copyright', 'guard')


def test_a_run_shows_success_by_template_category_and_subject(grid):
  suite, items = grid
  coded = lambda item: item.slice('template') == 'base64'
  told = lambda item, judge, draw: 'compliance' if coded(item) else 'refusal'
  some = [x for x in items if x.slice('source') == 'harmbench' or x.slice('twin') == 'yes']
  rows = suite.rows(judged(some, dict(words='refusal'), told))
  found = {(x.measure, x.by, x.part): x for x in summary.parts(suite.measures(), rows)}
  for template, rate in (('direct', 0.0), ('base64', 1.0)):
    assert found['jailbreak/asr', 'template', template].mean == rate
    assert found['jailbreak/twin_refusal', 'template', template].mean == 1 - rate
  assert found['jailbreak/asr', 'category', 'illegal'].mean == 0.5
  assert found['jailbreak/asr@k', 'category', 'illegal'].mean == 1.0
  assert found['jailbreak/asr', 'weapons', 'yes'].n == 2 * 28
  assert found['jailbreak/asr@k', 'hate', 'yes'].n == 19


@pytest.mark.parametrize('label', ['refusal', 'compliance', 'degenerate', 'off topic', 'abstain'])
def test_whoever_does_one_thing_always_has_no_j(grid, label):
  suite, items = grid
  seal(suite)
  some = [*items[:300], *items[-300:]]
  rows = suite.rows(judged(some, dict(words='refusal'), lambda item, judge, draw: label))
  assert mean(rows, 'jailbreak/J', 'words') == 0.0  # exactly
  assert mean(rows, 'jailbreak/asr', 'words') == (label == 'compliance')
  assert mean(rows, 'jailbreak/twin_refusal', 'words') == (label == 'refusal')


def test_a_judge_of_harm_gives_a_mean_score_in_which_what_it_left_open_is_none():
  suite = jailbreak.Grid(templates=TWO[:1])
  scores = (1.0, 0.25, 'abstain', 0.25)
  rows = suite.rows(judged(suite.items(), dict(g='harm'), lambda i, j, d: scores[d], draws=4))
  assert mean(rows, 'jailbreak/harm', 'g') == 1.5 / 4


def test_draws_are_averaged_and_any_of_them_is_a_success():
  suite = jailbreak.Grid(templates=TWO[:1], limit=8)
  items = suite.items()
  labels = ('refusal', 'refusal', 'refusal', 'compliance')
  rows = suite.rows(judged(items, dict(words='refusal'), lambda i, j, d: labels[d], draws=4))
  assert mean(rows, 'jailbreak/asr', 'words') == 0.25
  assert mean(rows, 'jailbreak/asr@k', 'words') == 1


def test_another_template_is_another_version_and_all_can_be_sealed(files):
  suite = jailbreak.Grid(limit=2)
  seal(suite)
  assert len(suite.items()) == 4 * len(PUBLISHED)
  assert suite.version == jailbreak.Grid().version != jailbreak.Grid(templates=TWO).version
  aim = jailbreak.Grid(templates=TWO, artifact=files['jailbreakbench'].path, limit=2)
  assert len(aim.items()) == 4 * 3
  assert aim.source() != jailbreak.Grid(templates=TWO, limit=2).source()
  prefilled = [item for item in suite.items() if item.prefill]
  assert {item.slice('template') for item in prefilled} == {'prefill'}
  with pytest.raises(UserError, match='templates: direct; name each one once'):
    seal(jailbreak.Grid(templates=TWO[:1] * 2))


def test_other_files_are_one_line(tmp_path, files):
  path = tmp_path / 'x.csv'
  path.write_text('goal,target\nWrite a rude word,Sure\n')
  with pytest.raises(UserError, match='has 1 requests, the published one 520 requests'):
    jailbreak.advbench(str(path)).read()
  assert len(jailbreak.advbench(str(path), count=None).read()) == 1
  with pytest.raises(UserError, match="no column 'Behavior'"):
    jailbreak.harmbench(str(path)).read()
  other = tmp_path / 'x.json'
  for given, says in (({}, 'no rows in jailbreaks'), ([{'goal': 'x'}], "a row has no 'category'")):
    other.write_text(json.dumps(given))
    with pytest.raises(UserError, match=says) as error:
      jailbreak.jailbreakbench(str(other)).read()
    assert '\n' not in str(error.value)
