"""What every notebook begins with: jaxalign installed where it is not, the device named, three words.

run('jaxalign ...') is the command line, page(FILE) shows a page that a run wrote, picture(FILE) one
of its pictures. The set-up cell executes this file (`%run`), so that the words are the notebook's.
"""

import html
import importlib
import importlib.metadata
import importlib.util
import os
import pathlib
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib

from IPython.display import HTML, SVG, display

_HOME = pathlib.Path(__file__).resolve().parents[1]
_CHIPS = ('/dev/accel0', '/dev/vfio/0')  # where Linux has a TPU
_INK, _PAPER = '#16191d', '#ffffff'


class Stop(Exception):
  """Ends a notebook with one line in place of a traceback."""

  def _render_traceback_(self) -> list[str]:
    return [str(self)]


def run(command: str) -> None:
  """Runs a line of the command line. `jaxalign` runs in this process, for a TPU serves one alone;
  a line that fails ends the notebook."""
  words, began = shlex.split(command), _spent()
  if words[0] == 'jaxalign':
    from jaxalign.main import main

    status = main(words)
  else:
    status = _child([sys.executable, *words[1:]] if words[0] == 'python' else words)
  clock, cpu, memory = _spent()
  took = f'{clock - began[0]:.0f} s, {cpu - began[1]:.0f} s of CPU; the most memory: {memory:.1f} GiB'
  print(f'({took})')
  if status:
    raise Stop(f'this ended with status {status}; the line above that begins with error says why')


def page(file: str | os.PathLike[str], height: int = 640) -> None:
  """Shows a page that a run wrote, in a frame of its own."""
  text = html.escape(pathlib.Path(file).read_text(encoding='utf-8'))
  style = f'width:100%;height:{height}px;border:1px solid #999;background:{_PAPER}'
  display(HTML(f'<div><iframe srcdoc="{text}" sandbox="allow-scripts" style="{style}"></iframe></div>'))


def picture(file: str | os.PathLike[str], number: int = 0) -> None:
  """Shows one picture of a page that a run wrote, dark on white."""
  every = re.findall(r'<svg\b.*?</svg>', pathlib.Path(file).read_text(encoding='utf-8'), re.DOTALL)
  if number >= len(every):
    raise Stop(f'{file} has {len(every)} pictures, and none of number {number} (they begin at 0)')
  paper = f'<rect width="100%" height="100%" fill="{_PAPER}"/>'
  code = re.sub(r'(<svg\b[^>]*>)', rf'\1{paper}', every[number], count=1)
  code = code.replace('<svg', '<svg xmlns="http://www.w3.org/2000/svg" width="640"', 1)
  code = code.replace('<svg', '<svg xmlns:xlink="http://www.w3.org/1999/xlink"', 1)
  display(SVG(code.replace('currentColor', _INK)))


def _child(words):
  """The exit status; what it prints is shown as it comes."""
  both = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
  with subprocess.Popen(words, **both) as child:
    for line in child.stdout:
      print(line, end='', flush=True)
  return child.returncode


def _spent():
  """(seconds by the clock, of CPU; most GiB of memory), of this process and those it started."""
  both = [resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
  cpu = sum(one.ru_utime + one.ru_stime for one in both)
  return time.monotonic(), cpu, max(one.ru_maxrss for one in both) / 2**20


def _version(name):
  """Of a distribution as numbers, (0, 10, 2); None where it is not installed."""
  try:
    text = importlib.metadata.version(name)
  except importlib.metadata.PackageNotFoundError:
    return None
  return _numbers(text)


def _numbers(text):
  return tuple(int(part) for part in re.match(r'[\d.]*\d', text)[0].split('.'))


def _least_jax():
  """What pyproject.toml asks for, as numbers."""
  project = tomllib.loads((_HOME / 'pyproject.toml').read_text(encoding='utf-8'))['project']
  wanted = next(one for one in project['dependencies'] if re.match(r'jax\b', one))
  return _numbers(wanted.partition('>=')[2])


def _accelerator():
  """The extra of jaxalign that the machine's accelerator needs, '' where there is none."""
  if any(map(os.path.exists, _CHIPS)) or 'COLAB_TPU_ADDR' in os.environ:
    return 'tpu'
  card = shutil.which('nvidia-smi')
  return 'gpu' if card and subprocess.run([card], capture_output=True).returncode == 0 else ''


def _kept(there, least):
  """Whether the jax that is there stays; said either way."""
  dotted = lambda numbers: '.'.join(map(str, numbers))
  if there and there >= least:
    print(f'jax {dotted(there)} is here and new enough: it stays')
    return True
  found = f'jax {dotted(there)} is here' if there else 'no jax is here'
  print(f'{found}, and jaxalign needs {dotted(least)} or newer: it is installed, with its dependencies')
  if 'jax' in sys.modules:
    raise Stop('but this session has imported the old jax: restart it, and run this cell first')
  return False


def _install():
  if sys.version_info < (3, 11):
    raise Stop('jaxalign needs Python 3.11 or newer: take a newer runtime')
  there = _version('jax')
  extras, pinned = ['report', 'corpora'], []
  if _kept(there, _least_jax()):
    pinned = [f'{name}=={importlib.metadata.version(name)}' for name in ('jax', 'jaxlib')]
  elif _accelerator():
    extras.append(_accelerator())
  with tempfile.NamedTemporaryFile('w', suffix='.txt') as constraints:
    constraints.write('\n'.join(pinned))
    constraints.flush()
    pip = [sys.executable, '-m', 'pip', 'install', '-q', '--disable-pip-version-check']
    what = f'{_HOME}[{",".join(extras)}]'
    if _child([*pip, '-c', constraints.name, what]):
      raise Stop('pip could not install jaxalign: its last lines say why')
  importlib.invalidate_caches()


def _device():
  """Names the device; 'cpu', 'gpu' or 'tpu'."""
  import jax

  found, wanted = jax.devices(), _accelerator()
  kind = found[0].platform
  print(f'{len(found)} x {found[0].device_kind} ({kind}), {os.cpu_count()} cores, jax {jax.__version__}')
  if wanted and kind == 'cpu' and 'cpu' not in os.environ.get('JAX_PLATFORMS', ''):
    print(f"a {wanted.upper()} is in this machine, and jax does not see it: pip install 'jax[{wanted}]'")
  return kind


if __name__ == '__main__':
  if _version('jaxalign') is None:
    _install()
  DEVICE = _device()
