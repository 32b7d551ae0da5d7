"""Cases that are odd and right: each runs to its end with status 0 and finite losses."""

import functools
import gzip
import json
import os
import shutil

from benchmarks.faults.case import DONE, run_case
from benchmarks.faults.data import ROWS, lines

FIELDS = {
  'one step': ('steps=1', 'eval_every=1', 'optim.schedule.warmup=0'),
  'one row': ('batch=1',),
  'rows of two tokens': ('length=2',),
  'the largest seed': (f'seed={2**32 - 1}',),
  'no clipping': ('optim.clip=none',),
  'warm-up of all but one': ('optim.schedule.warmup=7',),
  'a save every step': ('saving.every=1', 'saving.keep=1'),
  'no save on the way': ('saving.every=999',),
  'no evaluation on the way': ('eval_every=999',),
  'a word every step': ('logging.every=1',),
  'microbatches of one row': ('microbatches=2',),
  'calls of two steps': ('steps_per_call=2',),
  'a call of all steps': ('steps_per_call=8', 'saving.every=8', 'eval_every=8'),
  'momentum of nothing': ('optim.b1=0.0',),
  'a shape of wsd': ('optim.schedule.shape=wsd', 'optim.schedule.decay=1.0'),
  'a rate so small that nothing moves': ('optim.lr=1e-12',),
  'a weight of a half': ('train.0.weight=0.5',),
  'bfloat16': ('model.dtype=bfloat16',),
  'a mesh by name': ('mesh.fsdp=1', 'mesh.data=1'),
  'milestones': ('saving.milestone=3',),
}
TEXT = 'it is kind to say why , and to ask . ' * 20


def files():
  """{name: (file, content)} of documents that are read as they are."""
  row = {'text': TEXT}
  good = lines(row) * 40
  return {
    'CRLF': ('rows.jsonl', good.replace(b'\n', b'\r\n')),
    'a byte order mark': ('rows.jsonl', b'\xef\xbb\xbf' + good),
    'blank lines between': ('rows.jsonl', good.replace(b'\n', b'\n\n \n')),
    'no newline at the end': ('rows.jsonl', good.rstrip()),
    'gz': ('rows.jsonl.gz', gzip.compress(good)),
    'gz in two parts': ('rows.jsonl.gz', gzip.compress(good) + gzip.compress(good)),
    'one row': ('rows.jsonl', lines({'text': TEXT * 10})),
    'one huge row': ('rows.jsonl', lines({'text': TEXT * 3000})),
    'other keys beside': ('rows.jsonl', lines(row | {'a': None, 'b': [{'c': 1}]}) * 40),
    'many alphabets': ('rows.jsonl', lines({'text': '你好，世界 😀 e\u0301 ﷺ ' * 30}) * 20),
    'names of controls': ('rows.jsonl', lines({'text': '<|eos|> <s> [INST] {user} ' * 30}) * 20),
    'a bad row among good': ('rows.jsonl', good * 3 + b'{"text": \n' + good),
  }


def cases(root):
  for name, fields in FIELDS.items():
    more = tuple(f'--config.{field}' for field in fields)
    yield run_case(name, kind='valid', more=more, status=DONE, limit=180)
  for name, (file, content) in files().items():
    make = functools.partial(
      lambda place, file, content: (place / file).write_bytes(content), file=file, content=content
    )
    more = (f'--config.train.0.source.path={{place}}/{file}', '--config.held_out=()')
    yield run_case(
      f'documents: {name}',
      kind='valid',
      stage='explain_of_file',
      more=more,
      make=make,
      status=DONE,
      limit=180,
    )
  for name, workdir in (
    ('a workdir with spaces', '{place}/a b  c'),
    ('a workdir of other letters', '{place}/größe 漢'),
    ('a workdir with = and :', '{place}/a=b:c'),
    ('a workdir with ..', '{place}/x/../y'),
    ('a workdir with a slash behind', '{place}/run/'),
    ('a long name', '{place}/' + 'x' * 200),
  ):
    yield run_case(name, kind='valid', workdir=workdir, status=DONE, limit=180)

  def link(place):
    os.mkdir(place / 'there')
    os.symlink('there', place / 'run')

  yield run_case('a workdir by a link', kind='valid', make=link, status=DONE, limit=180)
  for name, make in models(root):
    more = ('--config.init={place}/hf', '--config.tokenizer=none')
    yield run_case(name, kind='valid', more=more, make=make, status=DONE, limit=180)


def models(root):
  def changed(**new):
    def make(place):
      shutil.copytree(root / 'hf', place / 'hf')
      path = place / 'hf/config.json'
      raw = {k: v for k, v in (json.loads(path.read_text()) | new).items() if v is not ...}
      path.write_text(json.dumps(raw))

    return make

  yield 'a model as it is', changed()
  yield 'a model of a later release', changed(transformers_version='99.0', use_cache=False)
  yield 'a model without head_dim', changed(head_dim=...)


def of_each_stage():
  """A whole run of every stage, from a file of one kind of record each."""
  from benchmarks.faults.data import READERS

  for stage, (kind, field) in READERS.items():
    rows = lines(ROWS[kind]) * 40
    make = functools.partial(lambda place, rows: (place / 'r.jsonl').write_bytes(rows), rows=rows)
    more = [f'--config.{field}={{place}}/r.jsonl']
    more += ['--config.held_out=()'] if stage in ('explain', 'sft', 'reward', 'dpo') else []
    more += ['--config.held_out.path={place}/r.jsonl'] if stage == 'ppo' else []
    yield run_case(
      f'{stage} of a file',
      kind='valid',
      stage=f'{stage}_of_file',
      more=tuple(more),
      make=make,
      status=DONE,
      limit=240,
    )
