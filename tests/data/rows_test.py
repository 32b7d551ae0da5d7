"""Rows of every shape that is about, and why each of the others gives no record."""

import collections

import pytest

from jaxalign.config import UserError
from jaxalign.data import rows
from jaxalign.data.records import Conversation, Document, Pair, Prompt
from jaxalign.data.report import Fault, MissingColumn
from jaxalign.data.rows import Columns
from jaxalign.overrides import override
from jaxalign.sealing import seal
from tests.data.written import A, U

USER, ANSWER, WORSE = U('a'), A('b'), A('c')
ASKED = (USER,)
PAIR = dict(prompt='a', chosen='b', rejected='c')
GOOD = Pair(ASKED, 'b', 'c')
WHOLE = Conversation((USER, ANSWER))
SAID = '\n\nHuman: a\n\nAssistant: '


def said(*turns):
  return [dict(role=turn.role, content=turn.text) for turn in turns]


def record(row, kind, **columns):
  return rows.to_record(row, collections.Counter(), kind=kind, columns=Columns(**columns))


NAMED = dict(prompt='a', w='b', l='c', by=2, of='red')
NAMES = dict(chosen='w', rejected='l', margin='by', subset='of')
MADE = Document('té', (('n', '3'),))
DIALOGUES = dict(chosen=said(USER, ANSWER), rejected=said(USER, WORSE))


@pytest.mark.parametrize(
  'kind, row, columns, expected',
  [
    ('document', dict(text=' t '), {}, Document(' t ')),
    ('document', dict(body=b't\xc3\xa9', n=3), dict(text='body', meta=('n',)), MADE),
    ('conversation', dict(messages=said(USER, ANSWER)), {}, WHOLE),
    ('conversation', dict(prompt='a', out='b'), dict(answer='out'), WHOLE),
    ('prompt', dict(prompt='a'), {}, Prompt(ASKED)),
    ('prompt', dict(Question='a'), dict(prompt='Question'), Prompt(ASKED)),
    ('prompt', dict(prompt=said(USER)), {}, Prompt(ASKED)),
    ('prompt', dict(messages=said(USER, ANSWER)), dict(prompt=None), Prompt(ASKED)),
    ('pair', PAIR, {}, GOOD),
    ('pair', PAIR | dict(prompt=said(USER), chosen=said(ANSWER)), {}, GOOD),
    ('pair', DIALOGUES, dict(prompt=None), GOOD),
    ('pair', dict(chosen=f'{SAID}b', rejected=f'{SAID}c'), dict(prompt=None), GOOD),
    ('pair', NAMED, NAMES, Pair(ASKED, 'b', 'c', 2.0, 'red')),
    ('pair', PAIR | dict(by=None), dict(margin='by'), GOOD),
  ],
)
def test_rows(kind, row, columns, expected):
  assert record(row, kind, **columns) == expected


@pytest.mark.parametrize(
  'kind, row, columns, reason',
  [
    ('document', ['text'], {}, 'not a JSON object'),
    ('document', 'text', {}, 'not a JSON object'),
    ('document', dict(text=3), {}, 'text is not text'),
    ('document', dict(text=None), {}, 'text is not text'),
    ('document', dict(text='\n'), {}, 'text is empty'),
    ('document', dict(text=b'\xff'), {}, 'invalid UTF-8'),
    ('document', dict(text='x\udc80'), {}, 'text holds half a surrogate pair'),
    ('conversation', dict(messages=said(USER)), {}, 'no assistant turn'),
    ('pair', PAIR | dict(rejected=''), {}, 'rejected is empty'),
    ('pair', PAIR | dict(chosen=said(USER, ANSWER)), {}, 'chosen is a whole dialogue'),
    ('pair', PAIR | dict(by='x'), dict(margin='by'), 'by is not a number'),
    ('pair', PAIR | dict(by=float('nan')), dict(margin='by'), 'by is not a number'),
    ('pair', PAIR | dict(by=True), dict(margin='by'), 'by is not a number'),
  ],
)
def test_bad_rows(kind, row, columns, reason):
  with pytest.raises(Fault, match=reason):
    record(row, kind, **columns)


@pytest.mark.parametrize(
  'kind, row, remedy',
  [
    ('document', dict(body='x', id=1), 'no column text; columns there: body, id'),
    ('pair', dict(chosen='x', rejected='y'), 'columns there: chosen, rejected; where chosen holds'),
    ('prompt', dict(question='x'), 'no column prompt; columns there: question; name the one'),
    ('conversation', {}, 'no column messages; columns there: none'),
  ],
)
def test_a_missing_column_names_those_there(kind, row, remedy):
  with pytest.raises(MissingColumn) as caught:
    record(row, kind)
  assert remedy in caught.value.remedy


@pytest.mark.parametrize(
  'line, reason',
  [
    (b'{"text": "x"', 'invalid JSON'),
    (b'', 'invalid JSON'),
    (b'{"text": "\xff"}', 'invalid UTF-8'),
    (b'[' * 100_000, 'invalid JSON'),
  ],
)
def test_lines_that_are_no_json(line, reason):
  with pytest.raises(Fault, match=reason):
    rows.parse(line)


def test_columns_are_a_config():
  columns = Columns()
  override(columns, 'prompt', 'none')
  override(columns, 'meta', 'id,value')
  assert columns == Columns(prompt=None, meta=('id', 'value'))
  seal(columns)
  with pytest.raises(UserError, match='meta'):
    seal(Columns(meta=['id']))
