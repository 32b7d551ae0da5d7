"""Corpora on disk: what goes in comes out, once, also after a kill."""

import dataclasses
import hashlib
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.data import chat, dialogues, prepare, prepared, shards
from jaxalign.data.records import Conversation, Document
from jaxalign.data.rows import Columns
from jaxalign.data.sources import Jsonl
from jaxalign.data.text import Tokenizer
from tests.data.written import A, U, jsonl

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORDS = [f'w{n}' for n in range(50)]
FORM = chat.ChatFormat(
  name='words', user='w0 {user} w1', system='{system} {user}', answer=' {answer}'
)


@pytest.fixture(scope='module')
def tokenizer():
  return Tokenizer.from_vocab(WORDS)


def texts_of(count, seed=0, longest=30):
  rng = np.random.default_rng(seed)
  return [' '.join(rng.choice(WORDS, rng.integers(1, longest))) for _ in range(count)]


def documents(path, texts):
  return rows_of(path, [{'text': text} for text in texts], 'document')


def rows_of(path, rows, kind):
  return Jsonl(path=jsonl(path, rows), kind=kind)


def made(source, tokenizer, place, length=64, **options):
  return prepare.prepare(source, tokenizer, FORM, place, length=length, **options)


def test_documents_come_out_as_they_went_in(tmp_path, tokenizer):
  texts = texts_of(100)
  corpus = made(documents(tmp_path / 'a.jsonl', texts), tokenizer, tmp_path / 'out')
  assert len(corpus) == 100
  for n in np.random.default_rng(1).permutation(100):
    example = corpus.example(n)
    alone = dialogues.encode(FORM, tokenizer, Document(texts[n]))
    assert example.tokens.tolist() == alone.tokens.tolist()
    assert example.weight.tolist() == alone.weight.tolist()
    assert corpus.lengths[n] == len(alone.tokens)
  facts = corpus.manifest
  assert facts['tokens'] == int(corpus.lengths.sum()) == facts['learned'] + 100
  assert (facts['examples'], facts['records'], facts['kind']) == (100, 100, 'example')
  assert facts['largest_id'] == tokenizer.eos and sum(facts['shards']) == 100


def test_conversations_keep_their_weights(tmp_path, tokenizer):
  said = [{'role': r, 'content': c} for r, c in (('user', 'w3'), ('assistant', 'w4 w5'))]
  source = rows_of(tmp_path / 'c.jsonl', [{'messages': said}], 'conversation')
  example = made(source, tokenizer, tmp_path / 'out').example(0)
  alone = dialogues.encode(FORM, tokenizer, Conversation((U('w3'), A('w4 w5'))))
  assert example.tokens.tolist() == alone.tokens.tolist()
  assert tokenizer.decode(example.tokens[example.weight], skip_special=False) == 'w4 w5 <eos>'


@pytest.mark.parametrize('workers', [1, 2])
def test_many_shards_are_one_corpus(tmp_path, tokenizer, monkeypatch, workers):
  source = documents(tmp_path / 'a.jsonl', texts_of(400))
  whole = made(source, tokenizer, tmp_path / 'whole')
  monkeypatch.setattr(prepare, 'SHARD', (500, 2000))
  monkeypatch.setattr(prepare, 'IN_MEMORY', 1000)  # so that the source is read twice
  corpus = made(source, tokenizer, tmp_path / 'cut', workers=workers)
  assert len(corpus.manifest['shards']) > 10
  some = np.random.default_rng(0).permutation(400)
  for a, b in zip(corpus.codes(some), whole.codes(some)):
    np.testing.assert_array_equal(a, b)
  assert corpus.directory.name == whole.directory.name
  names = [file.name for file in corpus.directory.iterdir()]
  assert not [name for name in names if name.endswith(('.tmp', '.arrayrecord.json'))]


@pytest.mark.parametrize('length', [1, 2, 5, 16])
def test_long_documents_are_split_and_nothing_is_lost(tmp_path, tokenizer, length):
  texts = texts_of(50)
  corpus = made(documents(tmp_path / 'a.jsonl', texts), tokenizer, tmp_path, length, long='split')
  got = np.concatenate([codes >> 1 for codes in corpus.codes(range(len(corpus)))])
  want = np.concatenate(tokenizer.encode_batch(texts, eos=True))
  np.testing.assert_array_equal(got, want)
  assert corpus.lengths.max() == length
  assert not any(corpus.example(n).weight[0] for n in range(len(corpus)))


def test_long_examples_are_dropped_and_counted(tmp_path, tokenizer, capsys):
  texts = [' '.join(['w1'] * n) for n in (8, 9, 3)]  # and <bos> and <eos>
  corpus = made(documents(tmp_path / 'a.jsonl', texts), tokenizer, tmp_path, 10)
  assert corpus.lengths.tolist() == [10, 5]
  assert corpus.manifest['dropped'] == {'longer than 10 tokens': 1}
  assert corpus.manifest['records'] == 2
  said = capsys.readouterr().err
  assert 'longer than 10 tokens' in said and 'a.jsonl:2' in said and '2 examples, 15 tokens' in said
  assert 'docs/s' in said and 'tokens/s' in said


def test_every_bad_row_is_named_where_it_can_be_read_later(tmp_path, tokenizer, capsys):
  path, bad = tmp_path / 'a.jsonl', (7, 107, 207, 307, 407)
  lines = ['{"text": ' if n in bad else '{"text": "w1 w2"}' for n in range(1, 601)]
  path.write_text(''.join(f'{line}\n' for line in lines))
  corpus = made(Jsonl(path=str(path), kind='document'), tokenizer, tmp_path)
  assert corpus.manifest['bad_rows'] == {'invalid JSON': [f'{path}:{n}' for n in bad]}
  said = capsys.readouterr().err
  assert 'a.jsonl:207' in said and 'a.jsonl:307' not in said and 'names every bad row' in said


def test_a_conversation_is_not_split(tmp_path, tokenizer):
  rows = [{'prompt': 'w1', 'answer': text} for text in ('w2', ' '.join(['w3'] * 40))]
  path = rows_of(tmp_path / 'c.jsonl', rows, 'conversation').path
  source = Jsonl(path=path, kind='conversation', columns=Columns(answer='answer'))
  corpus = made(source, tokenizer, tmp_path, 16, long='split')
  assert len(corpus) == 1 and corpus.manifest['dropped'] == {'longer than 16 tokens': 1}


def test_the_same_again_is_found_and_anything_else_is_not(tmp_path, tokenizer, capsys):
  source = documents(tmp_path / 'a.jsonl', texts_of(20))
  first = made(source, tokenizer, tmp_path).directory
  capsys.readouterr()
  copied = documents(tmp_path / 'copied.jsonl', texts_of(20))
  assert made(copied, tokenizer, tmp_path).directory == first
  assert 'docs/s' not in capsys.readouterr().err  # nothing was tokenized
  others = {
    made(documents(tmp_path / 'b.jsonl', texts_of(20, seed=1)), tokenizer, tmp_path).directory,
    made(source, Tokenizer.from_vocab([*WORDS, 'more']), tmp_path).directory,
    made(source, tokenizer, tmp_path, 63).directory,
    made(source, tokenizer, tmp_path, long='split').directory,
    prepare.prepare(source, tokenizer, chat.TRANSCRIPT, tmp_path, length=64).directory,
  }
  assert len(others | {first}) == 6


KILLED = """
import sys
from jaxalign.data import chat, prepare
from jaxalign.data.sources import Jsonl
from jaxalign.data.text import Tokenizer
if __name__ == '__main__':
  source, place, workers = sys.argv[1:]
  prepare.SHARD = (3000, 3000)
  user, system = 'w0 {user} w1', '{system} {user}'
  form = chat.ChatFormat(name='words', user=user, system=system, answer=' {answer}')
  prepare.prepare(
    Jsonl(path=source, kind='document'), Tokenizer.from_vocab([f'w{n}' for n in range(50)]), form,
    place, length=64, workers=int(workers),
  )
"""


@pytest.mark.parametrize('workers', [1, 2])
def test_a_killed_run_goes_on(tmp_path, tokenizer, monkeypatch, workers):
  source = documents(tmp_path / 'a.jsonl', texts_of(5000, longest=60))
  (tmp_path / 'run.py').write_text(KILLED)
  command = [sys.executable, str(tmp_path / 'run.py'), source.path, str(tmp_path / 'out')]
  env = os.environ | {'PYTHONPATH': str(ROOT)}
  run = subprocess.Popen([*command, str(workers)], env=env, stderr=subprocess.DEVNULL)
  try:
    deadline = time.monotonic() + 60
    while len(sides := list((tmp_path / 'out').glob('*/*.json'))) < 3:
      assert time.monotonic() < deadline and run.poll() is None, 'it never got so far'
      time.sleep(0.001)
  finally:
    run.send_signal(signal.SIGKILL)
    run.wait()
  assert all(side.name != 'manifest.json' for side in sides), 'killed too late to test anything'
  time.sleep(0.5 if workers > 1 else 0)  # its processes notice, and end
  sides = (tmp_path / 'out').glob('*/*.json')
  done = {side.stem: side.with_suffix('').stat().st_mtime_ns for side in sides}
  monkeypatch.setattr(prepare, 'SHARD', (3000, 3000))
  corpus = made(source, tokenizer, tmp_path / 'out')
  assert [corpus.directory] == list((tmp_path / 'out').iterdir())
  for name, when in done.items():
    there = pathlib.Path(corpus.directory / name)
    assert there.stat().st_mtime_ns == when, 'a finished shard was done again'
  fresh = made(source, tokenizer, tmp_path / 'fresh')
  assert corpus.manifest == fresh.manifest
  for n in range(len(fresh.manifest['shards'])):
    a, b = (pathlib.Path(shards.shard_path(c.directory, n)).read_bytes() for c in (corpus, fresh))
    assert a == b


def test_pairs_lie_side_by_side(tmp_path, tokenizer):
  rows = [{'prompt': 'w1', 'chosen': f'w{n}', 'rejected': 'w9 w9'} for n in (2, 3)]
  rows.append({'prompt': 'w1', 'chosen': 'w2', 'rejected': ' '.join(['w9'] * 99)})
  corpus = made(rows_of(tmp_path / 'p.jsonl', rows, 'pair'), tokenizer, tmp_path)
  assert (corpus.kind, len(corpus)) == ('pair', 4)
  texts = [tokenizer.decode(corpus.example(n).tokens) for n in range(4)]
  assert texts == [f'w0 w1 w1 {answer}' for answer in ('w2', 'w9 w9', 'w3', 'w9 w9')]


@pytest.mark.skipif(os.name != 'posix', reason='limits the size of files')
def test_a_full_disk_is_one_line(tmp_path, tokenizer):
  source = documents(tmp_path / 'a.jsonl', texts_of(300))
  (tmp_path / 'run.py').write_text(KILLED)
  command = [sys.executable, str(tmp_path / 'run.py'), source.path, str(tmp_path / 'out')]
  how = dict(env=os.environ | {'PYTHONPATH': str(ROOT)}, capture_output=True, text=True)

  def limit():
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))

  for workers in ('1', '2'):
    run = subprocess.run([*command, workers], preexec_fn=limit, **how)
    last = run.stderr.strip().splitlines()[-1]
    assert run.returncode and 'UserError' in last and 'make room' in last and 'too large' in last
  assert not list((tmp_path / 'out').glob('*/manifest.json'))


def test_bad_input_is_one_line(tmp_path, tokenizer):
  source = documents(tmp_path / 'a.jsonl', ['w1 w2 w3'])
  with pytest.raises(UserError, match='nothing is left .1 longer than 3 tokens.*raise length'):
    made(source, tokenizer, tmp_path, 3)
  with pytest.raises(UserError, match='at least 1'):
    made(source, tokenizer, tmp_path, 0)
  with pytest.raises(UserError, match='a.jsonl:1 holds examples: pairs are wanted'):
    made(source, tokenizer, tmp_path / 'none', kind='pair')
  assert not (tmp_path / 'none').exists()  # it was not tokenised first
  (tmp_path / 'empty.jsonl').write_text('')
  with pytest.raises(UserError, match='no rows'):
    made(Jsonl(path=str(tmp_path / 'empty.jsonl'), kind='document'), tokenizer, tmp_path)
  (tmp_path / 'file').write_text('')
  with pytest.raises(UserError, match='cannot be made'):
    made(source, tokenizer, tmp_path / 'file')
  with pytest.raises(UserError, match='w77'):
    made(documents(tmp_path / 'odd.jsonl', ['w77']), tokenizer, tmp_path)
  with pytest.raises(UserError, match='not a prepared corpus'):
    prepared.Prepared(tmp_path)


def test_a_lost_shard_is_one_line(tmp_path, tokenizer):
  corpus = made(documents(tmp_path / 'a.jsonl', texts_of(5)), tokenizer, tmp_path)
  pathlib.Path(shards.shard_path(corpus.directory, 0)).write_bytes(b'torn')
  with pytest.raises(UserError, match='cannot be read'):
    prepared.Prepared(corpus.directory).example(0)


def pinned(path, texts):
  source = documents(path, texts)
  source.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
  return source


def test_a_corpus_whose_content_is_given_is_read_once(tmp_path, tokenizer):
  source = pinned(tmp_path / 'a.jsonl', texts_of(20))
  first = made(source, tokenizer, tmp_path / 'out')
  (tmp_path / 'a.jsonl').unlink()  # whoever opened it would miss it
  again = made(source, tokenizer, tmp_path / 'out')
  assert again.directory == first.directory and len(again) == 20
  with pytest.raises(UserError):
    made(source, tokenizer, tmp_path / 'out', length=32)  # other options are another corpus
  with pytest.raises(UserError):
    made(dataclasses.replace(source, sha256='0' * 64), tokenizer, tmp_path / 'out')


def test_a_corpus_that_was_removed_is_made_again_though_it_was_noted(tmp_path, tokenizer):
  source = pinned(tmp_path / 'a.jsonl', texts_of(20))
  shutil.rmtree(made(source, tokenizer, tmp_path / 'out').directory)
  assert len(made(source, tokenizer, tmp_path / 'out')) == 20


def test_what_lies_in_memory_is_what_lies_in_the_shards(tmp_path, tokenizer, monkeypatch):
  corpus = made(documents(tmp_path / 'a.jsonl', texts_of(200)), tokenizer, tmp_path / 'out')
  order = np.random.default_rng(0).permutation(200)
  held = corpus.codes(order)
  monkeypatch.setattr(prepared, 'HELD', 0)
  monkeypatch.setattr(prepared, '_held', None)
  read = corpus.codes(order)
  for one, other in zip(held, read, strict=True):
    assert one.dtype == other.dtype and one.tolist() == other.tolist()
