"""What an evaluation costs, suite by suite: programs, padding, and tokens a second.

  python benchmarks/evaluation_cpu.py MODEL [--config=configs/eval_safety.py:laptop] [--data=DIR]
      [--limit=N]

MODEL is what jaxalign.load takes. Programs and padding are counted from what a suite asks, at the
config's rows, and depend on no clock: a program for each width in which prompts or choices are
read, and where answers are written three more, to begin, to write and to move. --limit=N asks the
first N items of each suite as well, once to compile and once by the clock; its programs are those
that were compiled.
Expected: at most 6 programs a suite, which is also the exit status.
"""

import argparse
import dataclasses
import os
import pathlib
import sys
import time

import jax
import numpy as np

from jaxalign import main as command
from jaxalign.config import UserError
from jaxalign.evals import ask
from jaxalign.evals.encoding import Encoding
from jaxalign.rl import score, score_plan, stream_step
from jaxalign.rl.answers import AT_ONCE, misfit, shape_of
from jaxalign.stages import asking, loading

MOST = 6
PROGRAMS = (
  stream_step.empty,
  stream_step.join,
  stream_step.advance,
  stream_step.shifted,
  score.read_before,
  score.read_whole,
  score.read_after,
)


def main():
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('model')
  parser.add_argument('--config', default='configs/eval_safety.py:laptop')
  parser.add_argument('--data', default='.', help='the directory in which data/ lies')
  parser.add_argument('--limit', type=int, default=0, help='items of a suite that are asked')
  args = parser.parse_args()
  cfg = command.load(os.path.abspath(args.config))
  place = pathlib.Path(args.model).absolute()
  os.chdir(args.data)
  model = loading.load(str(place), mesh=None)
  cfg = dataclasses.replace(cfg, model=str(place))
  form = asking.form_of(cfg, model.tokenizer)
  print(f'jax {jax.__version__}, {len(os.sched_getaffinity(0))} cores, {cfg.rows} rows')
  print('suite                items     tokens  padding  programs  tokens/s  compiled')
  worst = 0
  for suite in cfg.suites:
    items = suite.items()
    counted = counts(model, Encoding(model.tokenizer, form), suite, items, cfg.rows)
    timed = asked(model, form, suite, items[: args.limit], cfg.rows) if args.limit else ('', '')
    print(row(suite.name, len(items), *counted, *timed), flush=True)
    worst = max(worst, counted[-1], timed[1] or 0)
  sys.exit(worst > MOST)


def row(name, items, tokens, padding, programs, rate, compiled):
  return f'{name:<20}{items:>6,}{tokens:>11,}{padding:>9.0%}{programs:>10}{rate:>10}{compiled:>10}'


def counts(model, encoding, suite, items, rows):
  """(tokens that are read, the share of slots that hold none, programs) of a suite."""
  requests, pairs = [], []
  for item in items:
    try:
      if item.choices:
        pairs += encoding.pairs(item)
      else:
        requests.append(ask.request_of(encoding.prompt(item), suite.decode, 0))
    except UserError:
      continue  # an answer's own error
  requests = [one for one in requests if not misfit(model, one)]
  pairs = [(a, b) for a, b in pairs if len(a + b) - 1 <= model.cfg.length]
  read = slots = programs = 0
  if requests:
    shape = shape_of(model, requests, rows)
    cut, widths = len(shape['prefix']), shape['widths']
    lengths = sorted((len(one.prompt) - cut for one in requests), reverse=True)
    parts = [lengths[at : at + AT_ONCE] for at in range(0, len(lengths), AT_ONCE)]
    used = [next(w for w in widths if w >= part[0]) for part in parts]
    read += sum(lengths)
    slots += AT_ONCE * sum(used)
    programs += len(set(used)) + 3  # to begin, to write, to move
  if pairs:
    how = score_plan.plan(pairs, rows, 1, primed=model.cfg.window is None)
    contexts = sum(group.width * how.held for group in how.groups)
    called = sum(call.width * how.rows for group in how.groups for call in group.calls)
    total = len(how.primer) + contexts + called
    slots += total
    read += round(total * (1 - how.padding))
    calls = {call.width for group in how.groups for call in group.calls}
    programs += len(calls) + len({g.width for g in how.groups if g.width}) + bool(how.primer)
  return read, 1 - read / slots, programs


def asked(model, form, suite, items, rows):
  """(tokens a second the second time, programs that the first time compiled)."""
  asker = ask.Native('it', model, form, rows=rows)
  plan = ask.plan_of('it', ask.asked_as(suite, items, form), items)
  before = sum(one._cache_size() for one in PROGRAMS)
  for _ in range(2):
    began = time.perf_counter()
    said = [one for _, one in asker.said(plan, range(len(plan)), suite.decode)]
    took = time.perf_counter() - began
  compiled = sum(one._cache_size() for one in PROGRAMS) - before
  return f'{np.sum([one.tokens for one in said]) / took:,.0f}', compiled


if __name__ == '__main__':
  main()
