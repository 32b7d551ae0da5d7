"""Cases of data: files that no corpus is, for every kind of record and the stage that reads it."""

import gzip
import json
import os
import random

from benchmarks.faults.case import run_case

ROWS = {
  'document': {'text': 'it is kind to say why .'},
  'conversation': {
    'messages': [
      {'role': 'user', 'content': 'may I ?'},
      {'role': 'assistant', 'content': 'you may .'},
    ]
  },
  'pair': {'prompt': 'may I ?', 'chosen': 'you may .', 'rejected': 'no .'},
  'prompt': {'prompt': 'may I ?'},
}
READERS = {
  'explain': ('document', 'train.0.source.path'),
  'sft': ('conversation', 'train.0.source.path'),
  'reward': ('pair', 'train.0.path'),
  'dpo': ('pair', 'train.0.path'),
  'ppo': ('prompt', 'prompts.path'),
  'bon': ('prompt', 'prompts.path'),
}


def lines(*rows):
  return '\n'.join(json.dumps(row) for row in rows).encode() + b'\n'


def changed(row, value):
  """The row with all that is text in it replaced."""
  if isinstance(row, dict):
    return {k: row[k] if k == 'role' else changed(row[k], value) for k in row}
  return [changed(x, value) for x in row] if isinstance(row, list) else value


def damages(row):
  """{name: the bytes of the file}; every row of it is bad."""
  good, noise = lines(row), random.Random(0).randbytes(4000)
  renamed = {f'{k}_': v for k, v in row.items()}
  return {
    'empty': b'',
    'blank lines': b'\n \n\t\n' * 50,
    'binary': noise.replace(b'\n', b'\0'),
    'UTF-16': good.decode().encode('utf-16'),
    'not UTF-8': lines(changed(row, 'XY')).replace(b'XY', b'\xff'),
    'torn': good[: len(good) * 2 // 3],
    'nested deep': b'[' * 100_000 + b'\n',
    'objects nested deep': b'{"text":' * 100_000 + b'\n',
    'wrong keys': lines(renamed),
    'nulls': lines(changed(row, None)),
    'numbers for text': lines(changed(row, 7)),
    'lists for text': lines(changed(row, [1])),
    'a bare word': b'hello\n',
    'an array': b'[1, 2]\n',
    'lone surrogates': lines(changed(row, '\ud800')),
    'NaN': b'NaN\n',
    'a huge integer': b'9' * 10_000 + b'\n',
    'empty text': lines(changed(row, '')),
  }


def written(content, name='rows.jsonl'):
  return lambda place: (place / name).write_bytes(content)


def kinds_of_place(good):
  """(name, how it is made, the file's name) of what is no plain file of rows."""
  packed = gzip.compress(good * 1000)

  def loop(place):
    os.symlink('rows.jsonl', place / 'rows.jsonl')

  yield 'a fifo', lambda place: os.mkfifo(place / 'rows.jsonl'), 'rows.jsonl'
  yield 'a directory', lambda place: (place / 'rows.jsonl').mkdir(), 'rows.jsonl'
  yield 'not there', None, 'rows.jsonl'
  yield 'a circle of links', loop, 'rows.jsonl'
  yield 'gz that is torn', written(packed[: len(packed) // 2], 'rows.jsonl.gz'), 'rows.jsonl.gz'
  yield 'gz that is none', written(good, 'rows.jsonl.gz'), 'rows.jsonl.gz'
  yield 'gz without content', written(b'', 'rows.jsonl.gz'), 'rows.jsonl.gz'
  yield 'a pattern of nothing', None, '*.jsonl'
  yield 'a fifo by pattern', lambda place: os.mkfifo(place / 'a.jsonl'), '*.jsonl'


def cases():
  for stage, (kind, field) in READERS.items():
    good = lines(ROWS[kind]) * 40
    every = [
      (name, written(content), 'rows.jsonl') for name, content in damages(ROWS[kind]).items()
    ]
    for name, make, file in [*every, *kinds_of_place(good)]:
      more = (f'--config.{field}={{place}}/{file}',)
      says = r'rows\.jsonl|path|\*\.jsonl|a\.jsonl'
      yield run_case(
        f'{stage}: {name}',
        kind='data',
        stage=f'{stage}_of_file',
        more=more,
        make=make,
        says=says,
        limit=30,
      )
