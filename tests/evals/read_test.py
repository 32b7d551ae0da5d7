"""An evaluation read back: all of it, or a line that says what lacks."""

import dataclasses
import json

import pytest
from etils import epath

from jaxalign.config import UserError
from jaxalign.evals import read, store
from jaxalign.evals.evaluated import About, AskedSuite, Margin
from jaxalign.evals.item import Decode, Item, Measure, Row, Said, Verdict

DECODE = Decode(temperature=1.0, stop=('x',), draws=2)
SUITE = AskedSuite(
  name='s', version='1', source='f', template='', decode=dataclasses.asdict(DECODE)
)
ABOUT = About(
  model='m',
  fingerprint='a' * 64,
  seed=3,
  suites=(SUITE,),
  judges=dict(j='f1', k='f2'),
  measures=(Measure(name='s/m', title='t', baselines=(('longest', 0.5),)),),
  primaries=('s/m',),
  margins=(Margin(measure='s/m', most=0.1),),
  notes=dict(jax='0'),
)
ITEMS = [Item(text='a'), Item(text='b', choices=('c', 'd'))]


@pytest.fixture
def place(tmp_path):
  """A finished evaluation, written through the store alone."""
  workdir = epath.Path(tmp_path) / 'e'
  store.claim(workdir, ABOUT)
  store.write_items(workdir, 's', ITEMS)
  kept = store.answers(workdir, ABOUT.fingerprint, SUITE, ITEMS)
  keys = {}
  for item in ITEMS:
    for draw in (0, 1):
      key = store.key_of(ABOUT.fingerprint, SUITE, item.id, draw)
      scores = ((-1.0, 2, True), (-2.0, 2, False)) if item.choices else ()
      kept.add(Said(key=key, item=item.id, draw=draw, text=f'{draw}' * (not scores), scores=scores))
      keys[item.text, draw] = key
  kept.finish()
  told = [keys['a', 0], keys['a', 1]]
  for judge, mark, given in (('j', 'f1', dict(label='win')), ('k', 'f2', dict(value=0.25))):
    verdicts = store.verdicts(workdir, 's', judge, mark, told)
    old = store.verdicts(workdir, 's', judge, 'before', told)
    for key in told:
      verdicts.add(Verdict(key=key, judge=mark, **given))
      old.add(Verdict(key=key, judge='before', label='of another version'))
    verdicts.close()
    old.close()
  store.write_rows(workdir, [Row(measure='s/m', unit='u', cluster='c', value=1.0, judge='j')])
  store.write_about(ABOUT, workdir)
  return workdir


def test_an_answer_comes_with_what_judges_read_of_it_and_why_it_lacks(tmp_path):
  """Decoded and cut, where that differs from what was said; of what was not asked the reason."""
  decode = Decode()
  suite = dataclasses.replace(SUITE, decode=dataclasses.asdict(decode))
  coded = Item(text='a', decode='base64')
  items = [coded, Item(text='b'), Item(text='c'), Item(text='d')]
  workdir = epath.Path(tmp_path) / 'e'
  about = dataclasses.replace(ABOUT, suites=(suite,), judges={})
  store.claim(workdir, about)
  store.write_items(workdir, 's', items)
  kept = store.answers(workdir, about.fingerprint, suite, items)
  given = (
    dict(text='U3VyZSwgaGVyZSBpdCBpcw=='),
    dict(text='Yes.\n\nHuman: more'),
    dict(text='plain'),
    dict(why='error', error='too long'),
  )
  for item, fields in zip(items, given):
    key = store.key_of(about.fingerprint, suite, item.id, 0)
    kept.add(Said(key=key, item=item.id, **fields))
  kept.finish()
  store.write_rows(workdir, [])
  store.write_about(about, workdir)
  found = [(one.read, one.error) for one in read.evaluated(workdir).answers]
  assert found == [('Sure, here it is', ''), ('Yes.', ''), ('', ''), ('', 'too long')]


def test_all_comes_back_as_it_was(place):
  found = read.evaluated(place)
  assert (found.label, read.evaluated(place, 'x').label) == ('e', 'x')
  assert found.about.margins == ABOUT.margins
  assert found.about.measures == ABOUT.measures and found.about.judges == ABOUT.judges
  assert found.items == {item.id: item for item in ITEMS}
  assert [(one.text, one.draw, one.labels) for one in found.answers] == [
    ('0', 0, dict(j='win', k='0.25')), ('1', 1, dict(j='win', k='0.25')),
  ]  # fmt: skip
  assert found.rows[0].value == 1.0 and read.is_evaluation(place)


def test_a_choice_that_could_not_be_asked_is_no_answer(place):
  path = store.answers_at(place, 's')
  lines = [json.loads(line) for line in path.read_text().splitlines()]
  for line in lines:
    if 'scores' in line:
      del line['scores']
      line |= dict(why='error', error='too long')
  path.write_text(''.join(json.dumps(line) + '\n' for line in lines))
  assert [one.text for one in read.evaluated(place).answers] == ['0', '1']


def test_what_lacks_is_named(place):
  answers = store.answers_at(place, 's')
  whole = answers.read_text()
  answers.write_text(whole.splitlines()[0] + '\n')
  with pytest.raises(UserError, match='3 of 4 answers to s lack: run that evaluation again'):
    read.evaluated(place)
  answers.write_text(whole)
  (place / 'evaluated.json').unlink()
  with pytest.raises(UserError, match=r'is not done \(s: 4 answers\)'):
    read.evaluated(place)
  assert read.is_evaluation(place)
  store.rows_at(place).unlink()
  store.write_about(ABOUT, place)
  with pytest.raises(UserError, match='measures.jsonl'):
    read.evaluated(place)


def test_what_is_no_evaluation_or_of_another_version_is_refused(place):
  assert not read.is_evaluation(place.parent)
  with pytest.raises(UserError, match='holds no evaluation'):
    read.evaluated(place.parent)
  with pytest.raises(UserError, match='holds no answers'):
    read.asked_of(place.parent)
  for change in (dict(mood='good'), dict(suites=[dict(name='s')]), dict(margins=[1])):
    raw = dataclasses.asdict(ABOUT) | change
    (place / 'evaluated.json').write_text(json.dumps(raw))
    with pytest.raises(UserError, match='of another version'):
      read.evaluated(place)
  (place / 'evaluated.json').write_text('{"model": ')
  with pytest.raises(UserError, match='evaluated.json cannot be read'):
    read.evaluated(place)
