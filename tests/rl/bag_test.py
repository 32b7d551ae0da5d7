import json

import numpy as np
import pytest

from jaxalign import sealing
from jaxalign.config import UserError
from jaxalign.data.sources import Jsonl
from jaxalign.rl.bag import BagOfWords
from jaxalign.rl.judges import Judge


def judge(path, rows, **changes):
  path.write_text(''.join(json.dumps(row) + '\n' for row in rows))
  return BagOfWords(pairs=Jsonl(path=str(path), kind='pair'), **changes)


def preferred(worth, count, seed=0):
  """Pairs that Bradley and Terry drew by the sum of the words' worth."""
  random, words = np.random.default_rng(seed), list(worth)
  for _ in range(count):
    one, other = (list(random.choice(words, random.integers(1, 5))) for _ in range(2))
    if sorted(one) != sorted(other):
      gap = sum(worth[w] for w in one) - sum(worth[w] for w in other)
      if random.random() > 1 / (1 + np.exp(-gap)):
        one, other = other, one
      yield dict(prompt='which', chosen=' '.join(one), rejected=' '.join(other))


def test_it_finds_what_each_word_is_worth_and_reads_no_order(tmp_path):
  worth = dict(a=1.5, b=0.0, c=-1.0, d=0.5)
  bag = judge(tmp_path / 'p.jsonl', preferred(worth, 4000))
  found = {word: bag('any', word) for word in worth}
  shift = np.mean([found[w] - worth[w] for w in worth])  # of equal counts only differences are told
  for word in worth:
    assert found[word] - shift == pytest.approx(worth[word], abs=0.2)
  assert bag('', 'a c b') == pytest.approx(bag('x', 'b a c'))
  assert bag('', 'a a a') == pytest.approx(3 * found['a'])
  assert bag('', 'never seen') == 0


def test_a_strong_prior_holds_it_back(tmp_path):
  rows = [dict(prompt='which', chosen='a', rejected='b')] * 50
  weak, strong = (judge(tmp_path / 'p.jsonl', rows, ridge=r)('', 'a') for r in (0.1, 100.0))
  assert 0 < strong < weak < 10


def test_it_is_a_judge_that_a_config_can_hold(tmp_path):
  bag = judge(tmp_path / 'p.jsonl', [dict(prompt='q', chosen='a', rejected='b')])
  one = sealing.seal(Judge(by=bag, called='proxy'))
  assert one.name == 'proxy' and Judge(by=bag).name == 'BagOfWords'
  assert sealing.tree(one)['by']['pairs']['path'].endswith('p.jsonl')


def test_what_it_cannot_be_fitted_to_is_one_line(tmp_path):
  bag = BagOfWords(pairs=Jsonl(path=str(tmp_path / 'd.jsonl'), kind='document'))
  (tmp_path / 'd.jsonl').write_text('{"text": "a"}\n')
  with pytest.raises(UserError, match='holds no pairs'):
    bag('', 'a')
  with pytest.raises(UserError, match='ridge=0.0'):
    sealing.seal(BagOfWords(pairs=Jsonl(path='x', kind='pair'), ridge=0.0))
