"""Rows of every shape that is about, and why each of the others gives no record."""

import collections

import pytest

from jaxalign.config import UserError
from jaxalign.data import rows
from jaxalign.data.records import Conversation, Document, Pair, Prompt, Turn
from jaxalign.data.report import Fault, MissingColumn
from jaxalign.data.rows import Columns
from jaxalign.overrides import override
from jaxalign.sealing import seal

USER, ANSWER = dict(role='user', content='a'), dict(role='assistant', content='b')
ASKED = (Turn('user', 'a'),)


def record(row, kind, **columns):
  return rows.to_record(row, collections.Counter(), kind=kind, columns=Columns(**columns))


@pytest.mark.parametrize(
  'kind, row, columns, expected',
  [
    ('document', dict(text=' t '), {}, Document(' t ')),
    (
      'document',
      dict(body=b't\xc3\xa9', n=3),
      dict(text='body', meta=('n',)),
      Document('té', (('n', '3'),)),
    ),
    (
      'conversation',
      dict(messages=[USER, ANSWER]),
      {},
      Conversation((*ASKED, Turn('assistant', 'b'))),
    ),
    (
      'conversation',
      dict(prompt='a', out='b'),
      dict(answer='out'),
      Conversation((*ASKED, Turn('assistant', 'b'))),
    ),
    ('prompt', dict(prompt='a'), {}, Prompt(ASKED)),
    ('prompt', dict(Question='a'), dict(prompt='Question'), Prompt(ASKED)),
    ('prompt', dict(prompt=[USER]), {}, Prompt(ASKED)),
    ('prompt', dict(messages=[USER, ANSWER]), dict(prompt=None), Prompt(ASKED)),
    ('pair', dict(prompt='a', chosen='b', rejected='c'), {}, Pair(ASKED, 'b', 'c')),
    ('pair', dict(prompt=[USER], chosen=[ANSWER], rejected='c'), {}, Pair(ASKED, 'b', 'c')),
    (
      'pair',
      dict(chosen=[USER, ANSWER], rejected=[USER, dict(role='assistant', content='c')]),
      dict(prompt=None),
      Pair(ASKED, 'b', 'c'),
    ),
    (
      'pair',
      dict(chosen='\n\nHuman: a\n\nAssistant: b', rejected='\n\nHuman: a\n\nAssistant: c'),
      dict(prompt=None),
      Pair(ASKED, 'b', 'c'),
    ),
    (
      'pair',
      dict(prompt='a', w='b', l='c', by=2, of='red'),
      dict(chosen='w', rejected='l', margin='by', subset='of'),
      Pair(ASKED, 'b', 'c', 2.0, 'red'),
    ),
    (
      'pair',
      dict(prompt='a', chosen='b', rejected='c', by=None),
      dict(margin='by'),
      Pair(ASKED, 'b', 'c'),
    ),
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
    ('conversation', dict(messages=[USER]), {}, 'no assistant turn'),
    ('pair', dict(prompt='a', chosen='b', rejected=''), {}, 'rejected is empty'),
    (
      'pair',
      dict(prompt='a', chosen=[USER, ANSWER], rejected='c'),
      {},
      'chosen is a whole dialogue',
    ),
    (
      'pair',
      dict(prompt='a', chosen='b', rejected='c', by='x'),
      dict(margin='by'),
      'by is not a number',
    ),
    (
      'pair',
      dict(prompt='a', chosen='b', rejected='c', by=float('nan')),
      dict(margin='by'),
      'by is not',
    ),
    (
      'pair',
      dict(prompt='a', chosen='b', rejected='c', by=True),
      dict(margin='by'),
      'by is not a number',
    ),
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
