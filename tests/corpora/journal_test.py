"""The journal: what was paid for stays, whatever kills the run; failures are no answers."""

import json
import os

import pytest

from jaxalign.config import UserError
from jaxalign.corpora.journal import Journal
from jaxalign.corpora.records import Answer, Failure

ODD = 'two\nlines, "quotes", ümlaut, \u2028 and \ud800'


def an_answer(n, text='said'):
  return Answer(call=f'{n:032x}', text=text, read=3, written=n, model='m', cost=0.5)


def test_answers_come_back_as_they_were(tmp_path):
  path = tmp_path / 'journal.jsonl'
  with Journal(path, 'plan') as journal:
    for n in range(3):
      journal.add(an_answer(n, ODD))
    journal.add(an_answer(1, 'another'))  # has its answer
  assert path.read_bytes().count(b'\n') == 4  # a line each, and the plan's
  with Journal(path, 'plan') as journal:
    assert len(journal) == 3 and journal.spent == 1.5
    assert journal.get(f'{1:032x}') == an_answer(1, ODD)
    assert journal.get('nobody') is None


def test_a_tail_torn_anywhere_is_cut_off(tmp_path):
  path = tmp_path / 'journal.jsonl'
  with Journal(path, 'plan') as journal:
    journal.add(an_answer(1))
    journal.add(an_answer(2))
  whole = path.read_bytes()
  second = whole[:-1].rfind(b'\n') + 1
  for size in range(len(whole)):
    path.write_bytes(whole[:size])
    with Journal(path, 'plan') as journal:
      there = whole[:size].count(b'\n')
      assert len(journal) == max(0, there - 1)
      journal.add(an_answer(1))
      journal.add(an_answer(2))
    assert path.read_bytes() == whole, size
  assert second < len(whole)


def test_a_damaged_line_is_asked_again_and_the_rest_stays(tmp_path):
  path = tmp_path / 'journal.jsonl'
  with Journal(path, 'plan') as journal:
    journal.add(an_answer(1))
    journal.add(an_answer(2))
  head, first, second = path.read_bytes().splitlines(keepends=True)
  path.write_bytes(head + b'\0' * 40 + b'\n' + second)
  with Journal(path, 'plan') as journal:
    assert journal.get(f'{1:032x}') is None and journal.get(f'{2:032x}') == an_answer(2)


def test_a_failure_is_counted_and_is_no_answer(tmp_path):
  path = tmp_path / 'journal.jsonl'
  with Journal(path, 'plan') as journal:
    journal.lost(Failure(call='a', why='503', cost=0.25))
    journal.lost(Failure(call='b', why='429'))
  with Journal(path, 'plan') as journal:
    assert journal.get('a') is None and len(journal) == 0
    assert journal.failed == 2 and journal.spent == 0.25


def test_anothers_journal_is_refused_by_one_line_and_left_alone(tmp_path):
  path = tmp_path / 'journal.jsonl'
  Journal(path, 'one plan').close()
  before = path.read_bytes()
  with pytest.raises(UserError, match='the journal of another plan .one plan there') as error:
    Journal(path, 'the other')
  assert '\n' not in str(error.value) and path.read_bytes() == before
  path.write_text('{"text": "of somebody else"}\n')
  with pytest.raises(UserError, match='no journal of this version'):
    Journal(path, 'one plan')
  with pytest.raises(UserError, match='buckets'):
    Journal('gs://bucket/journal.jsonl', 'one plan')


def test_a_full_disk_leaves_no_half_line(tmp_path, monkeypatch):
  path = tmp_path / 'journal.jsonl'
  journal = Journal(path, 'plan')
  journal.add(an_answer(1))
  write, room = os.write, [20]

  def nearly_full(file, data):
    if not room[0]:
      raise OSError(28, 'No space left on device')
    some, room[0] = data[: room[0]], 0
    return write(file, some)

  monkeypatch.setattr(os, 'write', nearly_full)
  with pytest.raises(OSError) as error:
    journal.add(an_answer(2))
  monkeypatch.undo()
  assert error.value.filename == str(path)
  assert journal.get(f'{2:032x}') is None
  journal.close()
  lines = path.read_bytes().splitlines(keepends=True)
  assert [json.loads(line).get('call') for line in lines] == [None, f'{1:032x}']
  with Journal(path, 'plan') as journal:
    journal.add(an_answer(2))
    assert len(journal) == 2
