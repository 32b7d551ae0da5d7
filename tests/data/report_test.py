"""Bad rows are counted and named; too many of them stop the run."""

import pytest

from jaxalign.config import UserError
from jaxalign.data.records import Document
from jaxalign.data.report import Fault, MissingColumn, Report, Unwanted, sift


def rows_of(marks):
  return [(f'f.jsonl:{n}', mark) for n, mark in enumerate(marks, 1)]


def convert(mark, noted):
  if mark == 'b':
    raise Fault('bad thing')
  if mark == 'm':
    raise MissingColumn('text', ['words', 'id'])
  if mark == 'd':
    raise Unwanted('not wanted')
  if mark == 'n':
    noted['odd'] += 1
  return Document(mark)


def read(marks):
  report = Report()
  return list(sift(rows_of(marks), convert, report, 'f.jsonl')), report


def test_every_row_is_kept_bad_or_dropped():
  kept, report = read('g' * 197 + 'b' + 'd' * 40 + 'n')
  assert report.read == 239 and report.kept == len(kept) == 198
  assert report.bad == {'bad thing': 1} and report.dropped == {'not wanted': 40}
  assert report.noted == {'odd': 1}
  assert report.examples['not wanted'] == ['f.jsonl:199', 'f.jsonl:200', 'f.jsonl:201']
  assert [where for where, _ in kept][-1] == 'f.jsonl:239'


@pytest.mark.parametrize('good, bad, stops', [(99, 1, False), (98, 1, True), (198, 2, False)])
def test_one_in_a_hundred_is_the_limit(good, bad, stops):
  marks = 'g' * good + 'b' * bad
  if not stops:
    assert read(marks)[1].kept == good
    return
  with pytest.raises(UserError, match=rf'{bad} of {good + bad} .*bad thing at f.jsonl:{good + 1}'):
    read(marks)


def test_records_come_before_the_verdict():
  reader = sift(rows_of('gb'), convert, None, 'f')
  assert next(reader)[1] == Document('g')
  with pytest.raises(UserError):
    next(reader)


def test_a_hopeless_source_is_not_read_to_its_end():
  taken = []

  def long():
    for n in range(5000):
      taken.append(n)
      yield f'f:{n}', 'g' if n % 4 == 0 else 'b'

  with pytest.raises(UserError, match='750 of 1000'):
    list(sift(long(), convert, None, 'f'))
  assert len(taken) == 1000


def test_a_wrong_name_in_the_config_stops_at_once_but_one_odd_row_does_not():
  with pytest.raises(UserError, match='f.jsonl:1: no column text; columns there: words, id'):
    read('m' + 'g' * 1000)
  with pytest.raises(UserError, match='f.jsonl:2: no column'):
    read('bm' + 'g' * 1000)
  assert read('g' * 500 + 'm')[1].bad == {'no column text': 1}


def test_nothing_read_or_nothing_left():
  with pytest.raises(UserError, match='f.jsonl: no rows'):
    read('')
  with pytest.raises(UserError, match=r'none of 3 rows is left \(3 not wanted\)'):
    read('ddd')


def test_printed_as_a_short_table():
  report = Report('corpus')
  list(sift([('/a/b/c.jsonl:7', 'd'), ('/a/b/c.jsonl:8', 'n')], convert, report, 'f'))
  assert str(report).splitlines() == [
    'corpus: 2 rows read, 1 kept',
    '        1 dropped not wanted: b/c.jsonl:7',
    '        1 noted   odd',
  ]
