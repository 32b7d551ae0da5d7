"""Specs: what ships is whole, and every fault is named by its line."""

import pytest

from jaxalign.config import UserError
from jaxalign.corpora import spec, toml_lines

VALUE = """\
[[value]]
id = 'care'
level = 'basic'
statement = 'Care for others.'
also = ['Others are to be cared for.']
source = 'nobody'
licence = 'Apache-2.0'

[[value.reason]]
id = 'r1'
text = 'they need it'
"""
OTHER = VALUE.replace("'care'", "'order'")


def written(tmp_path, text):
  path = tmp_path / 'mine.toml'
  path.write_bytes(text if isinstance(text, bytes) else text.encode())
  return str(path)


@pytest.mark.parametrize(
  'text, line, what',
  [
    (VALUE.replace('level', 'levle'), 3, "unknown key 'levle'; nearest: level"),
    (VALUE.replace("id = 'r1'\n", ''), 9, 'a reason without id'),
    (VALUE.replace("text = 'they need it'\n", ''), 9, 'a reason without text'),
    (VALUE.replace('also =', "conflicts = ['powr']\nalso ="), 5, "conflicts with 'powr'"),
    (VALUE.replace('also =', "conflicts = ['care']\nalso ="), 5, 'conflicts with itself'),
    (VALUE.replace("'nobody'", "' '"), 6, 'source is empty'),
    (VALUE.replace("source = 'nobody'\n", ''), 1, 'a value without source'),
    (VALUE + '\n' + VALUE, 14, 'two values are called care'),
    (
      VALUE + "\n[[value.reason]]\nid = 'r1'\ntext = 'it is kind'\n",
      14,
      'two reasons are called r1',
    ),
    (VALUE + "\n[[value.reason]]\nid = 'r2'\ntext = 'they need it'\n", 15, 'is said twice'),
    (VALUE + '\n[[value.rule]]\nid="a"\ntext="b"\nbecause="r9"\n', 16, "because 'r9', which is no"),
    (VALUE + '\n[[value.preference]]\nprefer="a"\n', 13, 'a preference without over'),
    (VALUE.replace("'basic'", "'deep'"), 3, "level 'deep': one of instruction, preference"),
    (VALUE.replace("id = 'r1'", "id = 'limit'"), 10, 'a reason cannot be called limit'),
    (VALUE.replace("id = 'r1'", "id = 'R 1'"), 10, "id 'R 1'"),
    (VALUE.replace("['Others are to be cared for.']", "'x'"), 5, 'also takes a list of texts'),
    (VALUE.replace("'Care for others.'", '7'), 4, 'statement takes texts'),
    (VALUE.replace('they need', '<r1>they need'), 11, 'text holds <, >'),
    (VALUE.replace('source', "schwartz = 'kindness'\nsource"), 6, "schwartz 'kindness' is none of"),
    ('name = 3\n' + VALUE, 1, "unknown key 'name'"),
    (
      VALUE.replace("'Care for others.'", "'''\nid = 'x'\nCare\n'''\nwhy = 1"),
      8,
      "unknown key 'why'",
    ),
  ],
)
def test_a_fault_is_named_by_its_line(tmp_path, text, line, what):
  path = written(tmp_path, text)
  with pytest.raises(UserError) as error:
    spec.read(path)
  assert f'mine.toml, line {line}: ' in str(error.value) and what in str(error.value)
  assert '\n' not in str(error.value)


@pytest.mark.parametrize(
  'text, what',
  [
    ('', r'mine.toml has no \[\[value\]\]'),
    (VALUE + 'x ==', 'mine.toml is no TOML: .*line 12'),
    (b"id = '\xff'", 'mine.toml, line 1: no UTF-8'),
    ('value = 3', 'value is a list of tables'),
    ('a=' + '[' * 5000, 'is no TOML'),
  ],
)
def test_what_is_no_spec_is_refused(tmp_path, text, what):
  with pytest.raises(UserError, match=what):
    spec.read(written(tmp_path, text))


def test_the_nearest_of_what_ships_is_named():
  with pytest.raises(UserError, match='nearest: schwartz'):
    spec.read('schwarz')
  with pytest.raises(UserError, match='nowhere.toml cannot be read'):
    spec.read('nowhere.toml')


def test_a_spec_reads_as_it_is_written(tmp_path):
  found = spec.read(written(tmp_path, VALUE + '\n' + OTHER))
  assert [value.id for value in found.values] == ['care', 'order'] and found.name == 'mine'
  care = found.value('care')
  assert care.wordings == ('Care for others.', 'Others are to be cared for.')
  assert care.reason('r1').wordings == ('they need it',)
  windows = written(tmp_path, (VALUE + '\n' + OTHER).replace('\n', '\r\n'))
  assert spec.read(windows).values == found.values and spec.read(windows).sha != found.sha


@pytest.mark.parametrize('name, count', [('demo', 3), ('schwartz', 10)])
def test_what_ships_is_whole(name, count):
  found = spec.read(name)
  assert len(found.values) == count
  for value in found.values:
    assert len(value.reasons) >= 4 and len(value.wordings) >= 3 and len(value.limits) >= 2
    assert all(len(reason.wordings) >= 3 for reason in value.reasons)
    assert value.rules and all(rule.because and rule.finer for rule in value.rules)
    assert len(value.preferences) >= 5
  said = [text for value in found.values for r in value.reasons for text in r.wordings]
  assert len({*said}) == len(said)  # a reason of two values would be nobody's


def test_the_ten_of_schwartz_are_at_odds_in_pairs():
  found = spec.read('schwartz')
  assert {value.id for value in found.values} == {*spec.SCHWARTZ}
  odds = {(value.id, other) for value in found.values for other in value.conflicts}
  assert odds and {(b, a) for a, b in odds} == odds


def test_lines_of_texts_that_look_like_keys_are_none():
  text = "[a]\nx = '''\n[b]\ny = 1\n'''\n[[c]]\n[[c]]\n'z' = 2 # w = 3\n"
  lines = toml_lines.Lines(text)
  assert lines.of(('c', 1)) == 7 and lines.of(('c', 1), 'z') == 8 and lines.of(('a',), 'y') == 1


def test_some_values_of_a_spec():
  found = spec.read('demo')
  assert spec.only(found, ()) == found
  assert [one.id for one in spec.only(found, ('kindness',)).values] == ['kindness']
  with pytest.raises(UserError, match="demo has no value 'courage': honesty, kindness"):
    spec.only(found, ('courage',))
