"""What an evaluation will ask is not trained on, and how much that was is known."""

import pytest

from jaxalign.config import UserError
from jaxalign.data.decontaminate import Decontaminated, keys, normalise
from jaxalign.data.hh import HH, SUBSETS
from jaxalign.data.records import Conversation, Document, Pair, Prompt
from jaxalign.data.report import Report
from jaxalign.data.sources import Jsonl, Text
from jaxalign.sealing import seal
from tests.data.written import A, S, U, jsonl


@pytest.mark.parametrize(
  'one, other, same',
  [
    ('Talk dirty!', 'talk  DIRTY', True),
    ('What\u2019s up\u00a0?', "what's up", True),
    ('\uff28\uff45\uff4c\uff4c\uff4f', 'hello', True),  # full-width letters
    ('Straße', 'STRASSE', True),
    ('caf\u00e9', 'cafe\u0301', True),
    ('a\u200bb', 'a b', True),
    ('2+2', '2 2', False),
    ('café', 'cafe', False),
    ('\u0915\u093f', '\u0915\u0940', False),  # Hindi ki and kī: the vowel signs are no punctuation
    ('?', '!', False),
    ('a b', 'ab', False),
  ],
)
def test_what_retyping_changes(one, other, same):
  assert (normalise(one) == normalise(other)) is same


def test_every_prompt_a_record_answers():
  one, two = Prompt((U('a'),)), Prompt((U('a'), A('b'), U('c')))
  dialogue = Conversation((S('rules'), U('A!'), A('b'), U('c'), A('d')))
  (a,), (abc,) = keys(one), keys(two)
  assert list(keys(dialogue)) == [a, abc]  # an answer to each is trained on
  assert list(keys(Pair((U('a'), A('b'), U('c')), 'd', 'e'))) == [abc]  # only the last is compared
  assert list(keys(Prompt((S('other rules'), U('a'))))) == list(keys(Document('A'))) == [a]
  assert set(keys(Prompt((U('a b'),)))) != set(keys(Prompt((U('a'), A('b')))))


def asking(path, questions):
  return jsonl(path, [dict(prompt=text, chosen='b', rejected='c') for text in questions])


def test_dropped_and_counted_for_each_set(tmp_path):
  sets = tuple(
    Jsonl(path=asking(tmp_path / f'{name}.jsonl', asked), kind='prompt')
    for name, asked in (('one', ['x?', 'y?']), ('two', ['Y', 'z']))
  )
  train = Jsonl(path=asking(tmp_path / 'train.jsonl', ['X', 'y', 'y!', 'z', 'w', '?']), kind='pair')
  source, report = seal(Decontaminated(source=train, against=sets)), Report()
  kept = [(where, record.prompt[0].text) for where, record in source.read(report)]
  assert kept == [(f'{tmp_path}/train.jsonl:5', 'w'), (f'{tmp_path}/train.jsonl:6', '?')]
  one, two = (f'{tmp_path}/{name}.jsonl' for name in ('one', 'two'))
  start = 'shares a prompt with '
  assert report.dropped == {start + one: 1, start + two: 1, f'{start}{one}, {two}': 2}
  assert (report.read, report.kept) == (6, 2) and source.name == train.name


def test_documents_by_their_whole_text(tmp_path):
  (tmp_path / 'a.txt').write_text('First, a story.\n\nAnother')
  (tmp_path / 'b.txt').write_text('first a story')
  texts = [Text(path=f'{tmp_path}/{name}.txt', split='blank') for name in 'ab']
  source = Decontaminated(source=texts[0], against=(texts[1],))
  assert [record.text for _, record in source.read()] == ['Another']


def test_a_set_that_cannot_be_read_stops_the_run(tmp_path):
  train = Jsonl(path=asking(tmp_path / 'train.jsonl', ['x']), kind='pair')
  absent = Jsonl(path=f'{tmp_path}/absent.jsonl', kind='prompt')
  with pytest.raises(UserError, match='absent.jsonl does not exist'):
    next(Decontaminated(source=train, against=(absent,)).read())
  with pytest.raises(UserError, match='against is empty'):
    seal(Decontaminated(source=train, against=()))


# In the order of SUBSETS; a loop over letters and plain comparison found as many. Compared exactly:
# (125, 0, 0, 2) and (0, 4, 1, 5).
RETYPED = {'harmless': (143, 0, 0, 3), 'helpful': (0, 6, 1, 6)}


@pytest.mark.parametrize('family', ['harmless', 'helpful'])
def test_hh_single_turn_against_the_published_tests(shared, family):
  folder, report = shared('hh-rlhf'), Report()
  tests = tuple(HH(path=f'{folder}/{s}/test.jsonl.gz', as_='prompt') for s in SUBSETS)
  train = HH(path=f'{folder}/single-turn/{family}_train_*.jsonl.gz')
  kept = [record for _, record in Decontaminated(source=train, against=tests).read(report)]
  shares = [report.dropped[f'shares a prompt with {test.name}'] for test in tests]
  assert tuple(shares) == RETYPED[family]
  assert report.kept == len(kept)
