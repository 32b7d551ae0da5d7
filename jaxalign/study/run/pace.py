"""How fast a run goes that another process makes, by the lines of its metrics so far."""

import json

from etils import epath

_TAIL = 1 << 16  # bytes of the file that are read: its lines may be millions


def read(run: epath.Path, steps: int) -> tuple[float, float, float] | None:
  """(share of the steps done, seconds of all of them, seconds until the first); None where there
  are too few lines to tell."""
  path = run / 'metrics.jsonl'
  if '://' in str(path) or not steps or not path.exists():
    return None
  rows = _rows(path)
  starts = [n for n in range(1, len(rows)) if rows[n][1] < rows[n - 1][1]]
  rows = rows[starts[-1] :] if starts else rows  # a run that was gone on with counts anew
  if not rows:
    return None
  at, done = [step for step, seconds in rows if seconds == rows[0][1]][-1], rows[-1][0]
  if done == at:  # steps of one call are told at once
    return None
  spent = rows[-1][1] - rows[0][1]
  making = rows[0][1] if starts else _first(path, rows[0][1])
  return min(1.0, done / steps), spent / (done - at) * steps, making


def _rows(path):
  """[(step, seconds)] of the last whole lines; one may be half written."""
  with open(path, 'rb') as file:
    size = file.seek(0, 2)
    file.seek(max(0, size - _TAIL))
    lines = file.read().split(b'\n')[bool(size > _TAIL) : -1]
  return [row for line in lines if (row := _row(line))]


def _first(path, otherwise):
  with open(path, 'rb') as file:
    row = _row(file.read(4096).split(b'\n')[0])
  return row[1] if row else otherwise


def _row(line):
  try:
    found = json.loads(line)
    return int(found['step']), float(found['seconds'])
  except (ValueError, KeyError, TypeError):
    return None
