"""Batches are functions of (seed, step): covered, mixed and laid out as loops would do it."""

import collections
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from jaxalign.config import UserError
from jaxalign.data import batches, chat, prepare
from jaxalign.data.batches import Batches, Pairs, Part, Pass, Prompts, check_fits
from jaxalign.data.rows import Columns
from jaxalign.data.sources import Jsonl
from jaxalign.data.text import Tokenizer
from tests.data.written import jsonl

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORDS = [f'w{n}' for n in range(500)]
BOS, EOS = 500, 501
FORM = chat.ChatFormat(name='words', user='{user} w1', system='{system} {user}', answer=' {answer}')
T = 16


def corpus_of(place, rows, kind='document', length=T, tokenizer=None, columns=Columns()):  # noqa: B008
  tokenizer = tokenizer or Tokenizer.from_vocab(WORDS)
  source = Jsonl(path=jsonl(place / 'rows.jsonl', rows), kind=kind, columns=columns)
  return prepare.prepare(source, tokenizer, FORM, place, length=length)


def documents(place, count, seed=0, longest=T - 2, **options):
  """Every length from 3 tokens to T exactly is there."""
  rng = np.random.default_rng(seed)
  sizes = [*range(1, longest + 1), *rng.integers(1, longest + 1, count)][:count]
  texts = [' '.join(rng.choice(WORDS, size)) for size in sizes]
  return corpus_of(place, [{'text': text} for text in texts], **options)


@pytest.fixture(scope='module')
def corpora(tmp_path_factory):
  place = tmp_path_factory.mktemp('corpora')
  return [documents(place / str(seed), 60 + 17 * seed, seed) for seed in range(3)]


def segments(rows):
  """Every segment of a batch as (tokens, weights), read by a loop over its slots."""
  names = ('tokens_BT', 'weight_BT', 'segment_BT', 'position_BT')
  for tokens, weight, segment, position in zip(*(rows[name] for name in names)):
    held, before = [], 0
    for t in range(len(tokens)):
      if segment[t] == 0:
        assert (tokens[t], weight[t], position[t]) == (0, 0, 0) and not segment[t:].any()
        break
      if segment[t] != before:
        assert segment[t] == before + 1 and weight[t] == 0
        held.append(([], []))
        before = segment[t]
      assert position[t] == len(held[-1][0])
      held[-1][0].append(int(tokens[t]))
      held[-1][1].append(int(weight[t]))
    yield from ((tuple(a), tuple(b)) for a, b in held)


def examples(corpus):
  found = (corpus.example(n) for n in range(len(corpus)))
  return collections.Counter((tuple(e.tokens.tolist()), tuple(map(int, e.weight))) for e in found)


def equal(a, b):
  return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize('pack', [True, False])
@pytest.mark.parametrize('batch', [1, 7, 64])
def test_every_example_once_an_epoch(corpora, pack, batch):
  corpus = corpora[0]
  made = Batches([Part(corpus)], T, batch, 3, pack)
  rows = len(made.tables[0].plan)
  for epoch in range(3):
    places = range(epoch * rows, (epoch + 1) * rows)
    seen = collections.Counter()
    for place in places:
      seen.update(segments(made.rows(place // batch, [place % batch])))
    assert seen == examples(corpus)
  assert made.order.steps_per_epoch == -(-rows // batch)
  if pack:
    assert made.tables[0].plan.efficiency(corpus.lengths, T) > 0.9 and rows < len(corpus) / 1.5


def test_dtypes_and_shapes(corpora):
  rows = Batches([Part(corpora[0])], T + 3, 4, 0).rows(0, [0, 2])
  assert {array.shape for array in rows.values()} == {(2, T + 3)}
  types = {name: array.dtype for name, array in rows.items()}
  assert types.pop('weight_BT') == np.float32 and set(types.values()) == {np.dtype(np.int32)}


def test_rows_are_the_same_in_any_order_and_subset(corpora):
  rng = np.random.default_rng(0)
  parts = [Part(corpus, weight) for corpus, weight in zip(corpora, (5, 3, 2))]
  for pack in (True, False):
    made, again = (Batches(parts, T, 12, 1, pack) for _ in range(2))
    assert made.order.shares == [5, 3, 2]
    assert made.order.sizes == [len(table.plan) for table in made.tables]
    for step in rng.integers(0, 10**6, 8):
      whole = made.rows(int(step), range(12))
      some = rng.permutation(12)[: rng.integers(1, 13)]
      picked = again.rows(int(step), some)
      assert equal(picked, {name: a[some] for name, a in whole.items()})


def test_the_same_in_another_process(corpora):
  code = (
    'import sys, hashlib\n'
    'from jaxalign.data.batches import Batches, Part\n'
    'from jaxalign.data.prepared import Prepared\n'
    'made = Batches([Part(Prepared(p), w) for p, w in zip(sys.argv[1:], (2, 1))], 16, 5, 9)\n'
    'rows = [made.rows(step, range(5)) for step in (0, 3, 10**5)]\n'
    'digest = hashlib.sha256(b"".join(r[n].tobytes() for r in rows for n in sorted(r)))\n'
    'print(digest.hexdigest())'
  )
  command = [sys.executable, '-c', code, *(str(corpus.directory) for corpus in corpora[:2])]
  runs = []
  for seed in '12':
    env = os.environ | {'PYTHONHASHSEED': seed, 'PYTHONPATH': str(ROOT)}
    runs.append(subprocess.check_output(command, env=env))
  assert runs[0] == runs[1] and len(runs[0]) > 60


def test_random_corpora_are_covered(tmp_path):
  rng = np.random.default_rng(0)
  for trial in range(12):
    length = int(rng.integers(3, 40))
    count = int(rng.integers(1, 60))
    corpus = documents(tmp_path / str(trial), count, trial, length - 2, length=length)
    width, batch = length + int(rng.integers(0, 9)), int(rng.integers(1, 9))
    made = Pass([corpus], width, batch, bool(rng.integers(2)))
    seen = collections.Counter(s for rows in made for s in segments(rows))
    assert seen == examples(corpus)


def test_one_token_and_whole_row_examples(tmp_path):
  bare = Tokenizer.from_vocab(WORDS, bos=None, eos=None)
  texts = ['w1', ' '.join(['w2'] * T), 'w3', ' '.join(['w4'] * (T - 1))]
  corpus = corpus_of(tmp_path, [{'text': text} for text in texts], tokenizer=bare)
  assert sorted(corpus.lengths) == [1, 1, T - 1, T]
  made = Batches([Part(corpus)], T, 3, 0)
  assert len(made.tables[0].plan) == 3
  seen = collections.Counter(segments(made.rows(0, range(3))))
  assert seen == examples(corpus) and sum(sum(w) for _, w in seen) == T - 1 + T - 2


def test_a_pass_is_finite_and_padded(corpora):
  made = Pass(corpora, T, 8)
  rows = list(made)
  assert len(rows) == made.steps and all(r['tokens_BT'].shape == (8, T) for r in rows)
  total = sum(len(table.plan) for table in made.tables)
  assert total % 8, 'the last batch should not be full, or this shows nothing'
  empty = rows[-1]['segment_BT'].max(1) == 0
  assert empty.tolist() == [n >= total % 8 for n in range(8)]
  assert not any(rows[-1][name][empty].any() for name in rows[-1])
  seen = collections.Counter(s for r in rows for s in segments(r))
  assert seen == sum((examples(c) for c in corpora), collections.Counter())
  assert equal(made.rows(1, [5, 2]), {name: a[[5, 2]] for name, a in rows[1].items()})


TEXTS = ('user', 'w5'), ('assistant', 'w6 w7'), ('user', 'w8')
ASKED = [{'role': role, 'content': text} for role, text in TEXTS]


def test_conversations_weigh_their_answers(tmp_path):
  rows = [{'messages': [*ASKED, {'role': 'assistant', 'content': 'w9'}]}]
  made = Batches([Part(corpus_of(tmp_path, rows, 'conversation'))], T, 1, 0).rows(0, [0])
  assert made['tokens_BT'][0, :11].tolist() == [BOS, 5, 1, 6, 7, EOS, 8, 1, 9, EOS, 0]
  assert made['weight_BT'][0].tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 1, 1, *[0] * 6]


def test_the_plan_is_kept_and_read_again(tmp_path, monkeypatch):
  corpus = documents(tmp_path, 40)
  first = Batches([Part(corpus)], T, 4, 0).rows(2, range(4))
  assert list(corpus.directory.glob('packing-*-16.npy'))
  monkeypatch.setattr(batches.packing, 'pack', None)
  assert equal(first, Batches([Part(corpus)], T, 4, 0).rows(2, range(4)))


def pairs_of(tmp_path, sizes, **more):
  """Pair n asks w<n>; its chosen answer has sizes[n] words, its rejected one two words."""
  rows = [
    {'prompt': f'w{n}', 'chosen': ' '.join([f'w{n + 100}'] * size), 'rejected': f'w{n + 200} w9'}
    | {name: values[n - 2] for name, values in more.items()}
    for n, size in enumerate(sizes, 2)
  ]
  columns = Columns(**{name: name for name in more})
  return corpus_of(tmp_path, rows, 'pair', columns=columns)


def test_pairs_share_a_row_number(tmp_path):
  corpus = pairs_of(tmp_path, [1] * 11)
  made = Pairs([corpus], 8, 4, 0)
  seen = []
  for place in range(16):
    row = made.rows(place // 4, [place % 4])
    n = int(row['chosen_BT'][0, 1])
    assert row['chosen_BT'][0].tolist() == [BOS, n, 1, n + 100, EOS, 0]
    assert row['rejected_BT'][0].tolist() == [BOS, n, 1, n + 200, 9, EOS]
    assert row['chosen_weight_BT'][0].tolist() == [0, 0, 0, 1, 1, 0]
    assert row['chosen_segment_BT'][0].tolist() == [1, 1, 1, 1, 1, 0]
    assert row['weight_B'] == 1 and row['margin_B'] == 0
    seen.append(n)
  assert len(set(seen[:8])) == len(set(seen[8:])) == 8 and set(seen[:8]) != set(seen[8:])
  once = Pairs([corpus], T, 4, None)
  assert once.order.steps == 3
  last = once.rows(2, range(4))
  assert last['chosen_BT'][:, 1].tolist() == [10, 11, 12, 0]
  assert last['weight_B'].tolist() == [1, 1, 1, 0]


def test_pairs_of_similar_length_share_a_narrow_batch(tmp_path):
  """Each once an epoch, in other batches the next; any process makes any row of it."""
  sizes = [1 + n % 12 for n in range(96)]
  made, again = (Pairs([pairs_of(tmp_path, sizes)], T, 4, 7) for _ in range(2))
  assert again.rows(30, [2])['chosen_BT'].tolist() == made.rows(30, [2])['chosen_BT'].tolist()
  epochs = [[made.rows(e * 24 + s, range(4)) for s in range(24)] for e in range(2)]

  def batches_of(epoch):
    return [tuple(sorted(b['chosen_BT'][:, 1].tolist())) for b in epoch]

  for epoch in epochs:
    assert sorted(n for b in batches_of(epoch) for n in b) == list(range(2, 98))
    lengths = [(b['chosen_segment_BT'] != 0).sum(1) for b in epoch]
    assert max(np.ptp(n) for n in lengths) <= 2 and len({n.max() for n in lengths}) > 6
    assert {b['chosen_BT'].shape[1] for b in epoch} <= set(batches.widths(T))
    filled = sum((b[f'{s}_segment_BT'] != 0).sum() for b in epoch for s in ('chosen', 'rejected'))
    assert filled / sum(2 * b['chosen_BT'].size for b in epoch) > 0.6
  assert not set(batches_of(epochs[0])) & set(batches_of(epochs[1]))
  order = [b['chosen_segment_BT'].sum() for b in epochs[0]]
  assert order != sorted(order)


def test_margins_and_subsets_stay_with_their_pairs(tmp_path):
  sizes = [5, 1, 3, 2, 4]
  known = dict(margin=[0.5, None, 2, 0.25, 1], subset=['b', 'a', 'b', 'b', 'a'])
  corpora = [pairs_of(tmp_path / 'x', sizes, **known), pairs_of(tmp_path / 'y', [6])]
  made = Pairs(corpora, T, 4, None)
  rows = [made.rows(step, range(4)) for step in range(2)]
  by_prompt = {}
  for row in rows:
    for chosen, margin, weight in zip(row['chosen_BT'], row['margin_B'], row['weight_B']):
      if weight:
        by_prompt[int(chosen[1]), int((chosen // 100 == 1).sum())] = float(margin)
  assert by_prompt == {(2, 5): 0.5, (3, 1): 0, (4, 3): 2, (5, 2): 0.25, (6, 4): 1, (2, 6): 0}
  assert made.subset.tolist() == ['b', 'a', 'b', 'b', 'a', '']
  assert (made.lengths[:, 0] - made.lengths[:, 1]).tolist() == [3, -1, 1, 0, 2, 4]
  changed = known | dict(margin=[0.5, None, 2, 0.25, 1.5])  # other pairs, to be prepared again
  assert pairs_of(tmp_path / 'x', sizes, **changed).directory != corpora[0].directory


def test_a_pair_weighs_the_answer_it_is_about(tmp_path):
  rows = [{'prompt': ASKED, 'chosen': 'w9', 'rejected': 'w4'}]
  made = Pairs([corpus_of(tmp_path, rows, 'pair')], T, 1, 0).rows(0, [0])
  assert made['chosen_BT'][0, :10].tolist() == [BOS, 5, 1, 6, 7, EOS, 8, 1, 9, EOS]
  assert made['chosen_weight_BT'][0].nonzero()[0].tolist() == [8, 9]


def test_prompts_end_at_the_right(tmp_path):
  texts = ['w2', 'w3 w4 w5', 'w6 w7']
  corpus = corpus_of(tmp_path, [{'prompt': text} for text in texts], 'prompt')
  rows = Prompts(corpus, 8, 3, None).rows(0, [2, 0, 1])
  wanted = [BOS, 6, 7, 1], [BOS, 2, 1], [BOS, 3, 4, 5, 1]
  assert rows['tokens_BT'].tolist() == [[0] * (8 - len(ids)) + ids for ids in wanted]
  assert rows['segment_BT'].sum(1).tolist() == [4, 3, 5]
  assert rows['position_BT'][0].tolist() == [0, 0, 0, 0, 0, 1, 2, 3]
  shuffled = Prompts(corpus, 8, 3, 1).rows(0, range(3))['tokens_BT']
  assert sorted(shuffled.tolist()) == sorted(rows['tokens_BT'].tolist())


def test_bad_input_is_one_line(tmp_path, corpora):
  one = [Part(corpora[0])]
  for weights in ((0, 0), (1, -1), (1, float('nan'))):
    with pytest.raises(UserError, match='weights .* at least 0, and not all of them 0'):
      Batches([Part(corpus, weight) for corpus, weight in zip(corpora, weights)], T, 4, 0)
  with pytest.raises(UserError, match='batch=0: at least 1'):
    Batches(one, T, 0, 0)
  with pytest.raises(UserError, match='batch=0: at least 1'):
    Pass(corpora, T, 0)
  with pytest.raises(UserError, match='an example of 16 tokens: rows have 15'):
    Batches(one, T - 1, 4, 0)
  with pytest.raises(UserError, match='no corpus'):
    Batches([], T, 4, 0)
  with pytest.raises(UserError, match='holds examples: pairs are wanted'):
    Pairs([corpora[0]], T, 4, 0)
  with pytest.raises(UserError, match='holds id 501, and the model has 501'):
    check_fits(corpora, length=T, vocab=501)
  with pytest.raises(UserError, match='length=16: the model reads 8'):
    check_fits(corpora, length=T, vocab=502, context=8)
  check_fits(corpora, length=T, vocab=502, context=T)
  other = documents(tmp_path, 4, tokenizer=Tokenizer.from_vocab([*WORDS, 'more']))
  with pytest.raises(UserError, match='different tokenizers'):
    Batches([*one, Part(other)], T, 4, 0)
