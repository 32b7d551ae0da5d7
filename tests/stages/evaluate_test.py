"""The stage evaluate: asked once, judged again, stopped anywhere; bad input in one line."""

import dataclasses
import functools
import json
import pathlib

import pytest
from etils import epath

import jaxalign
from jaxalign import main, sealing
from jaxalign.config import Mesh, UserError
from jaxalign.data import chat
from jaxalign.evals import ask, read, store
from jaxalign.evals.evaluated import Margin
from jaxalign.evals.item import Decode, Measure
from jaxalign.evals.judges import http, refusal, strings
from jaxalign.stages import evaluate
from tests.evals.judges.http_test import Judge
from tests.evals.small import QUESTIONS, Letters, Small, model

pytestmark = pytest.mark.usefixtures('one_device')


@pytest.fixture(scope='module')
def directory(tmp_path_factory):
  """A str: a tiny model as Hugging Face lays it."""
  place = tmp_path_factory.mktemp('model') / 'tiny'
  jaxalign.export(model(), place)
  return str(place)


@pytest.fixture(scope='module')
def config(directory):
  """config(**changes) is a sealed config of that model."""
  return functools.partial(_config, directory)


def _config(directory, **changes):
  given = dict(
    model=directory, format=chat.TRANSCRIPT, suites=(Small(), Letters()), judges=(refusal.Words(),),
    primaries=('small/refusal',), margins=(Margin(measure='letters/first', most=0.1),),
    mesh=Mesh(fsdp=1), rows=4,
  )  # fmt: skip
  return sealing.seal(evaluate.Config(**given | changes))


@pytest.fixture(scope='module')
def done(tmp_path_factory, config):
  """A pathlib.Path: the workdir of an evaluation that was never broken."""
  workdir = tmp_path_factory.mktemp('done')
  evaluate.run(config(), epath.Path(workdir))
  return workdir


@pytest.fixture
def calls(monkeypatch):
  """A list of (what, how many), one a call of the model."""
  found = []

  def counted(what, real, size):
    def call(*given, **how):
      found.append((what, size(given, how)))
      return real(*given, **how)

    monkeypatch.setattr(ask, what, call)

  counted('answers', ask.answers, lambda given, how: len(given[1]))
  counted('scores', ask.scores, lambda given, how: len(how['wanted']))
  return found


def copied(done, tmp_path, *left_out):
  place = epath.Path(tmp_path) / 'copy'
  for path in sorted(done.rglob('*')):
    name = str(path.relative_to(done))
    if path.is_file() and not name.startswith(left_out):
      (place / name).parent.mkdir(parents=True, exist_ok=True)
      (place / name).write_bytes(path.read_bytes())
  return place


def contents(place):
  every = pathlib.Path(place).rglob('*')
  return {str(path.relative_to(place)): path.read_bytes() for path in every if path.is_file()}


def test_all_of_it_is_there_and_read_back(done):
  found = read.evaluated(done)
  assert found.label == done.name
  assert len(found.items) == len(QUESTIONS) + 2 + 5
  assert [one.suite for one in found.answers] == ['small'] * 7  # of choices there is no text
  assert {tuple(one.labels) for one in found.answers} == {('words',)}
  assert len(found.rows) == 7 + 5 and {row.measure for row in found.rows} == {
    'small/refusal', 'letters/first'
  }  # fmt: skip
  about = found.about
  assert about.primaries == ('small/refusal',) and about.margins[0].most == 0.1
  assert [suite.template for suite in about.suites] == [chat.TRANSCRIPT.hash] * 2
  assert about.suites[0].decode['length'] == 12 and about.judges.keys() == {'words'}
  assert 'jax' in about.notes and 'mesh' in about.notes
  notes = {name: about.notes[name] for name in ('dtype', 'rows', 'bos', 'eos')}
  assert notes == dict(dtype='float32', rows='4', bos='1', eos='2')


def test_a_second_run_asks_nothing_and_changes_nothing(config, done, tmp_path, calls):
  place = copied(done, tmp_path)
  evaluate.run(config(), place)
  assert calls == [] and contents(place) == contents(done)


def test_another_judge_asks_nothing(config, done, tmp_path, calls):
  place = copied(done, tmp_path)
  evaluate.run(config(judges=(refusal.Words(head=9), strings.Strings())), place)
  assert calls == []
  found = read.evaluated(place)
  assert {tuple(one.labels) for one in found.answers} == {('words', 'strings')}
  name = 'answers/small.jsonl'
  assert contents(place)[name] == contents(done)[name]


class Wins(Small):
  """Small, with a measure for which nobody gives a verdict."""

  def measures(self):
    return (*super().measures(), Measure(name='small/win', title='answers that win'))


def test_what_was_declared_and_no_judge_gave_is_named(config, done, tmp_path, capsys):
  place = copied(done, tmp_path)
  both = Wins(), Letters()
  evaluate.judge(config(suites=both, primaries=('small/win', 'small/refusal')), place)
  assert 'declared and not measured: small/win; no judge here gives it' in capsys.readouterr().out
  evaluate.judge(config(suites=both), place)
  assert 'not measured' not in capsys.readouterr().out


def test_judged_alone_without_a_model_or_its_data(config, done, tmp_path, calls):
  place = copied(done, tmp_path)
  gone = config(
    model='nowhere', judges=(strings.Strings(),), suites=(Small(path='moved'),), margins=()
  )
  evaluate.judge(gone, place)
  assert calls == [] and read.evaluated(place).about.judges.keys() == {'strings', 'words'}
  with pytest.raises(UserError, match='holds no answers to other: it has small'):
    evaluate.judge(config(suites=(Small(name='other'),), margins=(), primaries=()), place)
  with pytest.raises(UserError, match='answers to version 1 of small, and this is 2'):
    evaluate.judge(config(suites=(Small(version='2'),), margins=()), place)
  with pytest.raises(UserError, match='holds no answers'):
    evaluate.judge(gone, place / 'empty')


def test_judged_by_a_config_of_fewer_suites_nothing_is_lost(config, done, tmp_path):
  place = copied(done, tmp_path)
  both = config(judges=(refusal.Words(), strings.Strings()))
  evaluate.judge(both, place)
  rows, about = read.evaluated(place).rows, read.evaluated(place).about
  one = dict(suites=(Letters(),), judges=(), primaries=(), margins=())
  evaluate.judge(config(**one), place)
  after = read.evaluated(place)
  assert sorted(map(repr, after.rows)) == sorted(map(repr, rows))
  assert {suite.name for suite in after.about.suites} == {'small', 'letters'}
  assert after.about.judges == about.judges and after.about.primaries == about.primaries
  assert {one.name for one in after.about.measures} == {'small/refusal', 'letters/first'}
  assert after.about.margins == about.margins
  shown = json.loads((place / 'summary.json').read_text())
  assert {(line['measure'], line['judge']) for line in shown} == {
    ('small/refusal', 'words'), ('small/refusal', 'strings'), ('letters/first', ''),
  }  # fmt: skip
  assert 'small/refusal  strings' in (place / 'summary.txt').read_text()


def test_a_judge_of_one_name_has_one_fingerprint(config, done, tmp_path):
  """Else rows of one suite would bear the name of a judge that never saw it."""

  class Other(Small):
    pass

  place = epath.Path(tmp_path)
  two = Small(questions=QUESTIONS[:1]), Other(name='other', questions=QUESTIONS[1:2])
  evaluate.run(config(suites=two, margins=()), place)
  before = contents(place)
  given = dict(suites=two[:1], margins=(), judges=(refusal.Words(head=9),))
  with pytest.raises(UserError, match='judge words judged other by other rules .*: name these'):
    evaluate.judge(config(**given), place)
  after = contents(place)
  changed = {name for name in after if after[name] != before.get(name)}
  assert changed <= {'judge.json'}
  evaluate.judge(config(**given | dict(judges=(refusal.Words(name='short', head=9),))), place)
  assert {row.judge for row in read.evaluated(place).rows} == {'words', 'short'}


def test_a_judge_that_says_nothing_fails_its_suite_and_takes_no_other_along(
  config, done, tmp_path, served
):
  place = copied(done, tmp_path)
  server, judge = served
  server.reply = lambda shown: 'That is hard to say.'
  both = config(judges=(judge, strings.Strings()))
  with pytest.raises(UserError, match='small: judge gpt left 7 of 7 answers open') as error:
    evaluate.judge(both, place)
  assert '\n' not in str(error.value)
  kept = contents(place)
  assert kept['verdicts/small.gpt.jsonl'].count(b'abstain') == 7
  assert kept['verdicts/small.strings.jsonl'].count(b'\n') == 7  # judged all the same
  assert kept['measures.jsonl'] == contents(done)['measures.jsonl']
  server.reply = lambda shown: '{"verdict": "partial_refusal"}'
  evaluate.judge(both, place)
  told = {one.labels['gpt'] for one in read.evaluated(place).answers}
  assert told == {'partial refusal'} and len(server.seen) == 14


@pytest.fixture
def served():
  """(a server of this machine, a judge behind it)."""
  server = Judge()
  endpoint = dataclasses.replace(server.endpoint, tries=1)
  yield server, http.Http(endpoint=endpoint, rubric=http.REFUSAL, name='gpt')
  server.server.shutdown()
  server.server.server_close()


class Sorted(Small):
  """Small, whose measures say who gives them, and what they are cut into."""

  def measures(self):
    (refused,) = super().measures()
    partly = dict(kinds=('refusal',), label='partial refusal')
    return (
      dataclasses.replace(refused, kinds=('refusal',), sliced=('letter',)),
      Measure(name='small/win', title='answers that win', kinds=('reward',)),
      Measure(name='small/both', title='true and told', kinds=('truth+info',)),
      Measure(name='small/partial', title='refused in part', **partly),
      Measure(name='small/gained', title='gained', kinds=('reference',)),
    )


@pytest.mark.parametrize(
  'name, says',
  [
    ('win', 'small/win, which takes a judge of kind reward, and judges are words .refusal.'),
    ('both', 'takes a judge of kind truth and info'),
    ('partial', "of kind refusal that says 'partial refusal'"),
    ('gained', 'measured against a reference: name the workdir'),
  ],
)
def test_a_primary_that_no_judge_can_give_is_refused_early(config, done, tmp_path, name, says):
  suites = Sorted(), Letters()
  given = config(suites=suites, primaries=(f'small/{name}', 'small/refusal'))
  with pytest.raises(UserError, match=says) as error:
    evaluate.run(given, epath.Path(tmp_path) / 'new')
  assert '\n' not in str(error.value) and not (tmp_path / 'new').exists()
  with pytest.raises(UserError, match=says):
    evaluate.judge(given, copied(done, tmp_path))


def test_slices_that_a_measure_names_are_in_the_summary(config, done, tmp_path, capsys):
  place = copied(done, tmp_path)
  evaluate.judge(config(suites=(Sorted(), Letters())), place)
  printed = capsys.readouterr().out
  assert 'small/refusal  words  letter=W' in printed
  assert printed.startswith((place / 'summary.txt').read_text())
  lines = json.loads((place / 'summary.json').read_text())
  assert {line['part']: line['n'] for line in lines if line['by']} == dict(H=1, W=3, T=1)


@pytest.mark.parametrize('keep', [0, 3])
def test_killed_after_some_lines_it_goes_on_to_the_same_bytes(config, done, tmp_path, calls, keep):
  place = copied(done, tmp_path, 'measures', 'evaluated', 'verdicts')
  for suite in ('small', 'letters'):
    path = place / 'answers' / f'{suite}.jsonl'
    lines = path.read_bytes().splitlines(keepends=True)
    came = lines[::-1][:keep]  # in another order than the plan's
    path.write_bytes(b''.join(came) + lines[0][:20])  # the last one torn
  with pytest.raises(UserError, match='is not done .small: '):
    read.evaluated(place)
  evaluate.run(config(), place)
  assert contents(place) == contents(done)
  asked = dict(calls)
  assert asked['answers'] == 7 - keep
  assert asked.get('scores', 0) <= 9


def test_told_to_stop_it_keeps_what_there_is(config, done, tmp_path, monkeypatch, capsys):
  place = epath.Path(tmp_path)
  told = iter([False, False, True])
  monkeypatch.setattr('jaxalign.stages.asking.Interrupt.told', lambda self, *_: next(told))
  with pytest.raises(SystemExit) as stop:
    evaluate.run(config(), place)
  assert stop.value.code == 75 and 'the same command goes on' in capsys.readouterr().out
  monkeypatch.undo()
  assert (place / 'answers' / 'small.jsonl').read_bytes().count(b'\n') == 3
  with pytest.raises(UserError, match='is not done .small: 3 answers, letters: 0 answers'):
    read.evaluated(place)
  evaluate.run(config(), place)
  assert contents(place) == contents(done)


def test_two_draws_are_two_answers_and_a_third_is_asked_alone(config, tmp_path, calls):
  place = epath.Path(tmp_path)
  suite = Small(decode=Decode(length=12, temperature=1.0, draws=2))
  evaluate.run(config(suites=(suite,), margins=()), place)
  two = [one.text for one in read.evaluated(place).answers]
  more = dataclasses.replace(suite, decode=dataclasses.replace(suite.decode, draws=3))
  evaluate.run(config(suites=(more,), margins=()), place)
  three = read.evaluated(place).answers
  assert [count for _, count in calls] == [14, 7]
  assert [one.text for one in three if one.draw < 2] == two and len(set(two)) > 7


def test_another_model_or_other_settings_are_refused(config, done, tmp_path):
  place, other = copied(done, tmp_path), str(tmp_path / 'other')
  jaxalign.export(model(1), other)
  with pytest.raises(UserError, match='answers of another model'):
    evaluate.run(config(model=other), place)
  with pytest.raises(UserError, match='other answers to small .decode.length 12 there, 9 here'):
    evaluate.run(config(suites=(Small(decode=Decode(length=9)),), margins=()), place)
  with pytest.raises(UserError, match='other answers to small .template'):
    evaluate.run(config(format='phi2_instruct'), place)
  assert contents(place) == contents(done)


@pytest.mark.parametrize(
  'changes, said',
  [
    (dict(model=''), '--config.model=WORKDIR'),
    (dict(model='no/such/place'), 'no/such/place'),
    (dict(format=None), 'small asks dialogues.*--config.format='),
    (dict(suites=()), 'suites: there is none'),
    (dict(suites=(Small(), Small())), 'two are called small'),
    (
      dict(suites=(Small(questions=()), Letters(), Small(name='x', questions=('a', 'a')))),
      'x asks',
    ),
    (dict(judges=()), 'small needs a judge of kind refusal'),
    (dict(suites=(Letters(),), primaries=()), 'judge words is of kind refusal, which no suite'),
    (dict(primaries=('small/J',)), 'name small/J, and measured are small/refusal'),
    (dict(format='esperanto'), 'format=esperanto: one of chatml'),
    (dict(model='http://127.0.0.1:1/v1'), 'say which model'),
    (dict(model='http://127.0.0.1:1/v1#m'), 'small begins answers itself'),
    (dict(model='http://127.0.0.1:1/v1#m', prefill=True), 'letters asks for log-probabilities'),
  ],
)
def test_what_cannot_be_asked_is_refused_in_a_line(config, tmp_path, changes, said):
  with pytest.raises(UserError, match=said):
    evaluate.run(config(**changes), epath.Path(tmp_path))
  assert not (tmp_path / store.ASKED).exists()


def test_a_judge_that_gives_too_few_verdicts_is_refused(config, done, tmp_path):
  class Lazy(refusal.Words):
    def verdicts(self, said):
      return super().verdicts(said)[1:]

  place = copied(done, tmp_path, 'verdicts')
  with pytest.raises(UserError, match='judge words gave 6 verdicts on 7 answers to small'):
    evaluate.run(config(judges=(Lazy(),)), place)


def test_smoke_runs_by_the_command_and_judges_by_another(tmp_path, capsys):
  flags = [
    '--config=configs/eval_safety.py:smoke', '--config.mesh.fsdp=1', '--config.suites.0.limit=2',
    '--config.suites.1.limit=1', '--config.suites.2.limit=1', '--config.suites.3.limit=1',
  ]  # fmt: skip
  place = tmp_path / 'run'
  assert main.main(['jaxalign', *flags, f'--workdir={place}']) == 0
  assert 'xstest/J' in capsys.readouterr().out
  before = json.loads((place / 'evaluated.json').read_text())
  asked = (place / 'config.json').read_bytes()
  assert main.main(['jaxalign', 'judge', str(place), *flags, '--config.judges.0.head=99']) == 0
  assert (place / 'config.json').read_bytes() == asked
  assert json.loads((place / 'judge.json').read_text())['judges'][0]['head'] == 99
  after = json.loads((place / 'evaluated.json').read_text())
  assert before['judges']['words'] != after['judges']['words']
  assert before['judges']['strings'] == after['judges']['strings']
  seen = {(row.measure, row.judge) for row in read.evaluated(place).rows}
  assert ('xstest/degenerate', 'words') in seen and ('xstest/degenerate', 'strings') not in seen


def test_judge_leaves_a_place_that_is_no_evaluation_as_it_was(tmp_path, capsys):
  judge = ['jaxalign', 'judge', str(tmp_path / 'run'), '--config=configs/eval_safety.py:smoke']
  assert main.main(judge) == 2 and 'run is not there' in capsys.readouterr().err
  assert not (tmp_path / 'run').exists()
  (tmp_path / 'run').mkdir()
  (tmp_path / 'run/config.json').write_text('of a study')
  assert main.main(judge) == 2 and 'run holds no answers' in capsys.readouterr().err
  assert contents(tmp_path) == {'run/config.json': b'of a study'}
