"""What the runs of a study are fed: which, by what seed, and a hash of every row.

As a command it is jaxalign.main, which leaves WORKDIR/fed-PROCESS.json beside what a study leaves.
"""

import contextlib
import dataclasses
import hashlib
import json
import pathlib
import sys

import jax
import numpy as np
import pytest

from jaxalign import main
from jaxalign.stages import bon, explain, language, pairs, ppo, reward, sft
from jaxalign.train.feed import Feed


@dataclasses.dataclass
class Seen:
  runs: list = dataclasses.field(default_factory=list)  # as they began
  seeds: dict = dataclasses.field(default_factory=dict)  # {run: what all its draws come from}
  rows: dict = dataclasses.field(default_factory=dict)  # {run: {'step row': hash}}

  def beside(self, other):
    """What two processes saw of one study, each its own rows."""
    assert (self.runs, self.seeds) == (other.runs, other.seeds)
    for run, rows in self.rows.items():
      assert rows and other.rows[run] and not rows.keys() & other.rows[run].keys()
    rows = {run: self.rows[run] | other.rows[run] for run in self.rows}
    return dataclasses.replace(self, rows=rows)


@contextlib.contextmanager
def watching(seen):
  with pytest.MonkeyPatch.context() as patch:
    for module in (explain, sft, reward, ppo, bon):
      patch.setattr(module, 'run', noted(seen, module.run))
    for module in (language, pairs, ppo, bon):
      patch.setattr(module, 'Feed', fed(seen))
    yield


def noted(seen, run):
  def start(stage, directory):
    *_, home, _, name = directory.parts
    seen.runs.append(f'{home}/runs/{name}')
    seen.seeds[seen.runs[-1]] = stage.seed
    run(stage, directory)

  return start


def fed(seen):
  def watched(rows, *rest):
    digests = seen.rows.setdefault(seen.runs[-1], {})

    def hashed(step, indices):
      got = rows(step, indices)
      for n, index in enumerate(indices):
        text = b''.join(np.ascontiguousarray(got[name][n]).tobytes() for name in sorted(got))
        digests[f'{step} {index}'] = hashlib.sha256(text).hexdigest()
      return got

    return Feed(hashed, *rest)

  return watched


def read(workdir, process):
  return Seen(**json.loads((workdir / f'fed-{process}.json').read_text()))


if __name__ == '__main__':
  seen = Seen()
  with watching(seen):
    status = main.main(sys.argv)
  (workdir,) = (flag[len('--workdir=') :] for flag in sys.argv if flag.startswith('--workdir='))
  path = pathlib.Path(workdir, f'fed-{jax.process_index()}.json')
  path.write_text(json.dumps(dataclasses.asdict(seen)))
  sys.exit(status)
