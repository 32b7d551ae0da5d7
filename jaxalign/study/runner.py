"""Runs what is missing of a study: per seed a base, then every step that arms need, then tests.

Everything lies under the workdir, by seed; what is there whole is not done again. A step is a run
of a stage in a directory of its own, so it resumes as any run does. Seeds are independent, and go
to worker processes, each bound to a core: two small models side by side are faster than one model
on two cores.
"""

import dataclasses
import hashlib
import json
import sys

from jaxalign.config import UserError, diff, read, seal, tree, write, write_text
from jaxalign.stages import finished
from jaxalign.study import bench, crew, goodhart, holes, results
from jaxalign.study.homes import arms_of, home_of, rl_of
from jaxalign.train import saving
from jaxalign.workdir import FREE, claim


def run(cfg, workdir):
  worlds = [(seed, False) for seed in cfg.seeds] + [(seed, True) for seed in cfg.control_seeds]
  report = results.Live(cfg, workdir)
  report.show()
  crew.each(worlds, work, (cfg, workdir), workers=cfg.workers, say=report.say)
  results.conclude(cfg, workdir, seconds=report.seconds())


def work(task, cfg, workdir, say):
  """One world: all its arms. say(text): for the live line."""
  seed, control = task
  world = dataclasses.replace(cfg.world, seed=seed, rho=0.0 if control else cfg.world.rho)
  home, arms = home_of(workdir, seed, control), arms_of(cfg, control)
  rl_arms, climbs = rl_of(cfg, seed, control)
  store = home / 'outcomes'
  store.mkdir(parents=True, exist_ok=True)
  kinds = cfg.corpora((*arms, *rl_arms, *climbs))
  sums = bench.write_corpora(world, kinds, home / 'corpora')
  refuse_other_corpora(world, sums, kinds, home)
  start = Node(cfg, home, sums, seed).base(world)
  about = dict(seed=seed, after='sft')
  measure(store, 'base', start.base_hash, lambda: base_rows(start, world, about))
  say('base')
  asked = {name: bench.tests_of(world, name) for name in {arm.tests for arm in (*arms, *rl_arms)}}
  for arm in (*arms, *rl_arms):
    key = start.key_of(arm, asked[arm.tests])
    measure(store, arm.stored, key, lambda arm=arm: arm_rows(start, world, arm, asked, seed))
    say(arm.stored)
  for climb in climbs:
    make = lambda climb=climb: goodhart.rows(start.through(climb.steps).trained, climb, seed)
    measure(home / 'goodhart', climb.stored, start.key_of(climb, {}), make)
    say(climb.stored)


def refuse_other_corpora(world, sums, kinds, home):
  """They are of one world; and one is made again, so that a store of another grammar is noticed."""
  path = home / 'world.json'
  if path.exists():
    changed = diff(read(path), world)
    if changed:
      shown = ', '.join(f'{name} ({old} there, {new} here)' for name, old, new in changed)
      raise UserError(f'{home} is of another world: {shown}; take a new --workdir')
  else:
    write(world, path)
  kind = min(kinds)
  if bench.corpora.content(world, kind)[1] != sums[kind]:
    raise UserError(
      f'{home}: its corpora were made by another version or another world than this one: take a '
      'new --workdir'
    )


def base_rows(start, world, about):
  model = finished.load(start.trained)[0]
  return bench.outcomes(model, bench.tests_of(world, 'background'), **about, arm='base')


def arm_rows(start, world, arm, asked, seed):
  about, trained = dict(seed=seed, after=arm.after), start.through(arm.steps).trained
  if arm.after == 'ppo':
    about['kl'] = goodhart.moved(trained)
  model = finished.load(trained)[0]
  rows = bench.outcomes(model, asked[arm.tests], **about, arm=arm.name)
  for letter in 'AB':
    if any(step.what == f'explain_{letter}' for step in arm.steps):
      rows += bench.cloze(model, world.spec[letter], **about, arm=arm.name)
  return rows


def measure(store, name, key, make):
  """The rows of an arm, once: NAME.jsonl, and what they were made by beside them."""
  path, known = store / f'{name}.jsonl', store / f'{name}.json'
  if path.exists() and known.exists():
    if read(known)['key'] != key:
      raise UserError(
        f'{path} was measured on another base, other corpora, steps or items than this plan has: '
        'take a new --workdir'
      )
    return
  lines = ''.join(json.dumps(row, allow_nan=False) + '\n' for row in make())
  write_text(lines, path)
  write_text(json.dumps(dict(key=key)), known)


def refuse_changed(stage, directory):
  """A step that is done was done as the plan says now; places differ where a study was moved."""
  places = ('init', 'tokenizer', 'prepared', 'path', 'by', 'critic')
  for name, old, new in diff(read(directory / 'config.json'), stage):
    if name.split('.')[0] not in FREE and name.split('.')[-1] not in places:
      raise UserError(
        f'{directory} was trained with {name}={old}, and the plan has {new}: take a new --workdir'
      )


def is_done(stage, directory):
  """Of a stage without steps, which is best-of-n: what it writes last is there."""
  if hasattr(stage, 'steps'):
    return saving.newest(directory) == stage.steps
  return (directory / 'bon.json').exists()


@dataclasses.dataclass(frozen=True)
class Node:
  """Where a chain of steps stands: the directory that holds it, trained or yet to be."""

  cfg: object
  home: object
  sums: dict
  seed: int
  world: object = None
  name: str = 'base'
  trained: object = None
  init: str | None = None  # what the next step starts from
  runs: dict = dataclasses.field(default_factory=dict)  # {recipe: directory} of the steps so far
  base_hash: str = ''

  def base(self, world):
    directory = self._train(self.cfg.base, '', 'base', 0)
    named = self.home / 'named'
    if not (named / 'config.json').exists():
      bench.christen(directory, world, named)
    found = saving.fingerprint(directory)
    return dataclasses.replace(
      self, world=world, trained=directory, init=str(named), base_hash=found
    )

  def then(self, step):
    name = step.name if self.name == 'base' else f'{self.name}.{step.name}'
    place = 1 + [recipe.name for recipe in self.cfg.recipes].index(step.recipe)
    start = dataclasses.replace(self, init=self.runs.get(step.start, self.init))
    directory = start._train(self.cfg.stage_of(step), step.what, name, place)
    runs = self.runs | {step.recipe: str(directory)}
    return dataclasses.replace(self, name=name, trained=directory, init=str(directory), runs=runs)

  def through(self, steps):
    node = self
    for step in steps:
      node = node.then(step)
    return node

  def _train(self, stage, what, name, place):
    """Runs a stage where it is not done. Its batches come in an order of the seed and the recipe
    alone: arms are paired, whatever came before, and differ in what they read and nothing else."""
    directory, corpora = self.home / 'runs' / name, self.home / 'corpora'

    def corpus(path):
      kind = path.replace('{what}', what)
      return str(corpora / f'{kind}.jsonl'), self.sums[kind]

    stage = seal(
      holes.closed(
        stage, corpus, self.runs, self.world, init=self.init, tokenizer=str(corpora / 'tokenizer'),
        prepared=str(self.home / 'tokens'), seed=self.seed * 100 + place,
      )
    )  # fmt: skip
    if is_done(stage, directory):
      refuse_changed(stage, directory)
      return directory
    claim(stage, directory)
    sys.modules[type(stage).__module__].run(stage, directory)  # as main finds it
    return directory

  def key_of(self, arm, tests):
    """What an arm's outcomes hang on: base, steps with all their numbers, corpora, items."""
    steps = [(step.name, tree(self.cfg.stage_of(step))) for step in arm.steps]
    read = {kind: self.sums[kind] for kind in self.cfg.corpora([arm])}
    what = [self.base_hash, steps, read, bench.items_hash(tests)]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
