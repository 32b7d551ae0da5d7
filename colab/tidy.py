"""The one form in which notebooks are kept, so that a diff is readable:  python colab/tidy.py

The same set-up cell and a badge in each, no output but the last picture, no numbers of executions.
tests/colab_test.py refuses a notebook that this would change.
"""

import json
import pathlib

REPOSITORY = 'OWNER/jaxalign'  # on GitHub; after another name here, run this file
BRANCH = 'main'
SET_UP = f"""\
# Set-up. Run this first: it installs jaxalign where it is not here yet, and names the device.
import os
import pathlib
import subprocess

at = pathlib.Path.cwd()
places = [at, *at.parents, at / 'jaxalign']
home = next((place for place in places if (place / 'colab/begin.py').exists()), None)
if home is None:
  address = 'https://github.com/{REPOSITORY}'
  subprocess.run(['git', 'clone', '--quiet', '--depth=1', address, 'jaxalign'], check=True)
  home = at / 'jaxalign'
os.chdir(home)
%run colab/begin.py
DEVICE = begin()"""
METADATA = dict(
  kernelspec=dict(display_name='Python 3', language='python', name='python3'),
  language_info=dict(name='python'),
)


def badge(name: str) -> str:
  """Markdown of the badge that opens the notebook of this name in Colab."""
  site = 'https://colab.research.google.com'
  notebook = f'{site}/github/{REPOSITORY}/blob/{BRANCH}/colab/{name}'
  return f'[![open in Colab]({site}/assets/colab-badge.svg)]({notebook})'


def tidied(name: str, text: str) -> str:
  """The file's text as it is kept."""
  cells = json.loads(text)['cells']
  for cell in cells:
    if cell['cell_type'] == 'code':
      cell.update(
        execution_count=None, outputs=_pictures(cell['outputs'])[-1:] * _last(cell, cells)
      )
    tags = cell['metadata'].get('tags')
    cell['metadata'] = dict(tags=tags) if tags else {}
  for cell in cells:
    if cell['id'] == 'set-up':
      cell['source'] = _lines(SET_UP)
    elif cell['id'] == 'title':
      rest = [line for line in cell['source'] if not line.startswith('[![')]
      cell['source'] = _lines(f'{badge(name)}\n\n{"".join(rest).lstrip()}')
  whole = dict(cells=cells, metadata=METADATA, nbformat=4, nbformat_minor=5)
  return json.dumps(whole, indent=1, ensure_ascii=False, sort_keys=True) + '\n'


def _last(cell, cells):
  return cell is next(one for one in reversed(cells) if one['cell_type'] == 'code')


def _pictures(outputs):
  """Of what a cell left, its pictures as PNG and nothing else."""
  data = [one['data']['image/png'] for one in outputs if 'image/png' in one.get('data', {})]
  return [dict(data={'image/png': png}, metadata={}, output_type='display_data') for png in data]


def _lines(text):
  return text.splitlines(keepends=True)


if __name__ == '__main__':
  for path in sorted(pathlib.Path(__file__).resolve().parent.glob('*.ipynb')):
    before = path.read_text(encoding='utf-8')
    after = tidied(path.name, before)
    if after != before:
      path.write_text(after, encoding='utf-8')
      print(path.name)
