"""The store: what decides a key, what a kill leaves, and what is refused."""

import dataclasses
import errno
import json
import resource
import signal

import pytest
from etils import epath

from jaxalign.config import UserError
from jaxalign.data.records import Turn
from jaxalign.evals import store
from jaxalign.evals.evaluated import About, AskedSuite
from jaxalign.evals.item import Decode, Item, Said, Verdict, as_json, of_json

SUITE = AskedSuite(
  name='s', version='1', source='f' * 64, template='t' * 64, decode=dataclasses.asdict(Decode())
)
ABOUT = About(model='m', fingerprint='a' * 64, suites=(SUITE,))
ITEMS = [Item(text=f'text {n}') for n in range(4)]
SAID = [
  Said(key=store.key_of('a' * 64, SUITE, item.id, 0), item=item.id, text=f'é\u2028\x85 {n}\n')
  for n, item in enumerate(ITEMS)
]


@pytest.fixture
def place(tmp_path):
  return epath.Path(tmp_path)


def lines(place, items=ITEMS, suite=SUITE):
  return store.answers(place, 'a' * 64, suite, items)


def kept(place):
  return store.answers_at(place, 's').read_bytes()


def test_a_key_says_all_that_decides_an_answer_and_nothing_else():
  def key(fingerprint='a', item='i', draw=0, decode=None, **changes):
    how = dataclasses.asdict(decode or Decode(temperature=1.0))
    return store.key_of(fingerprint, dataclasses.replace(SUITE, decode=how, **changes), item, draw)

  others = [
    key('b'), key(item='j'), key(draw=1), key(name='o'), key(version='2'), key(source='0'),
    key(template=''),
  ]  # fmt: skip
  changes = dict(length=9, temperature=0.5, top_p=0.5, top_k=3, stop=('x',), seed=1)
  for name, value in changes.items():
    others.append(key(decode=dataclasses.replace(Decode(temperature=1.0), **{name: value})))
  assert len({key(), *others}) == len(others) + 1
  assert key(decode=Decode(temperature=1.0, draws=5)) == key()
  read = dict(dataclasses.asdict(Decode(temperature=1.0, stop=('a',))), stop=['a'])
  written = dataclasses.replace(SUITE, decode=read)
  assert store.key_of('a', written, 'i', 0) == key(decode=Decode(temperature=1.0, stop=('a',)))


def test_a_record_comes_back_as_it_was():
  item = Item(
    turns=(Turn('user', 'a'), Turn('assistant', 'b'), Turn('user', 'c')), choices=('x', 'y'),
    slices=(('kind', 'k'), ('other', 'o')), right=('r',), cluster='c',
  )  # fmt: skip
  said = Said(key='k', item=item.id, scores=((-1.25, 3, True), (-0.1, 1, False)), logprob=-3.5)
  for record in (item, said, Verdict(key='k', judge='j', value=0.5)):
    assert of_json(type(record), json.loads(json.dumps(as_json(record)))) == record
  assert of_json(Item, as_json(item)).id == item.id


def test_killed_anywhere_and_finished_the_bytes_are_those_of_an_unbroken_run(place):
  whole = lines(place / 'whole')
  for said in SAID:
    whole.add(said)
  whole.finish()
  wanted = kept(place / 'whole')
  order = [SAID[n] for n in (2, 0, 3, 1)]  # as they came
  came = b''.join(json.dumps(as_json(s), ensure_ascii=False).encode() + b'\n' for s in order)
  for cut in range(0, len(came), 7):
    here = place / f'at{cut}'
    (here / 'answers').mkdir(parents=True)
    store.answers_at(here, 's').write_bytes(came[:cut])
    again = lines(here)
    missing = again.missing
    assert len(missing) == 4 - came[:cut].count(b'\n') - (came[cut : cut + 1] == b'\n')
    for n in reversed(missing):
      again.add(SAID[n])
    again.finish()
    assert kept(here) == wanted
    assert lines(here).missing == [] and lines(here).records == SAID


def test_an_answer_is_there_at_once_and_never_twice(place):
  first = lines(place)
  first.add(SAID[1])
  assert lines(place).missing == [0, 2, 3]
  first.add(dataclasses.replace(SAID[1], text='another'))
  assert lines(place).records == [SAID[1]]
  first.finish()
  assert b'another' not in kept(place)


def test_what_no_plan_wants_now_stays(place):
  all_of = lines(place)
  for said in SAID:
    all_of.add(said)
  all_of.finish()
  some = lines(place, ITEMS[1:3])
  assert some.records == SAID[1:3] and not some.missing
  some.finish()
  assert sorted(kept(place).splitlines()) == sorted(
    json.dumps(as_json(s), ensure_ascii=False).encode() for s in SAID
  )
  assert lines(place).missing == []


def test_a_line_of_another_version_is_refused_and_stays(place):
  (place / 'answers').mkdir()
  line = b'{"key": "k", "item": "i", "mood": "good"}\n'
  store.answers_at(place, 's').write_bytes(line)
  with pytest.raises(UserError, match='s.jsonl, line 1 is no Said of this version'):
    lines(place)
  assert kept(place) == line


def test_a_full_disk_is_an_error_of_the_system_and_what_was_whole_is_kept(place):
  """The limit of a file's size stands for the disk's: the write takes half a line."""
  first = lines(place)
  first.add(SAID[0])
  limits = resource.getrlimit(resource.RLIMIT_FSIZE)
  before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
  try:
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(kept(place)) + 20, limits[1]))
    with pytest.raises(OSError) as error:
      first.add(SAID[1])
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, before)
  assert error.value.errno == errno.EFBIG and error.value.filename.endswith('s.jsonl')
  first.close()
  again = lines(place)
  assert again.missing == [1, 2, 3]
  for n in again.missing:
    again.add(SAID[n])
  again.finish()
  assert lines(place).records == SAID


def test_answers_of_another_model_or_to_other_questions_are_refused(place):
  store.claim(place, ABOUT)
  store.claim(place, dataclasses.replace(ABOUT, notes=dict(jax='another')))
  with pytest.raises(UserError, match='answers of another model, m .*aaaaaaaaaaaa there, bbbb'):
    store.claim(place, dataclasses.replace(ABOUT, fingerprint='b' * 64))
  changes = dict(
    version='2', source='0' * 64, template='', decode=dataclasses.asdict(Decode(length=9))
  )
  for name, value in changes.items():
    other = dataclasses.replace(SUITE, **{name: value})
    named = 'decode.length 256 there, 9 here' if name == 'decode' else f'{name} '
    with pytest.raises(UserError, match=f'other answers to s \\({named}'):
      store.claim(place, dataclasses.replace(ABOUT, suites=(other,)))
  more = dataclasses.replace(SUITE, decode=dataclasses.asdict(Decode(temperature=0.0)))
  store.claim(place, dataclasses.replace(ABOUT, suites=(more,)))


def test_a_suite_that_was_asked_before_is_remembered(place):
  store.claim(place, ABOUT)
  other = dataclasses.replace(SUITE, name='other')
  store.claim(place, dataclasses.replace(ABOUT, suites=(other,)))
  changed = dataclasses.replace(SUITE, version='2')
  with pytest.raises(UserError, match='other answers to s'):
    store.claim(place, dataclasses.replace(ABOUT, suites=(changed,)))


def test_bad_items_and_names_and_numbers_are_refused(place):
  with pytest.raises(UserError, match='s has no items'):
    store.refuse_same_items('s', [])
  with pytest.raises(UserError, match="asks the same item twice: 'text 1'"):
    store.refuse_same_items('s', [*ITEMS, Item(text='text 1', cluster='c')])
  with pytest.raises(UserError, match='names no suite'):
    store.answers_at(place, '../up')
  with pytest.raises(UserError, match='not finite'):
    store.verdicts(place, 's', 'j', 'f', ['k']).add(Verdict(key='k', judge='f', value=float('nan')))
  assert not store.verdicts(place, 's', 'j', 'f', ['k']).records


def test_verdicts_are_known_by_their_judge_too(place):
  one = store.verdicts(place, 's', 'j', 'f', ['k', 'l'])
  one.add(Verdict(key='l', judge='f', label='refusal'))
  other = store.verdicts(place, 's', 'j', 'g', ['k', 'l'])
  assert other.missing == [0, 1]
  other.add(Verdict(key='l', judge='g', label='compliance'))
  other.finish()
  assert [v.label for v in store.verdicts(place, 's', 'j', 'f', ['k', 'l']).records] == ['refusal']
