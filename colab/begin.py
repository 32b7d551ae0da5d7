"""What every notebook begins with: jaxalign installed, the device named, and a few words.

begin() does the first two; run('jaxalign ...') is the command line, page(FILE) shows a page that a
run wrote, picture(FILE) one of its pictures, and bars draws a few numbers. The set-up cell executes
this file (`%run`), so that the words are the notebook's.
"""

import glob
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
_CHIPS = ('/dev/accel[0-9]*', '/dev/vfio/[0-9]*')  # where Linux has a TPU
_INK, _PAPER = '#16191d', '#ffffff'


class Stop(Exception):
  """Ends a notebook with one line in place of a traceback."""

  def _render_traceback_(self) -> list[str]:
    return [str(self)]


def begin() -> str:
  """Installs jaxalign where it is not, and names the device: 'cpu', 'gpu' or 'tpu'."""
  sys.path.insert(0, str(_HOME))  # this checkout's jaxalign and configs, wherever pip put a copy
  if _version('jaxalign') is None:
    _install()
  return _device()


def run(command: str, may_fail: bool = False) -> None:
  """Runs a line of the command line. `jaxalign` runs in this process, for a TPU serves one alone;
  a line that fails ends the notebook, unless it may."""
  words, began = shlex.split(command), _spent()
  if words[0] == 'jaxalign':
    from jaxalign.main import main

    status = main(words)
  else:
    status = _child([sys.executable, *words[1:]] if words[0] == 'python' else words)
  clock, cpu, memory = _spent()
  took = f'{clock - began[0]:.0f} s, {cpu - began[1]:.0f} s of CPU'
  print(f'({took}; the most memory so far: {memory:.1f} GiB; status {status})')
  if status and not may_fail:
    raise Stop(f'this ended with status {status}: a line above says why')


def page(file: str | os.PathLike[str], height: int = 640) -> None:
  """Shows a page that a run wrote, in a frame of its own."""
  text = html.escape(pathlib.Path(file).read_text(encoding='utf-8'))
  style = f'width:100%;height:{height}px;border:1px solid #999;background:{_PAPER}'
  frame = f'<iframe srcdoc="{text}" sandbox="allow-scripts" style="{style}"></iframe>'
  display(HTML(f'<div>{frame}</div>'))


def picture(file: str | os.PathLike[str], which: int | str = 0) -> None:
  """Shows one picture of a page that a run wrote, dark on white: by its number, or by words of the
  label that it has there."""
  every = re.findall(r'<svg\b.*?</svg>', pathlib.Path(file).read_text(encoding='utf-8'), re.DOTALL)
  code = _chosen(every, which)
  if code is None:
    raise Stop(f'{file} has {len(every)} pictures, and none of number or label {which!r}')
  paper = f'<rect width="100%" height="100%" fill="{_PAPER}"/>'
  code = re.sub(r'(<svg\b[^>]*>)', rf'\1{paper}', code, count=1)
  code = code.replace('<svg', '<svg xmlns="http://www.w3.org/2000/svg" width="640"', 1)
  code = code.replace('<svg', '<svg xmlns:xlink="http://www.w3.org/1999/xlink"', 1)
  display(SVG(code.replace('currentColor', _INK)))


def bars(title: str, sizes: dict[str, float], unit: str) -> None:
  """Shows numbers, each as a bar with its name and what it says."""
  most, row, left, wide = max(sizes.values()), 34, 170, 330
  style = f'font-family:sans-serif;font-size:14px;fill:{_INK}'
  parts = [f'<text x="10" y="24" font-weight="bold">{html.escape(title)}</text>']
  for n, (name, size) in enumerate(sizes.items()):
    y, long = 44 + row * n, max(1, wide * size / most)
    parts += [
      f'<text x="{left - 10}" y="{y + 16}" text-anchor="end">{html.escape(name)}</text>',
      f'<rect x="{left}" y="{y}" width="{long:.1f}" height="22" fill="#00744f"/>',
      f'<text x="{left + long + 8:.1f}" y="{y + 16}">{size:,.3g} {html.escape(unit)}</text>',
    ]
  box = f'viewBox="0 0 640 {54 + row * len(sizes)}" width="640"'
  paper = f'<rect width="100%" height="100%" fill="{_PAPER}"/>'
  svg = f'<svg xmlns="http://www.w3.org/2000/svg" {box} style="{style}">'
  display(SVG(f'{svg}{paper}{"".join(parts)}</svg>'))


def _chosen(pictures, which):
  """The picture of this number (they begin at 0) or label, None where there is none."""
  if isinstance(which, int):
    return pictures[which] if which < len(pictures) else None
  return next((one for one in pictures if which in html.unescape(one.partition('>')[0])), None)


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
  if any(map(glob.glob, _CHIPS)):
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
  print(f'{found}, and jaxalign needs {dotted(least)} or newer, which is installed now')
  if 'jax' in sys.modules:
    raise Stop('but this session has imported the old jax: restart it, and run this cell first')
  return False


def _install():
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
    print('installing jaxalign and what it needs: a minute or so', flush=True)
    if _child([*pip, '-c', constraints.name, what]):
      raise Stop('pip could not install jaxalign: its last lines say why')
  importlib.invalidate_caches()


def _device():
  import jax

  found, wanted = jax.devices(), _accelerator()
  kind = found[0].platform
  print(f'{len(found)} x {found[0].device_kind} ({kind}), jax {jax.__version__}', end=', ')
  print(f'{os.cpu_count()} cores')
  if wanted and kind == 'cpu' and 'cpu' not in os.environ.get('JAX_PLATFORMS', ''):
    print(f"a {wanted.upper()} is here that jax does not see: %pip install '.[{wanted}]'")
  return kind
