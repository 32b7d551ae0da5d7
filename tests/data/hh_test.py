"""HH-RLHF: its layout, its odd rows, and on the real files the counts that are known of them."""

import pytest

from jaxalign.config import UserError
from jaxalign.data.hh import HH
from jaxalign.data.records import Conversation, Pair, Prompt
from jaxalign.data.report import Report
from tests.data.written import A, U, jsonl


def row(*endings, prompt='\n\nHuman: a'):
  chosen, rejected = (f'{prompt}{end}' for end in endings)
  return dict(chosen=chosen, rejected=rejected)


def answered(chosen, rejected):
  return row(f'\n\nAssistant: {chosen}', f'\n\nAssistant: {rejected}')


GOOD = answered('b', 'c')


def test_the_published_layout(tmp_path):
  jsonl(tmp_path / 'harmless-base/test.jsonl.gz', [GOOD])
  jsonl(tmp_path / 'helpful-base/test.jsonl', [answered('d', 'e')])  # unpacked
  source = HH(path=str(tmp_path), subsets=('harmless-base', 'helpful-base'), split='test')
  assert list(source.read()) == [
    (f'{tmp_path}/harmless-base/test.jsonl.gz:1', Pair((U('a'),), 'b', 'c', None, 'harmless-base')),
    (f'{tmp_path}/helpful-base/test.jsonl:1', Pair((U('a'),), 'd', 'e', None, 'helpful-base')),
  ]
  with pytest.raises(UserError, match='helpful-online/test.jsonl.gz does not exist: fetch it, or'):
    next(HH(path=str(tmp_path), subsets=('helpful-online',), split='test').read())


def test_files_by_name(tmp_path):
  jsonl(tmp_path / 'helpful-online/x.jsonl', [GOOD])
  paths = f'{tmp_path}/*/x.jsonl', jsonl(tmp_path / 'mine.jsonl.gz', [GOOD])
  assert [record.subset for _, record in HH(path=paths).read()] == ['helpful-online', 'mine']
  with pytest.raises(UserError, match='y.jsonl does not exist'):
    next(HH(path=f'{tmp_path}/y.jsonl').read())


ODD = {
  'prompts differ': answered('b', 'c\n\nAssistant: d'),
  'answers are the same': answered('b', ' b '),
  'an answer is empty': answered('b', ' '),
  'rejected does not end in an assistant turn': answered('b', 'c\n\nHuman: d'),
  'a turn is empty': row('\n\nAssistant: b', '\n\nAssistant: c', prompt='\n\nHuman: '),
  'chosen does not begin with Human:': row('', '', prompt='Hello'),
  'rejected is not text': GOOD | dict(rejected=None),
  'no column rejected': dict(chosen=GOOD['chosen']),
  'not a JSON object': [],
}


def test_odd_pairs_are_counted_by_what_is_odd(tmp_path):
  path = jsonl(tmp_path / 'f.jsonl', [*[GOOD] * 1000, *ODD.values()])
  report = counts(path)
  assert report.kept == 1000
  assert report.bad + report.dropped == dict.fromkeys(ODD, 1)
  assert set(report.dropped) == {'prompts differ', 'answers are the same'}
  assert report.examples['prompts differ'] == [f'{path}:1001']


def test_of_a_pair_a_conversation_or_a_prompt(tmp_path):
  long = '\n\nHuman: a\n\nAssistant: b\n\nAssistant: c\n\nHuman: d'
  rows = [
    row('\n\nAssistant: e', '\n\nAssistant: f', prompt=long),
    dict(chosen='\n\nHuman: a\n\nAssistant: '),  # no answer, and no rejected: yet a prompt
  ]
  path = jsonl(tmp_path / 'f.jsonl', rows)

  def read(as_, report):
    return [record for _, record in HH(path=path, as_=as_).read(report)]

  before, report = (U('a'), A('b\n\nc'), U('d')), Report()
  assert read('prompt', report) == [Prompt(before), Prompt((U('a'),))]
  assert report.noted == {'turns of one role joined': 1}
  jsonl(tmp_path / 'f.jsonl', rows[:1])
  assert read('conversation', None) == [Conversation((*before, A('e')))]
  assert read('pair', None) == [Pair(before, 'e', 'f', subset='f')]


def counts(path, as_='pair'):
  report = Report()
  records = list(HH(path=str(path), as_=as_).read(report))
  assert len(records) == report.kept
  return report


@pytest.mark.parametrize(
  'folder, files, read, pairs, differ, same, bad',
  [
    ('harmless-base', 'test', 2312, 2303, 5, 0, 4),
    ('helpful-base', 'test', 2354, 2339, 9, 2, 4),
    ('helpful-online', 'test', 1137, 1129, 0, 2, 6),
    ('helpful-rejection-sampled', 'test', 2749, 2714, 3, 32, 0),
    ('single-turn', 'harmless_train_*', 12000, 11956, 27, 0, 17),
    ('single-turn', 'helpful_train_*', 12000, 11963, 25, 3, 9),
  ],
)
def test_the_published_files(shared, folder, files, read, pairs, differ, same, bad):
  path = shared(f'hh-rlhf/{folder}') / f'{files}.jsonl.gz'
  report = counts(path)
  assert (report.read, report.kept, report.bad.total()) == (read, pairs, bad)
  dropped = {'prompts differ': differ, 'answers are the same': same}
  assert report.dropped == {reason: count for reason, count in dropped.items() if count}
  assert files != 'test' or counts(path, 'prompt').kept >= read - 1
