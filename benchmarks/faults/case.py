"""A case of the fault campaign: what is run, what it must say, and how what happened is judged."""

import dataclasses
import json
import math
import pathlib
import re
from collections.abc import Callable

ROOT = pathlib.Path(__file__).resolve().parents[2]
STAGES = 'benchmarks/faults/stages.py'
LIMIT = 60.0  # seconds; generous, as both cores may be busy with other things
MEMORY = 3000  # MiB; nothing here needs a third of it
REFUSED, DONE, STOPPED = 2, 0, 75
LOG = re.compile(r'^([IWE]\d{4} |(INFO|WARNING|ERROR):absl:)')
# What `prepare` says of its progress and of what it read, on stderr too.
PROGRESS = re.compile(r'prepare +\d+%|waiting for another|\d+ rows? read|\d+ examples?, |^ +\S')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
  """An input of a program; `{place}` in its arguments is a directory of its own."""

  kind: str  # the row of the table
  name: str
  argv: tuple[str, ...]
  says: str = ''  # of a refused input: a pattern that its one line must hold, naming the thing
  program: str = 'jaxalign.main'
  make: Callable[[pathlib.Path], None] | None = None  # what must lie in the place beforehand
  status: int = REFUSED
  limit: float = LIMIT
  or_done: bool = False  # to go on is as good as to refuse
  logs: bool = False  # lines of a log may stand before the one line
  aloud: bool = False  # the program says its one line on stdout, for `| tee log`

  def command(self, place):
    return [word.replace('{place}', str(place)) for word in self.argv]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ended:
  """How a child ended; status < 0: by that signal."""

  status: int
  out: str
  err: str
  seconds: float
  peak: int = 0  # MiB
  hung: bool = False  # it was still running at its limit, and killed
  greedy: bool = False  # it took more than MEMORY, and was killed


def run_case(name, *, kind, stage='explain', more=(), workdir='{place}/run', **rest):
  """A case of jaxalign.main with a stage of stages.py."""
  argv = (f'--config={STAGES}:{stage}', f'--workdir={workdir}', *more)
  return Case(kind=kind, name=name, argv=argv, **rest)


def judged(case, ended, before=frozenset(), place=None):
  """'' where the case is clear, else what is wrong. before: `leftovers` of the place at first."""
  said = ended.out + ended.err
  if ended.hung:
    return f'still running after {case.limit:.0f} s'
  if ended.greedy:
    return f'took more than {MEMORY} MiB'
  if 'Traceback (most recent call last)' in said:
    last = [line for line in said.splitlines() if line and not line.startswith(' ')][-1]
    return f'a traceback: {last[:200]}'
  done = ended.status == DONE and (case.or_done or case.status == DONE)
  if ended.status != case.status and not done:
    return f'status {ended.status}: {last_line(ended)}'
  if done:
    return '' if place is None else not_finite(place)
  lines = [line for line in (said if case.aloud else ended.err).splitlines() if line.strip()]
  lines = [line for line in lines if not beside(case, line)]
  if len(lines) != 1 or not lines[0].startswith('error: '):
    return f'{len(lines)} lines on stderr: {" | ".join(lines)[:400]}'
  if not re.search(case.says, lines[0], re.IGNORECASE):
    return f'does not name {case.says}: {lines[0][:300]}'
  left = leftovers(place) - before if place is not None else ()
  return f'left behind: {", ".join(sorted(left)[:3])}' if left else ''


def beside(case, line):
  """Whether a line may stand beside the one that says what is wrong."""
  if case.aloud and not line.startswith('error: '):
    return True
  return bool(PROGRESS.search(line) or (case.logs and LOG.search(line)))


def last_line(ended):
  lines = (ended.err or ended.out).strip().splitlines()
  return lines[-1][:300] if lines else 'it said nothing'


def leftovers(place):
  """What a refused run must not leave: files half written, and checkpoints."""
  return frozenset(
    str(path.relative_to(place))
    for path in place.rglob('*')
    if 'tmp' in path.name or (path.parent.name == 'checkpoints' and path.name.isdigit())
  )


def not_finite(place):
  """What is wrong with the losses of a run that reached its end."""
  for path in sorted(place.rglob('metrics.jsonl')):
    for line in path.read_text().splitlines():
      row = json.loads(line)
      bad = [name for name, x in row.items() if isinstance(x, float) and not math.isfinite(x)]
      if bad or row.get('loss', 0.0) is None:
        return f'step {row.get("step")}: {bad or "loss"} is not finite'
  return ''
