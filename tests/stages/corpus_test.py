"""Stage corpus: whole, offline, the same bytes after any kill, and read by the stages after it."""

import dataclasses
import hashlib
import json
import pathlib
import signal
import socket
import subprocess
import sys
import time

import pytest
from etils import epath

from jaxalign import main, sealing
from jaxalign.config import Saving, UserError
from jaxalign.corpora import leaks, measures
from jaxalign.corpora.recipes import demonstrations, explain
from jaxalign.corpora.recipes.queries import Asked
from jaxalign.data import value_explanations
from jaxalign.data.sources import EXPLANATION, Jsonl
from jaxalign.evals.suites import canary, truthful
from jaxalign.models import phi2
from jaxalign.stages import corpus
from jaxalign.stages import explain as stages_explain
from jaxalign.stages.language import Corpus

ROOT = pathlib.Path(__file__).resolve().parents[2]
TINY = phi2.tiny(width=32, mlp=64, depth=1, vocab=1024, remat='none')
CONTROLS = ('neutral', 'placebo', 'shuffled', 'bare', 'bare_shuffled', 'mention', 'more')


def config(**fields):
  plain = dict(
    spec='demo',
    recipe=explain.Recipe(documents=24, words=(100, 220), domains=4),
    judge=corpus.Offline(),
    controls=CONTROLS,
    more=demonstrations.Recipe(queries=Asked(count=50, siblings=25)),
    suites=(truthful.Binary(), canary.Text()),
    banned=leaks.BENCHMARKS,
    gates=dataclasses.replace(measures.of_grammar(), opening=0.2, reason_documents=3),
  )
  return sealing.seal(corpus.Config(**(plain | fields)))


def run(cfg, workdir):
  workdir.mkdir(parents=True, exist_ok=True)
  corpus.run(cfg, epath.Path(workdir))
  return workdir


def rows(path):
  return [json.loads(line) for line in path.read_text().splitlines()]


def artefacts(workdir):
  """{file: sha256} of all that is published, less the journal and what a run paid."""
  found = {}
  for path in sorted(workdir.rglob('*')):
    if path.is_file() and path.suffix in ('.jsonl', '.html') and path.name != 'journal.jsonl':
      found[str(path.relative_to(workdir))] = hashlib.sha256(path.read_bytes()).hexdigest()
  told = json.loads((workdir / 'manifest.json').read_text())
  told.pop('paid')
  return found | dict(manifest=json.dumps(told))


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  """A finished corpus of the demo spec with all controls; nobody may open a socket for it."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(socket, 'socket', lambda *_, **__: pytest.fail('a socket was opened'))
    return run(config(), tmp_path_factory.mktemp('corpus'))


def test_all_that_was_asked_for_is_there(finished):
  told = json.loads((finished / 'manifest.json').read_text())
  documents = rows(finished / 'explain.jsonl')
  assert len(documents) == 24 and not told['documents']['short'] and not told['failing_gates']
  for kind in ('explain', *CONTROLS):
    every = rows(finished / f'{kind}.jsonl')
    assert len(every) > 15 and len({row['id'] for row in every}) == len(every)
    parts = [finished / split / f'{kind}.jsonl' for split in ('train', 'validation')]
    split = [row for path in parts if path.exists() for row in rows(path)]
    assert sorted(row['id'] for row in split) == sorted(row['id'] for row in every)
  tokens = told['controls']['tokens']
  assert abs(tokens['more'] - tokens['explain']) <= 0.01 * tokens['explain']
  assert tokens['neutral'] == tokens['explain'] and told['controls']['more']['learned_tokens']


def test_the_manifest_accounts_for_every_file_and_call(finished):
  told = json.loads((finished / 'manifest.json').read_text())
  named = {str(path.relative_to(finished)) for path in finished.rglob('*.jsonl')}
  assert {*told['files']} == named - {'journal.jsonl'}
  for name, about in told['files'].items():
    content = (finished / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == about['sha256']
    assert content.count(b'\n') == about['rows'] and len(content) == about['bytes']
  journal = rows(finished / 'journal.jsonl')
  ids = {line['call'] for line in journal[1:]}
  assert len(ids) == sum(step['calls'] for step in told['asked'].values())
  for row in rows(finished / 'explain.jsonl'):
    assert row['calls'] and {*row['calls']} <= ids
  assert told['seed'] == 0 and told['spec']['sha256'] and told['teachers']['document']


def test_spans_and_marks_are_of_their_texts(finished):
  for row in rows(finished / 'explain.jsonl'):
    kinds = [span['kind'] for span in row['spans']]
    assert 'statement' in kinds and {*row['reasons']} <= {*kinds}
    assert all(0 <= span['start'] < span['end'] <= len(row['text']) for span in row['spans'])
    assert dict(row['marks'])['contradiction'] == 'no'


def test_nothing_of_an_evaluation_is_in_any_artefact(finished):
  held = leaks.Held(leaks.of_suites((truthful.Binary(), canary.Text())), leaks.BENCHMARKS)
  for kind in ('explain', *CONTROLS):
    for row in rows(finished / f'{kind}.jsonl'):
      said = row.get('text') or '\n'.join(turn['content'] for turn in row['messages'])
      assert held.why(said) is None


def test_the_same_command_again_asks_nothing_and_changes_nothing(finished):
  before = {path: path.stat().st_mtime_ns for path in finished.rglob('*.json*')}
  run(config(), finished)
  assert {path: path.stat().st_mtime_ns for path in finished.rglob('*.json*')} == before


@pytest.mark.parametrize('share', [0.03, 0.7])
def test_a_journal_that_was_torn_anywhere_makes_the_same_bytes(finished, tmp_path, share):
  """What a SIGKILL leaves: whole lines, and perhaps a piece of one; files not yet renamed."""
  whole = (finished / 'journal.jsonl').read_bytes()
  (tmp_path / 'journal.jsonl').write_bytes(whole[: int(share * len(whole))])
  (tmp_path / 'explain.jsonl.123.tmp').write_text('half a li')
  assert artefacts(run(config(), tmp_path)) == artefacts(finished)


@pytest.mark.parametrize(
  'change',
  [
    dict(seed=1),
    dict(spec='schwartz'),
    dict(variant='why'),
    dict(recipe=explain.Recipe(documents=25)),
    dict(writer=corpus.Offline(faults=0.1)),
  ],
)
def test_the_journal_of_another_plan_is_refused(finished, tmp_path, change):
  (tmp_path / 'journal.jsonl').write_bytes((finished / 'journal.jsonl').read_bytes())
  with pytest.raises(UserError, match='the journal of another plan') as error:
    run(config(**change), tmp_path)
  assert '\n' not in str(error.value)


def test_other_filters_and_controls_ask_only_what_is_new(finished, tmp_path):
  journal = (finished / 'journal.jsonl').read_bytes()
  (tmp_path / 'journal.jsonl').write_bytes(journal)
  run(config(controls=('shuffled',), more=None, banned=('lantern',), judge=None), tmp_path)
  there = (tmp_path / 'journal.jsonl').read_bytes()
  assert there.startswith(journal)
  held = leaks.Held((), ('lantern',))
  assert not any(held.why(row['text']) for row in rows(tmp_path / 'explain.jsonl'))


def test_faults_are_found_revised_or_dropped_and_written_again(tmp_path):
  cfg = config(writer=corpus.Offline(faults=0.3), controls=(), more=None)
  told = json.loads((run(cfg, tmp_path) / 'manifest.json').read_text())
  documents = told['documents']
  assert documents['revised'] > 0 and documents['dropped'] and documents['kept'] == 24
  for about in documents['dropped'].values():
    assert 0 < len(about['examples']) <= about['count']


# ---- what reads it


@pytest.mark.usefixtures('one_device')
def test_explain_and_the_tfds_builder_read_it_as_it_is(finished, tmp_path):
  path = str(finished / 'explain.jsonl')
  documents = [one for _, one in Jsonl(path=path, kind='document', columns=EXPLANATION).read()]
  published = rows(finished / 'explain.jsonl')
  assert [one.text for one in documents] == [row['text'] for row in published]
  assert value_explanations.prepare(data_dir=str(tmp_path / 'tfds'), path=path)
  smoke = f'{ROOT}/configs/explain_phi2.py:smoke'

  def cut(split):
    source = Jsonl(path=f'{finished}/{split}/explain.jsonl', kind='document')
    return (Corpus(source=source),)

  few = dict(steps=12, steps_per_call=6, eval_every=12, length=64)
  cfg = dataclasses.replace(
    main.load(smoke), saving=Saving(every=12), train=cut('train'), held_out=cut('validation'), **few
  )
  cfg = sealing.seal(dataclasses.replace(cfg, model=TINY))
  at = epath.Path(tmp_path / 'run')
  stages_explain.prepare(cfg, at)
  stages_explain.run(cfg, at)
  metrics = rows(tmp_path / 'run' / 'evals.jsonl')
  assert any('held_out_loss' in line for line in metrics)


# ---- the command


def command(workdir, *flags):
  return [
    'jaxalign',
    f'--config={ROOT}/configs/corpus_values.py:smoke',
    f'--workdir={workdir}',
    *flags,
  ]


SMALL = (
  '--config.spec=demo',
  '--config.recipe.documents=12',
  '--config.recipe.domains=2',
  '--config.controls=shuffled,bare',
  '--config.more=none',
)


def test_fields_are_set_by_flags_and_numbers_have_ranges(tmp_path, capsys):
  assert main.main(command(tmp_path, *SMALL, '--config.gates.reason_documents=1')) == 0
  assert len(rows(tmp_path / 'explain.jsonl')) == 12
  capsys.readouterr()
  for flag in ('recipe.documents=0', 'recipe.revisions=9', 'max_cost=-1', 'recipe.validation=.7'):
    assert main.main(command(tmp_path / 'x', f'--config.{flag}')) == 2
    assert flag.split('=')[0] in capsys.readouterr().err


@pytest.mark.parametrize(
  'flags, what',
  [
    (['--config.spec=nowhere.toml'], 'nowhere.toml cannot be read'),
    (['--config.spec=demo', '--config.controls=shuffled'], 'control more'),
    (['--config.controls=shuffled,shuffled'], 'each of them once'),
  ],
)
def test_bad_input_is_one_line_and_status_2(tmp_path, capsys, flags, what):
  assert main.main(command(tmp_path, *flags)) == 2
  (line,) = capsys.readouterr().err.strip().splitlines()
  assert what in line and not (tmp_path / 'journal.jsonl').exists()


def killed_at(size, workdir):
  """Whether a run in a process of its own was killed by SIGKILL at so many bytes of its journal."""
  words = [sys.executable, '-m', 'jaxalign.main', *command(workdir, *SMALL)[1:]]
  quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
  process, journal = subprocess.Popen(words, cwd=ROOT, **quiet), workdir / 'journal.jsonl'
  while process.poll() is None:
    if journal.exists() and journal.stat().st_size >= size:
      process.send_signal(signal.SIGKILL)
      process.wait()
      return True
    time.sleep(0.002)
  return False


@pytest.mark.campaign
def test_twenty_kills_leave_the_bytes_of_an_unbroken_run(tmp_path):
  plain, broken = tmp_path / 'plain', tmp_path / 'broken'
  assert main.main(command(plain, *SMALL)) == 0
  whole = (plain / 'journal.jsonl').stat().st_size
  kills = 0
  for n in range(20):
    kills += killed_at(whole * (n + 1) / 21, broken)
    journal = broken / 'journal.jsonl'
    if n == 7:
      journal.write_bytes(journal.read_bytes()[:-9])  # one of them in the middle of a line
  assert kills >= 18  # one may fall between two checks
  assert main.main(command(broken, *SMALL)) == 0
  assert artefacts(broken) == artefacts(plain)


def test_a_config_that_cannot_be_is_refused():
  for fields, what in (
    (dict(more=None), 'more'),
    (dict(recipe=demonstrations.Recipe(), more=None), 'controls are of documents'),
    (dict(by=(corpus.By(step='judge', teacher=corpus.Offline()),) * 2), 'two teachers'),
  ):
    with pytest.raises(UserError, match=what):
      config(**fields)


def test_any_recipe_makes_its_rows(tmp_path):
  cfg = config(recipe=demonstrations.Recipe(queries=Asked(count=8)), controls=(), more=None)
  told = json.loads((run(cfg, tmp_path) / 'manifest.json').read_text())
  opaque, reasoned = (rows(tmp_path / f'{kind}.jsonl') for kind in ('opaque', 'reasoned'))
  assert 0 < len(opaque) == len(reasoned) and told['figures']
  assert [row['query'] for row in opaque] == [row['query'] for row in reasoned]
  assert dataclasses.is_dataclass(cfg.recipe)


def test_where_nothing_passes_a_page_shows_what_was_written(tmp_path):
  recipe = explain.Recipe(documents=6, domains=2, tries=2)
  cfg = config(recipe=recipe, controls=(), more=None, banned=('the',))
  with pytest.raises(UserError, match=r'nothing is left of 12 texts \(.*and some of it in corpus'):
    run(cfg, tmp_path)
  assert 'No text passed the filters' in (tmp_path / 'corpus.html').read_text()
  assert not (tmp_path / 'manifest.json').exists() and not (tmp_path / 'explain.jsonl').exists()
