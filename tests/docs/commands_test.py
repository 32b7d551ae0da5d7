"""Commands in docs/ and README: the configs, variants and fields that they name are there."""

import pathlib
import re
import shlex

import pytest

from jaxalign import config_file, overrides

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]
MADE_UP = ('configs/mine.py', 'configs/eval_mine.py')  # the reader's own
PLACES = ('BASE', '...', '$', 'DIR')  # in a value that stands for another


def words(text):
  """The commands of a page, each as its words; a variable of the page is what it was set to."""
  blocks = re.findall(r'^```(?:\w*)\n(.*?)^```', text, re.M | re.S)
  blocks += re.findall(r'^(?: {4}.*\n)+', text, re.M)
  lines = '\n'.join(blocks).replace('\\\n', ' ').splitlines()
  known = {}
  for line in lines:
    if found := re.fullmatch(r'\s*(\w+)=(["\'])(.*)\2\s*(?:#.*)?', line):
      known[found[1]] = found[3]
      continue
    for _ in range(2):
      line = re.sub(r'\$(\w+)', lambda name: known.get(name[1], name[0]), line)
    if '--config=' in line:
      yield shlex.split(line.replace("'()'", '()'), comments=True)


def faults(text):
  """Raises the first."""
  for command in words(text):
    file = next((word[9:] for word in command if word.startswith('--config=')), '')
    if file in MADE_UP or not file.startswith('configs/'):
      continue
    cfg = config_file.load(file)
    for name, value in overrides.of_arguments(command)[1]:
      if not any(place in value for place in PLACES):
        overrides.override(cfg, name, value)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_commands_name_what_is_there(page, monkeypatch):
  monkeypatch.chdir(ROOT)
  faults(page.read_text())


@pytest.mark.parametrize(
  'command',
  [
    'jaxalign --config=configs/sft_smollm3.py --workdir=x',
    'jaxalign --config=configs/sft_smollm2.py:loras --workdir=x',
    'W="--config.stepz=3"\njaxalign --config=configs/sft_smollm2.py $W',
    'jaxalign --config=configs/sft_smollm2.py \\\n  --config.steps=few',
  ],
)
def test_a_command_that_would_fail_is_found(command, monkeypatch):
  monkeypatch.chdir(ROOT)
  with pytest.raises(overrides.UserError):
    faults(f'```\n{command}\n```\n')
