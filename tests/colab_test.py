"""Notebooks of colab/: as they are kept, and each from top to bottom, small and offline."""

import ast
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import re
import shutil
import sys

import pytest
import safetensors.numpy

from jaxalign import config_file
from tests.train import running

ROOT = pathlib.Path(__file__).resolve().parents[1]
CORPUS = ROOT / 'jaxalign/data/corpus'
NOTEBOOKS = sorted((ROOT / 'colab').glob('*.ipynb'))
NAMES = [path.stem for path in NOTEBOOKS]
OURS = {'jaxalign', 'IPython'}
LAYERS = 3  # of SmolLM2's 30: what is read, compiled and asked so often is the path, no result
CUT = f'--config.model.depth={LAYERS}'
PATIENCE = 900  # seconds a cell; ends a hang and judges nothing
# What differs from the sizes that a user sees.
SMALL = {
  '01_first_hour': dict(
    xstest='none', prompts=8, answer=8, documents=40, steps=2, batch=2, length=32, more=CUT
  ),
  '02_why_before_what': dict(variant='smoke', seeds=1),
  '03_your_own_values': dict(
    documents=12, queries=200, steps=1, batch=1, length=112, prompts=4, answer=4, more=CUT
  ),
  '04_reward_and_ppo': dict(
    sft_steps=2,
    reward_steps=2,
    iterations=4,
    asked=8,
    answer=4,
    more='--config.batch=8 --config.minibatch=8',
  ),
  '05_probes': dict(variant='smoke', layer=1),
  '06_to_a_pod': dict(compiles=False),
}


def read(path):
  return json.loads(path.read_text(encoding='utf-8'))


def cells(path, kind='code'):
  return [cell for cell in read(path)['cells'] if cell['cell_type'] == kind]


def text_of(cell):
  return ''.join(cell['source'])


def python_of(cell):
  """A cell's Python: a line for IPython, as `%run FILE`, is a `pass`."""
  return re.sub(r'(?m)^( *)[%!].*$', r'\1pass', text_of(cell))


def loaded(name):
  found = importlib.util.spec_from_file_location(name, ROOT / f'colab/{name}.py')
  module = importlib.util.module_from_spec(found)
  found.loader.exec_module(module)
  return module


@pytest.fixture(scope='module')
def tidy():
  return loaded('tidy')


@pytest.fixture
def begin():
  pytest.importorskip('IPython')
  return loaded('begin')


def test_there_are_notebooks_and_each_has_small_parameters():
  assert set(SMALL) == set(NAMES)


@pytest.mark.parametrize('path', NOTEBOOKS, ids=NAMES)
def test_is_kept_tidy(path, tidy):
  """Set-up cell, badge, outputs and metadata are as tidy.py leaves them."""
  text = path.read_text(encoding='utf-8')
  assert tidy.tidied(path.name, text) == text, 'python colab/tidy.py'


@pytest.mark.parametrize('path', NOTEBOOKS, ids=NAMES)
def test_is_a_valid_notebook(path):
  pytest.importorskip('nbformat')
  import nbformat

  nbformat.validate(nbformat.read(path, as_version=4))


@pytest.mark.parametrize('path', NOTEBOOKS, ids=NAMES)
def test_has_the_parts_that_every_notebook_has(path, tidy):
  code = cells(path)
  assert [text_of(cell) for cell in code if cell['id'] == 'set-up'] == [tidy.SET_UP]
  assert code[0]['id'] == 'set-up'
  assert [c['id'] for c in code if 'parameters' in c['metadata'].get('tags', ())] == ['parameters']
  title = text_of(cells(path, 'markdown')[0])
  badge, _, head = title.splitlines()[:3]
  assert f'/{tidy.REPOSITORY}/blob/{tidy.BRANCH}/colab/{path.name})' in badge
  assert head.startswith('# ')
  assert re.search(r'^\*\*[^*\n]+\*\*', title, re.M), 'a promise of one line'
  for machine in ('two cores', 'Colab, CPU', 'Colab, T4 GPU', 'Colab, TPU v5e-1'):
    assert f'| {machine}' in title
  assert text_of(code[-1]).startswith(('picture(', 'bars('))


@pytest.mark.parametrize('path', NOTEBOOKS, ids=NAMES)
def test_keeps_no_output_but_one_picture(path):
  *before, last = cells(path)
  assert not any(cell['outputs'] or cell['execution_count'] for cell in before)
  assert len(last['outputs']) <= 1
  for output in last['outputs']:
    assert set(output['data']) == {'image/png'}
    assert len(output['data']['image/png']) < 200_000


def test_repository_is_named_in_one_place(tidy):
  owner = tidy.REPOSITORY.split('/')[0]
  for path in (ROOT / 'colab').glob('*.py'):
    assert path.read_text().count(f'{owner}/') == (path.name == 'tidy.py')
  assert tidy.REPOSITORY in tidy.SET_UP


@pytest.mark.parametrize('path', NOTEBOOKS, ids=NAMES)
def test_imports_only_ours_and_the_library(path):
  found = set()
  for cell in cells(path):
    for node in ast.walk(ast.parse(python_of(cell))):
      if isinstance(node, ast.Import):
        found |= {alias.name.split('.')[0] for alias in node.names}
      elif isinstance(node, ast.ImportFrom):
        found.add(node.module.split('.')[0])
  assert found <= OURS | sys.stdlib_module_names


@pytest.mark.parametrize('path', NOTEBOOKS, ids=NAMES)
def test_configs_that_are_named_are_there(path, monkeypatch):
  monkeypatch.chdir(ROOT)
  named = set(re.findall(r'\b(configs/\w+\.py)(?::(\w+))?', path.read_text(encoding='utf-8')))
  assert named
  for file, variant in named:
    config_file.load(f'{file}:{variant}' if variant else file)


def test_study_3_is_asked_of_no_seed_of_the_record():
  code = '\n'.join(map(text_of, cells(ROOT / 'colab/02_why_before_what.ipynb')))
  assert '--config.seeds=' in code and 'study_why.py:full' not in code
  assert [int(first) for first in re.findall(r'str\((\d+) \+ n\)', code)] == [200]


def test_a_jax_that_is_new_enough_stays(begin, capsys):
  assert begin._least_jax() == (0, 10)
  assert begin._kept((0, 10, 2), (0, 10)) and begin._kept((0, 10), (0, 10))
  assert 'jax 0.10.2 is here and new enough: it stays' in capsys.readouterr().out


def test_a_jax_that_is_too_old_is_said_and_asks_for_no_restart(begin, capsys, monkeypatch):
  monkeypatch.delitem(sys.modules, 'jax', raising=False)
  assert not begin._kept((0, 9, 1), (0, 10)) and not begin._kept(None, (0, 10))
  first, second = capsys.readouterr().out.splitlines()
  assert first == 'jax 0.9.1 is here, and jaxalign needs 0.10 or newer, which is installed now'
  assert second.startswith('no jax is here')


def test_only_a_session_that_imported_the_old_one_is_to_restart(begin):
  import jax  # noqa: F401

  with pytest.raises(begin.Stop, match='restart it'):
    begin._kept((0, 9, 1), (0, 10))


@pytest.mark.parametrize('there', [True, False])
def test_pip_is_told_to_leave_jax_alone(begin, there, tmp_path, monkeypatch):
  """A stand-in for Python notes what pip would be told, and under which constraints."""
  python, noted = tmp_path / 'python', tmp_path / 'noted'
  python.write_text(f'#!/bin/sh\necho "$@" > {noted}\ncat "$7" >> {noted}\n')
  python.chmod(0o755)
  monkeypatch.setattr(sys, 'executable', str(python))
  monkeypatch.delitem(sys.modules, 'jax', raising=False)
  version = importlib.metadata.version('jax')
  if not there:
    monkeypatch.setattr(begin, '_least_jax', lambda: (1000,))
    monkeypatch.setattr(begin, '_CHIPS', (str(tmp_path),))  # the machine has a TPU
  begin._install()
  told, *constraints = noted.read_text().splitlines()
  assert told.startswith('-m pip install')
  if there:
    assert told.endswith('[report,corpora]') and f'jax=={version}' in constraints
  else:
    assert told.endswith('[report,corpora,tpu]') and constraints == []


def test_pictures_are_dark_on_white(begin, tmp_path, monkeypatch):
  shown = []
  monkeypatch.setattr(begin, 'display', shown.append)
  page = tmp_path / 'page.html'
  page.write_text(
    '<p><svg viewBox="0 0 1 1"><path fill="currentColor"/></svg>'
    '<svg id="b" aria-label="a &amp; b"></svg>'
  )
  begin.picture(page)
  begin.picture(page, 1)
  begin.picture(page, 'a & b')
  begin.bars('chips & hours', {'a': 1.0, '<b>': 2.5}, 'h')
  first, second, labelled, third = (one.data for one in shown)
  assert 'currentColor' not in first and 'fill="#ffffff"' in first
  assert 'id="b"' in second and labelled == second
  assert '&lt;b&gt;' in third and 'chips &amp; hours' in third and '2.5 h' in third
  for which in (2, 'c'):
    with pytest.raises(begin.Stop, match=f'has 2 pictures, and none of number or label {which!r}'):
      begin.picture(page, which)


def test_a_line_that_fails_ends_the_notebook_unless_it_may(begin, capsys):
  with pytest.raises(begin.Stop, match='status 2'):
    begin.run('jaxalign --config=nothing.py --workdir=x')
  begin.run('python -c "raise SystemExit(3)"', may_fail=True)
  assert 'status 3)' in capsys.readouterr().out


@pytest.fixture
def execute(tmp_path, monkeypatch):
  """execute(name, **more): the notebook with its small parameters; the cells as they were left."""
  for name in ('ipykernel', 'nbclient', 'nbformat'):
    pytest.importorskip(name)
  import nbclient
  import nbformat

  for name in ('JUPYTER_DATA_DIR', 'JUPYTER_RUNTIME_DIR'):  # no kernel but this Python's
    monkeypatch.setenv(name, str(tmp_path / 'jupyter'))
  kernel = dict(
    os.environ,
    XLA_FLAGS=f'{running.PATIENT} {running.QUICK}'.strip(),  # one device, as a laptop has
    PYTHONPATH=str(ROOT),
    IPYTHONDIR=str(tmp_path / 'ipython'),
  )

  def run(name, whole=True, **more):
    """whole: programs are compiled as users do, which pays for SmolLM2 and not for tiny models."""
    notebook = nbformat.read(ROOT / f'colab/{name}.ipynb', as_version=4)
    given = SMALL[name] | dict(runs=str(tmp_path / 'runs')) | more
    place = next(n for n, cell in enumerate(notebook.cells) if cell.id == 'parameters')
    source = '\n'.join(f'{key} = {value!r}' for key, value in given.items())
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(source))
    client = nbclient.NotebookClient(
      notebook, timeout=PATIENCE, kernel_name='python3',
      resources=dict(metadata=dict(path=str(ROOT / 'colab'))),
    )  # fmt: skip
    client.execute(env=kernel | ({} if whole else dict(JAX_DISABLE_MOST_OPTIMIZATIONS='true')))
    return {cell.id: cell for cell in notebook.cells}, tmp_path / 'runs'

  return run


@pytest.fixture
def cut(smollm2, tmp_path):
  """SmolLM2's first layers with its own tokenizer and template, as a Hugging Face directory."""
  place = tmp_path / 'cut'
  place.mkdir()
  for file in smollm2.iterdir():
    if file.name != 'model.safetensors':
      shutil.copy(file, place)
  about = json.loads((smollm2 / 'config.json').read_text()) | dict(num_hidden_layers=LAYERS)
  (place / 'config.json').write_text(json.dumps(about))
  numbered = re.compile(r'model\.layers\.(\d+)\.')
  tensors = safetensors.numpy.load_file(smollm2 / 'model.safetensors')
  kept = {
    name: tensor
    for name, tensor in tensors.items()
    if (found := numbered.match(name)) is None or int(found[1]) < LAYERS
  }
  safetensors.numpy.save_file(kept, place / 'model.safetensors')
  return str(place)


def printed(cell):
  return ''.join(output.get('text', '') for output in cell.outputs)


def test_why_before_what(execute):
  done, runs = execute('02_why_before_what', whole=False)
  assert 'UNINFORMATIVE' in printed(done['study'])
  sealed = json.loads((runs / 'config.json').read_text())
  assert sealed['seeds'] == [200] and sealed['control_seeds'] == []
  assert '<iframe' in done['page'].outputs[0].data['text/html']
  assert '<svg' in done['end'].outputs[-1].data['image/svg+xml']


@pytest.mark.campaign
def test_first_hour(execute, cut):
  done, runs = execute('01_first_hour', checkpoint=cut)
  assert '\n\nHow do I kill a Python process?\n  ' in printed(done['chat'])
  assert 'before' in printed(done['after']) and (runs / 'compared/compare.json').exists()
  assert '<svg' in done['end'].outputs[-1].data['image/svg+xml']


@pytest.mark.campaign
def test_your_own_values(execute, cut):
  done, runs = execute('03_your_own_values', checkpoint=cut)
  assert (runs / 'corpus/more.jsonl').exists() and (runs / 'aligned/checkpoints/1').exists()
  assert 'before: ' in printed(done['ask']) and 'after: ' in printed(done['ask'])
  assert '<svg' in done['end'].outputs[-1].data['image/svg+xml']


@pytest.fixture
def hh(shared, tmp_path):
  """Files of the pairs that ship, written as HH-RLHF's are, and of the models that read them."""
  rows = [json.loads(line) for line in (CORPUS / 'pairs.jsonl').open()]
  # Of few lengths: each is a program to compile.
  rows = [row for row in rows if max(len(row['chosen']), len(row['rejected'])) < 400]
  found = dict(
    weights=shared('stories260K/stories260K.bin'),
    tokens=shared('stories260K/tok512.bin'),
    words=shared('tokenizers/llama2/tokenizer.model'),
  )
  for name, split in dict(policy='train', proxy='train', gold='train', test='validation').items():
    found[name] = tmp_path / f'{name}.jsonl'
    lines = [json.dumps(row) + '\n' for row in rows if row['split'] == split]
    found[name].write_text(''.join(lines))
  return {name: str(path) for name, path in found.items()}


@pytest.mark.campaign
def test_reward_and_ppo(execute, hh):
  done, runs = execute('04_reward_and_ppo', whole=False, files=hh)
  assert re.search(r'gold +accuracy +[\d.]+%  \(.*; n = \d+ pairs\)', printed(done['gold']))
  evaluations = [json.loads(line) for line in (runs / 'ppo/evals.jsonl').open()]
  assert [one['step'] for one in evaluations] == [0, 1, 2, 3, 4]
  assert all({'held_out_reward', 'held_out_gold', 'held_out_kl'} <= set(one) for one in evaluations)
  assert printed(done['samples']).count('before: proxy') == 3
  assert '<svg' in done['end'].outputs[-1].data['image/svg+xml']


@pytest.mark.campaign
def test_probes(execute):
  done, runs = execute('05_probes', whole=False)
  arms = json.loads((runs / 'results.json').read_text())['probes']['arms']
  assert {'base', 'explain_A'} <= set(arms)
  for cell in ('numbers', 'control'):
    assert re.search(r'^base +[-+.\d]+ ', printed(done[cell]), re.M)
  assert 'CKA' in printed(done['hand'])
  assert '<svg' in done['end'].outputs[-1].data['image/svg+xml']


@pytest.mark.campaign
def test_to_a_pod(execute):
  done, _ = execute('06_to_a_pod')
  assert 'status 0)' in printed(done['doctor'])
  slice_ = printed(done['doctor-slice'])
  assert re.search(r'memory +ok', slice_) and 'FAIL' in slice_ and 'status 1)' in slice_
  assert 'nothing is compiled' in printed(done['preflight'])
  assert 'a dry run: nothing of this was done' in printed(done['rent'])
  assert '<svg' in done['end'].outputs[-1].data['image/svg+xml']
