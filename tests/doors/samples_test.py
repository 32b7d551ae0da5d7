"""An evaluation of ours as lm-evaluation-harness logs its own: our reader of such logs reads it."""

import collections
import hashlib
import json

import pytest
from etils import epath

from jaxalign import main, sealing
from jaxalign.data import chat
from jaxalign.evals import ask, read
from jaxalign.evals.evaluated import About
from jaxalign.evals.item import Decode, Said
from jaxalign.evals.judges import refusal, strings
from jaxalign.evals.suites import overrefusal, truthful
from jaxalign.stages import asking, evaluate
from jaxalign.study.answers import comparing, lm_eval_samples

SUITES = overrefusal.XSTest(limit=8), truthful.Binary(limit=4)
KEYS = (
  'doc_id doc target arguments resps filtered_resps filter metrics doc_hash prompt_hash target_hash'
).split()


class Says:
  """Whoever refuses each question of `every`, and finds each second choice likelier."""

  form = chat.TRANSCRIPT

  def __init__(self, every):
    self.name, self.fingerprint, self._every = f'every {every}', f'every{every}', every

  def refuse(self, *_):
    pass

  def said(self, plan, missing, decode):
    for n in missing:
      one, refuses = plan[n], n % self._every == 0
      text = "I'm sorry, but I cannot help with that." if refuses else 'Here is how it is done.'
      scores = tuple((-1.0 - (k + n) % 2, 3, False) for k in range(len(one.item.choices)))
      said = dict(scores=scores) if scores else dict(text=text)
      yield n, Said(key=one.key, item=one.item.id, draw=one.draw, tokens=3, **said)


def finished(place, every):
  """The workdir of an evaluation of somebody who needs no model."""
  asker = Says(every)
  puts = [asking.put(asker, suite, suite.items()) for suite in SUITES]
  about = About(
    model=asker.name, fingerprint=asker.fingerprint, base='same',
    suites=tuple(one.asked for one in puts),
  )  # fmt: skip
  asking.asked(place, asker, puts, about)
  judges = refusal.Words(), strings.Strings()
  evaluate.judge(sealing.seal(evaluate.Config(suites=SUITES, judges=judges)), place)
  return place


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
  return [finished(epath.Path(tmp_path_factory.mktemp(f'every{n}')), n) for n in (1, 3)]


def logged(run, out):
  assert main.main(['jaxalign', 'samples', str(run), f'--out={out}']) == 0
  return lm_eval_samples.evaluated(lm_eval_samples.found_in(epath.Path(out)), run.name)


def means(rows, name):
  of = collections.defaultdict(list)
  for row in rows:
    of[name(row)].append(row.value * row.weight)
  return {key: pytest.approx(sum(many) / len(many)) for key, many in of.items()}


def test_our_reader_of_their_logs_finds_our_measures(runs, tmp_path):
  ours, theirs = read.evaluated(runs[1]), logged(runs[1], tmp_path / 'out')
  known = {item.id for item in ours.items.values()} | {item.unit for item in ours.items.values()}
  one_item = [row for row in ours.rows if row.unit in known]
  judges = {row.measure: {other.judge for other in ours.rows if other.measure == row.measure}
            for row in ours.rows}  # fmt: skip
  wanted = means(
    one_item,
    lambda row: row.measure + f'@{row.judge}' * (len(judges[row.measure]) > 1),
  )
  found = means(theirs.rows, lambda row: row.measure)
  assert found == wanted and {'xstest/J@words', 'truthful/binary'} <= found.keys()
  better = {one.name: one.better for one in ours.about.measures}
  assert all(one.better == better[one.name.partition('@')[0]] for one in theirs.about.measures)
  texts = {one.text for one in theirs.answers if one.suite == 'xstest'}
  assert texts == {one.text for one in ours.answers}


def test_a_line_has_all_that_theirs_has_and_its_hashes(runs, tmp_path):
  logged(runs[0], tmp_path)
  for suite, count in (('xstest', 8), ('truthful', 12)):
    (path,) = tmp_path.glob(f'samples_{suite}_*.jsonl')
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == len(SUITES[suite == 'truthful'].items()) >= count - 4
    for n, line in enumerate(lines):
      assert list(line)[: len(KEYS)] == KEYS and line['doc_id'] == n
      assert all(isinstance(line[name], float) for name in line['metrics'])
      doc = json.dumps(line['doc'], indent=2, ensure_ascii=False)
      for name, text in dict(
        doc=doc, prompt=line['arguments']['gen_args_0']['arg_0'], target=line['target']
      ).items():
        assert line[f'{name}_hash'] == hashlib.sha256(text.encode()).hexdigest()
      assert len(line['resps']) == len(line['arguments'])
  how = (
    lines
    and json.loads(next(tmp_path.glob('samples_xstest_*')).read_text().splitlines()[0])[
      'arguments'
    ]['gen_args_0']['arg_1']
  )
  assert how['do_sample'] is False and how['max_gen_toks'] == SUITES[0].decode.length


def test_two_of_them_are_compared_as_the_runs_themselves(runs, tmp_path):
  for n, run in enumerate(runs):
    logged(run, tmp_path / f'{n}')
  text = comparing.compare([str(tmp_path / '0'), str(tmp_path / '1')], None, None, False)
  assert 'xstest/J@words' in text and 'truthful/binary' in text


def test_another_decode_or_format_is_seen(runs, tmp_path):
  suite = overrefusal.XSTest(limit=8, decode=Decode(length=9))
  logged(runs[0], tmp_path / 'a')
  (path,) = (tmp_path / 'a').glob('samples_xstest_*')
  first = json.loads(path.read_text().splitlines()[0])
  asked = ask.asked_as(suite, suite.items(), chat.CHATML)
  assert first['arguments']['gen_args_0']['arg_0'].startswith('[chat format ')
  assert asked.template[:12] not in first['arguments']['gen_args_0']['arg_0']


def test_what_cannot_be_written_is_a_line(runs, tmp_path, capsys):
  assert main.main(['jaxalign', 'samples', str(runs[0])]) == 2
  assert main.main(['jaxalign', 'samples', str(tmp_path / 'none'), f'--out={tmp_path}']) == 2
  (tmp_path / 'samples_xstest_2020-01-01T00-00-00.0.jsonl').write_text('{}\n')
  assert main.main(['jaxalign', 'samples', str(runs[0]), f'--out={tmp_path}']) == 2
  said = capsys.readouterr().err
  assert '--out is missing' in said and 'holds no evaluation' in said
  assert 'holds samples_xstest_2020' in said and len(said.splitlines()) == 3
