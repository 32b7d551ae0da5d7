"""Sources that are files: what they give, in which order, from where, and what of bad rows."""

import hashlib
import json

import pytest

from jaxalign.config import UserError
from jaxalign.data.hh import HH
from jaxalign.data.libraries import HuggingFace, Tfds
from jaxalign.data.records import Document
from jaxalign.data.report import Report
from jaxalign.data.rows import Columns
from jaxalign.data.sources import Jsonl, Shipped, Text
from jaxalign.sealing import seal, to_json
from tests.data.written import A, jsonl


def records(source):
  return [record for _, record in source.read()]


def test_jsonl_over_files(tmp_path):
  jsonl(tmp_path / 'b.jsonl', [dict(text='three\u2028é')])
  jsonl(tmp_path / 'a.jsonl.gz', [dict(text='one', id=7), dict(text='two', id=8)])
  found = list(Jsonl(path=f'{tmp_path}/*.jsonl*', kind='document').read())
  assert found == [
    (f'{tmp_path}/a.jsonl.gz:1', Document('one')),
    (f'{tmp_path}/a.jsonl.gz:2', Document('two')),
    (f'{tmp_path}/b.jsonl:1', Document('three\u2028é')),
  ]
  source = Jsonl(path=f'{tmp_path}/a.jsonl.gz', kind='document', columns=Columns(meta=('id',)))
  assert [record.meta for _, record in source.read()] == [(('id', '7'),), (('id', '8'),)]


def test_every_bad_line_is_skipped_counted_and_named(tmp_path):
  path, good = tmp_path / 'f.jsonl', b'{"text": "fine"}\n'
  bad = {
    'invalid JSON': b'{"text": "cut\n',
    'invalid UTF-8': b'{"text": "\xff"}\n',
    'text is not text': b'{"text": 3}\n',
    'text is empty': b'{"text": " "}\n',
    'no column text': b'{}\n',
    'not a JSON object': b'[1]\n',
    'text holds half a surrogate pair': b'{"text": "\\ud83d"}\n',
  }
  path.write_bytes(good * 700 + b'\n' + b''.join(bad.values()))
  report = Report()
  assert len(list(Jsonl(path=str(path), kind='document').read(report))) == report.kept == 700
  assert report.read == 707 and report.bad == dict.fromkeys(bad, 1)
  assert report.examples['invalid JSON'] == [f'{path}:702']  # the blank line counts as a line
  path.write_bytes(good * 600 + b''.join(bad.values()))
  with pytest.raises(UserError, match=rf'7 of 607 .*invalid JSON at {path}:601; invalid UTF-8'):
    list(Jsonl(path=str(path), kind='document').read())


def test_a_wrong_file_stops_at_once(tmp_path):
  path = jsonl(tmp_path / 'f.jsonl', [dict(body='x', id=1)] * 5)
  for source, message in (
    (Jsonl(path=path, kind='document'), 'no column text; columns there: body, id'),
    (Jsonl(path=path + 'x', kind='document'), 'f.jsonlx does not exist'),
    (Text(path=str(tmp_path)), 'is a directory'),
  ):
    with pytest.raises(UserError, match=message):
      next(source.read())
  (tmp_path / 'empty.jsonl').write_text('\n\n')
  with pytest.raises(UserError, match='empty.jsonl: no rows in it'):
    next(Jsonl(path=f'{tmp_path}/empty.jsonl', kind='document').read())


def test_text(tmp_path):
  path = tmp_path / 'a.txt'
  path.write_bytes('one\r\ntwo é\n \n\n\nthree\n'.encode())

  def read(split):
    found = Text(path=str(path), split=split).read()
    return [(where.removeprefix(f'{path}:'), record.text) for where, record in found]

  assert read('file') == [('1', 'one\r\ntwo é\n \n\n\nthree\n')]
  assert read('line') == [('1', 'one'), ('2', 'two é'), ('6', 'three')]
  assert read('blank') == [('1', 'one\ntwo é'), ('6', 'three')]


def test_text_of_many_files_with_one_bad(tmp_path):
  for n in range(120):
    (tmp_path / f'{n:03}.txt').write_bytes(b'\xff' if n == 60 else b'fine')
  report = Report()
  assert len(list(Text(path=f'{tmp_path}/*.txt').read(report))) == 119
  assert report.examples == {'invalid UTF-8': [f'{tmp_path}/060.txt:1']}


def splits(name):
  return [records(Shipped(name=name, split=split)) for split in ('train', 'validation', None)]


def test_the_shipped_explanations():
  train, validation, both = splits('value_explanations')
  assert len(train) == 199 and len(validation) == 23 and set(both) == {*train, *validation}
  meta = dict(validation[0].meta)
  assert list(meta) == ['id', 'value', 'type', 'spec', 'provenance', 'split']
  assert meta['split'] == 'validation' and len(validation[0].text.split()) > 100


def test_the_shipped_conversations():
  forms = 'pair', 'prompt', 'conversation'
  pairs, prompts, dialogues = (records(Shipped(name='conversations', as_=form)) for form in forms)
  assert len(pairs) == len(prompts) == len(dialogues) == 124
  for pair, prompt, dialogue in zip(pairs, prompts, dialogues):
    assert pair.prompt == prompt.turns
    assert (*pair.prompt, A(pair.chosen)) == dialogue.turns
  with pytest.raises(UserError, match='no splits'):
    seal(Shipped(name='conversations', split='train'))


def test_the_shipped_pairs():
  train, validation, both = splits('pairs')
  assert len(train) == 200 and len(validation) == 48 and len(both) == 248
  assert {pair.subset for pair in train} == {pair.subset for pair in validation}
  assert not {pair.prompt for pair in train} & {pair.prompt for pair in validation}


@pytest.mark.parametrize(
  'source',
  [
    Jsonl(path=('a.jsonl', 'b.jsonl'), kind='pair', columns=Columns(margin='by')),
    Text(path='gs://bucket/*.txt', split='blank'),
    Shipped(name='value_explanations', split='train'),
    HH(path='hh-rlhf', subsets=('helpful-base',), split='test', as_='prompt'),
    HuggingFace(name='org/data', revision='0' * 40, kind='conversation', streaming=True),
    Tfds(name='value_explanations', kind='document', data_dir='data'),
  ],
)
def test_sources_are_configs(source):
  seal(source)
  assert json.loads(to_json(source))['class'].endswith(f':{type(source).__name__}')
  assert isinstance(source.name, str) and source.name


def test_a_sha256_is_of_one_file_and_its_content(tmp_path):
  path = jsonl(tmp_path / 'f.jsonl', [dict(text='one')])
  digest = hashlib.sha256((tmp_path / 'f.jsonl').read_bytes()).hexdigest()
  source = Jsonl(path=path, kind='document', sha256=digest)
  assert records(source) == [Document('one')]
  jsonl(tmp_path / 'f.jsonl', [dict(text='two')])
  with pytest.raises(UserError, match='f.jsonl is not what it was: its sha256 is .* asked for'):
    list(source.read())
  jsonl(tmp_path / 'g.jsonl', [dict(text='one')])
  with pytest.raises(UserError, match='sha256 is of one file, and these are 2'):
    list(Jsonl(path=f'{tmp_path}/*.jsonl', kind='document', sha256='0' * 64).read())
