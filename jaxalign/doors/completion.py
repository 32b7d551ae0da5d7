"""jaxalign completion bash

What bash needs for TAB behind `jaxalign`: commands, flags, configs that ship with their variants,
and the fields of the config that the line names. For this shell, or in ~/.bashrc for all:

  eval "$(jaxalign completion bash)"

zsh reads the same after `autoload -U +X bashcompinit && bashcompinit` (not tried here). `jaxalign
completion words LINE` prints what may follow a line, `jaxalign completion fields CONFIG` the fields
of a config. Fields are known when a config has been loaded, which takes seconds: the first TAB
behind `--config.` begins to, the next one has them, until the package changes.
"""

import contextlib
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence

from jaxalign import config_file, files, main, overrides
from jaxalign.config import UserError
from jaxalign.doors import listing
from jaxalign.doors.command_line import flags_and_words

_PACKAGE = pathlib.Path(main.__file__).parent
_PATIENCE = 60.0  # seconds after which fields that somebody began to read are read again
_FORMS = 'jaxalign completion bash, ... words LINE, or ... fields CONFIG'
# $3 and COMP_WORDS are cut at = and :, so that what stands before the last of them is taken off.
_BASH = """\
_jaxalign() {
  local IFS=$'\\n' line=${COMP_LINE:0:COMP_POINT} word part
  word=${line##*[[:space:]]} part=${COMP_WORDS[COMP_CWORD]}
  case $part in =|:) part= ;; esac
  COMPREPLY=($("$1" completion words "$line" 2>/dev/null))
  COMPREPLY=("${COMPREPLY[@]#"${word%"$part"}"}")
}
complete -o default -o nospace -F _jaxalign jaxalign
"""


def run(argv: Sequence[str]) -> int:
  """The command; argv[0] is `completion`."""
  if argv[1:2] == ['words'] and len(argv) == 3:  # LINE may hold what looks like a flag
    for word in candidates(argv[2]):
      print(word)
    return 0
  given = flags_and_words(argv, __doc__ or '', ())
  if given is None:
    return 0
  _, words = given
  if words == ['bash']:
    print(_BASH, end='')
  elif words[:1] == ['fields'] and len(words) == 2:
    for name in fields(words[1]):
      print(name)
  else:
    raise UserError(f'{" ".join(words) or "nothing"} is no form of completion: {_FORMS}')
  return 0


def candidates(line: str) -> list[str]:
  """What the last word of a line may become; a blank ends what is complete."""
  before, word = line.split(), ''
  if line and not line[-1].isspace():
    word = before.pop()
  begins = next((n for n, one in enumerate(before) if pathlib.Path(one).name == 'jaxalign'), 0)
  return sorted({one for one in _every(before[begins + 1 :], word) if one.startswith(word)})


def _every(before: Sequence[str], word: str) -> Iterable[str]:
  """What may stand there, with what is too much."""
  spec = next((one[9:] for one in before if one.startswith('--config=')), '')
  if word.startswith('--config='):
    return [f'--config={one}' for one in _configs(word[9:])]
  if word.startswith('--config.'):
    return _as_far_as_a_dot(known_fields(spec), word)
  if word.startswith('-'):
    return _flags(before, bool(spec))
  words = (*main.COMMANDS, *main.DOORS, *main.LOOKS)
  return [] if before else [f'{one} ' for one in words]


def _configs(text: str) -> Iterator[str]:
  """Names of configs that ship, and the variants of the one that is named."""
  named = config_file.shipped()
  yield from named
  file = text.partition(':')[0]
  path = named.get(file, pathlib.Path(file))
  with contextlib.suppress(OSError, SyntaxError, ValueError):
    if path.is_file() and path.suffix == '.py':
      yield from (f'{file}:{variant} ' for variant in listing.read(file, path).variants)


def _flags(before: Sequence[str], of_config: bool) -> Iterator[str]:
  """Flags of the command that the line began with, as its file declares them."""
  if before and before[0] in (*main.DOORS, *main.LOOKS):
    name = main.LOOKS.get(before[0], before[0].replace('-', '_'))
    text = (_PACKAGE / 'doors' / f'{name}.py').read_text(encoding='utf-8')
    found = re.findall(r"\(flags\.DEFINE_(\w+), '(\w+)'", text)
  else:
    found = [(define.__name__.removeprefix('DEFINE_'), name) for define, name, _ in main.FLAGS]
  for kind, name in found:
    yield f'--{name} ' if kind.startswith('bool') else f'--{name}='
  if of_config:
    yield '--config.'


def _as_far_as_a_dot(names: Iterable[str], word: str) -> Iterator[str]:
  """Fields that begin so, each to its next dot: a config has hundreds."""
  for name in names:
    dot = name.find('.', len(word))
    yield name[: dot + 1] if dot >= 0 else f'{name}='


def known_fields(spec: str) -> list[str]:
  """Fields of a config as they were read last. Where that was never, or the package has changed,
  another process reads them, and is not waited for. A file of the user's own no key runs."""
  place = _kept(spec)
  if place is None:
    return []
  state, names = '', []
  with contextlib.suppress(OSError):
    state, *names = place.read_text(encoding='utf-8').split()
  if state != _state():
    with contextlib.suppress(OSError):
      _begin_to_read(spec, place)
  return names


def _begin_to_read(spec, place):
  begun = place.with_suffix('.begun')
  if begun.exists() and time.time() - begun.stat().st_mtime < _PATIENCE:
    return
  place.parent.mkdir(parents=True, exist_ok=True)
  begun.touch()
  read = [sys.executable, '-P', '-m', 'jaxalign.main', 'completion', 'fields', spec]
  nowhere = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
  subprocess.Popen(read, start_new_session=True, **nowhere)


def fields(spec: str) -> list[str]:
  """Fields of a config, `--config.NAME` each; those of one that ships are kept."""
  place = _kept(spec)
  state = place and _state()  # before they are read: what changes meanwhile is read again
  lines = overrides.described(config_file.load(spec))
  every = [line.strip().partition('=')[0] for line in lines]
  names = [one for one, after in zip(every, [*every[1:], '']) if not after.startswith(f'{one}.')]
  if place:
    with contextlib.suppress(OSError):
      place.parent.mkdir(parents=True, exist_ok=True)
      files.write_text('\n'.join([state, *names, '']), place)
      place.with_suffix('.begun').unlink(missing_ok=True)
  return names


def _kept(spec):
  """The file for the fields of a config; None where it is none that ships, or there is no home."""
  name, _, variant = spec.partition(':')
  named, home = config_file.shipped(), files.user_cache()
  path = named.get(name, pathlib.Path(name))
  if home is None or path.resolve() not in map(pathlib.Path.resolve, named.values()):
    return None
  digest = hashlib.sha256(f'{path.resolve()} {sys.prefix}'.encode()).hexdigest()
  variant = re.sub(r'\W', '_', variant)
  return home / 'completion' / f'{path.stem}-{variant[:40]}-{digest[:12]}'


def _state():
  """A str: when the code was changed last that a config may come from."""
  tops = {_PACKAGE, config_file.SHIPPED}
  times = [one.stat().st_mtime_ns for top in tops for one in _code(top)]
  return f'{len(times)}-{max(times)}'


def _code(top):
  """The Python files below, links not followed."""
  for folder, _, names in os.walk(top):
    yield from (pathlib.Path(folder, name) for name in names if name.endswith('.py'))
