"""What an arm writes: asked once, gone on with, judged, and its numbers as outcomes of a study."""

import dataclasses
import json
import pathlib
import sys
import weakref

import pytest
from etils import epath

import jaxalign
from jaxalign import main, sealing
from jaxalign.config import Mesh, UserError
from jaxalign.evals import ask, read, summary
from jaxalign.evals.item import Decode, Measure
from jaxalign.evals.judges import refusal, sentiment, strings
from jaxalign.evals.suites import bold, overrefusal
from jaxalign.stages import loading
from jaxalign.study.texts import answering
from tests.evals.small import Letters, Small, model
from tests.study.tiny import ROOT

pytestmark = pytest.mark.usefixtures('one_device')
FEW = Decode(length=6, stop=('\n\nHuman:',))
XSTEST = overrefusal.XSTest(limit=6, decode=FEW)
KEY = 'a' * 64


@pytest.fixture(scope='module')
def directory(tmp_path_factory):
  """A str: a tiny model as Hugging Face lays it."""
  place = tmp_path_factory.mktemp('model') / 'tiny'
  jaxalign.export(model(), place)
  return str(place)


@pytest.fixture(scope='module')
def study():
  """A study's config: the smoke, whose model is no larger than what is asked here."""
  cfg = main.load(f'{ROOT}/configs/study_explanations.py:smoke')
  stage = dataclasses.replace(cfg.recipes[0].stage, mesh=Mesh(fsdp=1))
  recipe = dataclasses.replace(cfg.recipes[0], stage=stage)
  world = dataclasses.replace(cfg.world, suites=(XSTEST, Letters()), judges=(refusal.Words(),))
  return dataclasses.replace(cfg, recipes=(recipe,), world=world)


@pytest.fixture(scope='module')
def done(tmp_path_factory, study, directory):
  """An epath.Path: the answers of an arm, never broken."""
  place = epath.Path(tmp_path_factory.mktemp('seed')) / 'answers/align'
  study.world.ask(study, place, KEY, lambda: directory)
  return place


def nobody():
  raise AssertionError('the model is looked for')


def contents(place):
  every = pathlib.Path(place).rglob('*')
  return {str(path.relative_to(place)): path.read_bytes() for path in every if path.is_file()}


def copied(done, tmp_path):
  place = epath.Path(tmp_path) / 'copy'
  for name, bytes_ in contents(done).items():
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    (place / name).write_bytes(bytes_)
  return place


@pytest.fixture
def requests(monkeypatch):
  """A list of how many answers were asked of a model, one a call."""
  found, real = [], ask.answers

  def call(model, asked, **how):
    found.append(len(asked))
    return real(model, asked, **how)

  monkeypatch.setattr(ask, 'answers', call)
  return found


def test_its_numbers_are_outcomes_paired_by_item(done):
  said, items = answering.said(done), {item.id: item for item in XSTEST.items()}
  of = {}
  for one in said.outcomes:
    of.setdefault(one.test, []).append(one)
  assert {'xstest/J', 'xstest/refusal_safe', 'xstest/length', 'letters/first'} <= of.keys()
  for test in ('xstest/J', 'xstest/length'):
    assert {one.prompt for one in of[test]} == items.keys()
    assert [one.item for one in of[test]] == list(range(6))
    assert all(one.cluster == items[one.prompt].cluster for one in of[test])
  units = {test: {one.unit for one in some} for test, some in of.items()}
  assert units['xstest/refusal_safe'] == units['letters/first'] == {'rate'}
  assert units['xstest/J'] == {'difference'} and units['xstest/length'] == {'tokens'}
  assert all(0 < one.margin <= 6 and not one.right for one in of['xstest/length'])


def test_means_are_those_of_the_evaluation(done):
  """Also where rows have weights, as those of J and of a canary have."""
  found = read.evaluated(done)
  means = summary.means(found.about.measures, found.rows)
  of = {}
  for one in answering.said(done).outcomes:
    of.setdefault(one.test, []).append(one.margin)
  assert {measure for measure, _ in means} == of.keys()
  for (measure, _), mean in means.items():
    assert sum(of[measure]) / len(of[measure]) == pytest.approx(mean, abs=1e-12), measure


def row(value, weight=1.0):
  return answering.Row(measure='x/y', unit='u', cluster='u', value=value, weight=weight)


@pytest.mark.parametrize(
  'measure, given, right',
  [
    (dict(better='more'), [row(1.0), row(0.0), row(0.5)], [True, False, False]),
    (dict(better='less'), [row(1.0), row(0.0)], [False, True]),
    # J: of the unsafe side refusing is right, of the safe one, which counts against it, answering
    (dict(better='more', unit='difference'), [row(1.0, 2.0), row(1.0, -2.0), row(0.0, -2.0)],
     [True, False, True]),
    (dict(better='', unit='tokens'), [row(7.0)], [False]),
    (dict(better='less', unit='nats a byte'), [row(0.1)], [False]),
    (dict(better='', unit='compound'), [row(-0.4), row(-0.5)], [True, False]),
  ],
)  # fmt: skip
def test_what_is_right_is_what_the_measure_wants(measure, given, right):
  about = Measure(name='x/y', title='', **measure)
  found = answering._outcomes(tuple(given), ['x/y'] * len(given), {'x/y': about})
  assert [one.right for one in found] == right


def test_a_second_call_looks_for_no_model(study, done, tmp_path):
  place = copied(done, tmp_path)
  study.world.ask(study, place, KEY, nobody)
  assert contents(place) == contents(done)


def test_stopped_while_it_asks_it_goes_on_and_asks_nothing_twice(
  study, done, directory, tmp_path, monkeypatch
):
  place, asked, real = epath.Path(tmp_path) / 'broken', [], ask.answers

  def torn(model, requests, **how):
    for n, one in enumerate(real(model, requests, **how)):
      if n == 2:
        raise KeyboardInterrupt
      yield one

  monkeypatch.setattr(ask, 'answers', torn)
  with pytest.raises(KeyboardInterrupt):
    study.world.ask(study, place, KEY, lambda: directory)
  assert len((place / 'answers/xstest.jsonl').read_text().splitlines()) == 2
  assert not (place / 'study.json').exists()

  def counted(model, requests, **how):
    asked.append(len(requests))
    return real(model, requests, **how)

  monkeypatch.setattr(ask, 'answers', counted)
  study.world.ask(study, place, KEY, lambda: directory)
  assert asked == [4] and contents(place) == contents(done)


def test_another_suite_and_another_judge_ask_only_what_is_new(
  study, done, directory, tmp_path, requests
):
  place = copied(done, tmp_path)
  judges = (refusal.Words(), strings.Strings())
  world = dataclasses.replace(study.world, suites=(*study.world.suites, Small()), judges=judges)
  world.ask(study, place, KEY, lambda: directory)
  assert requests == [7]  # of Small alone
  tests = {one.test for one in answering.said(place).outcomes}
  assert {'small/refusal/words', 'small/refusal/strings', 'xstest/J/words'} <= tests
  assert 'xstest/length' in tests and 'xstest/J' not in tests


def test_answers_of_another_model_are_refused(study, done, tmp_path):
  place, other = copied(done, tmp_path), str(tmp_path / 'other')
  jaxalign.export(model(1), other)
  with pytest.raises(UserError, match='holds answers of another model') as error:
    study.world.ask(study, place, 'b' * 64, lambda: other)
  assert '\n' not in str(error.value)


def test_how_it_was_asked_is_told_apart(study, done, directory, tmp_path):
  """Items alone do not say how long answers were: `compare` refuses other lengths by this."""
  longer = dataclasses.replace(XSTEST, decode=Decode(length=7, stop=FEW.stop))
  world = dataclasses.replace(study.world, suites=(longer, Letters()))
  place = epath.Path(tmp_path) / 'other'
  world.ask(study, place, KEY, lambda: directory)
  ours, theirs = answering.said(done), answering.said(place)
  assert [one.prompt for one in ours.outcomes] == [one.prompt for one in theirs.outcomes]
  changed = {test for test in ours.how if ours.how[test] != theirs.how[test]}
  assert changed == {test for test in ours.how if test.startswith('xstest/')}


def test_no_model_is_there_while_a_judge_is_loaded(study, directory, tmp_path, monkeypatch):
  loaded, real, seen = [], loading.load, []

  def load(*given, **how):
    made = real(*given, **how)
    loaded.append(weakref.ref(made))
    return made

  @dataclasses.dataclass(kw_only=True, unsafe_hash=True)
  class Alone(refusal.Words):
    def verdicts(self, said):
      seen.append(sum(one() is not None for one in loaded))
      return super().verdicts(said)

  monkeypatch.setattr(loading, 'load', load)
  world = dataclasses.replace(study.world, judges=(Alone(),))
  world.ask(study, epath.Path(tmp_path) / 'answers', KEY, lambda: directory)
  assert loaded and seen == [0]


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Miles(Small):
  def measures(self):
    return (Measure(name='small/refusal', title='how far', unit='miles'),)


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Misnamed(Small):
  def measures(self):
    return (Measure(name='refusal', title='refused'),)


WRONG = {
  'nowhere.csv does not exist': dict(suites=(overrefusal.XSTest(path='nowhere.csv'),)),
  'suites: two are called xstest': dict(suites=(XSTEST, dataclasses.replace(XSTEST, limit=5))),
  'judges: two are called words': dict(judges=(refusal.Words(), refusal.Words(head=9))),
  'xstest needs a judge of kind refusal': dict(judges=()),
  'judge vader is of kind sentiment, which no suite here needs': dict(
    judges=(refusal.Words(), sentiment.Vader())
  ),
  'suites: there is none': dict(suites=()),
  'small/refusal is measured in miles': dict(suites=(Miles(),)),
  'small calls a measure refusal: small/NAME': dict(suites=(Misnamed(),)),
}


@pytest.mark.parametrize('says', WRONG)
def test_what_cannot_be_asked_is_one_line_before_anything_is_made(study, says, tmp_path):
  world = dataclasses.replace(study.world, **WRONG[says])
  with pytest.raises(UserError, match=says) as error:
    world.begin(epath.Path(tmp_path))
  assert '\n' not in str(error.value) and not list(tmp_path.iterdir())


def test_a_judge_without_its_extra_is_one_line_before_anything_is_made(monkeypatch):
  monkeypatch.setitem(sys.modules, 'vaderSentiment', None)
  cfg = main.load(f'{ROOT}/configs/study_explanations.py:smoke')
  more = dict(suites=(bold.Sentiment(),), judges=(sentiment.Vader(),))
  cfg = dataclasses.replace(cfg, world=dataclasses.replace(cfg.world, **more))
  with pytest.raises(UserError, match='pip install vaderSentiment, or leave sentiment.Vader out'):
    sealing.seal(cfg)


def test_bold_is_judged_by_its_suite(study, directory, tmp_path):
  pytest.importorskip('vaderSentiment')
  more = dict(suites=(bold.Sentiment(limit=2, decode=FEW),), judges=(sentiment.Vader(),))
  place = epath.Path(tmp_path) / 'answers'
  dataclasses.replace(study.world, **more).ask(study, place, KEY, lambda: directory)
  rows = [one for one in answering.said(place).outcomes if one.test == 'bold/sentiment']
  assert len(rows) == 4 and {one.unit for one in rows} == {'sentiment'}
  assert all(-1 <= one.margin <= 1 and one.right == (one.margin > -0.5) for one in rows)


def test_a_study_is_the_same_whatever_its_arms_are_asked_to_write(study):
  """So that one which is done may be asked more, and one that began before it could be goes on."""
  told = sealing.tree(study.world.config)
  assert not {'suites', 'judges', 'rows'} & told.keys()
  asked = json.loads(sealing.to_json(study.world))
  assert [one['class'].rpartition(':')[2] for one in asked['suites']] == ['XSTest', 'Letters']
