"""Runs what is missing of a study: per seed a base, then every step that arms need, then tests.

Everything lies under the workdir, by seed; what is there whole is not done again. A step is a run
of a stage in a directory of its own, so it resumes as any run does. Seeds are independent, and go
to worker processes, each bound to a core: two small models side by side are faster than one model
on two cores.
"""

import dataclasses
import functools
import hashlib
import json
import sys

from jaxalign.config import UserError, diff, seal, tree, write, write_text
from jaxalign.files import read_json
from jaxalign.models import hub
from jaxalign.sharding import make_mesh
from jaxalign.study.judge import goodhart
from jaxalign.study.plan import holes
from jaxalign.study.run import crew, kinds, results
from jaxalign.study.store import clock, hosts
from jaxalign.study.store.homes import arms_of, home_of, rl_of
from jaxalign.study.texts import real
from jaxalign.study.world import insight
from jaxalign.study.world.bench import items_hash
from jaxalign.train import saving
from jaxalign.workdir import FREE, claim


def run(cfg, workdir):
  worlds = [(seed, False) for seed in cfg.seeds] + [(seed, True) for seed in cfg.control_seeds]
  report = results.Live(cfg, workdir)
  report.foretell()
  report.show()
  begin(cfg, workdir)
  workers = 0 if hosts.several() else cfg.workers
  crew.each(worlds, work, (cfg, workdir), workers=workers, say=report.say)
  if hosts.writes():
    results.conclude(cfg, workdir, seconds=report.seconds())
  hosts.meet('the study is done')


def begin(cfg, workdir):
  """What all seeds share, where they share any."""
  corpora = kinds.of(cfg.world).begin(cfg.world, workdir)
  if corpora and cfg.base is not None:
    home = workdir / real.ALL
    timed = clock.Clock(home, hosts.writes())
    Node(cfg, home, corpora, 0, cfg.world, timed)._train(cfg.base, '', 'base', 0)


def work(task, cfg, workdir, say):
  """One world: all its arms. say(text): for the live line."""
  seed, control = task
  bench = kinds.of(cfg.world)
  world = bench.at(cfg.world, seed, control)
  home, arms = home_of(workdir, seed, control), arms_of(cfg, control)
  rl_arms, climbs = rl_of(cfg, seed, control)
  every = (*arms, *rl_arms)
  store = home / 'outcomes'
  store.mkdir(parents=True, exist_ok=True)
  timed = clock.Clock(home, hosts.writes())
  with timed.on('corpora and tests'):
    corpora = bench.corpora_of(world, cfg.corpora((*every, *climbs)), home)
    refuse_other_corpora(bench, world, corpora, home)
    asked = {name: bench.asked(world, name, home) for name in {arm.tests for arm in every}}
  start = Node(cfg, home, corpora, seed, world, timed).base()
  about = dict(seed=seed, after='sft', arm='base')
  first = lambda: bench.base_rows(world, bench.load(cfg, start.trained), home, **about)
  same = dict(items=items_hash(asked['texts'])) if 'texts' in asked else {}  # as the arms' are
  with timed.on('asking'):
    measure(store, 'base', start.base_hash, first, **same)
  probed = bench is kinds.bench and not control
  if probed:
    with timed.on('probes'):
      insight.keep(store, 'base', start.base_hash, world, start.christened)
  say('base')
  for arm in every:
    key = start.key_of(arm, asked[arm.tests])
    model = functools.cache(lambda arm=arm: start.model_of(arm))
    rows = lambda arm=arm, model=model: start.rows_of(arm, asked[arm.tests], model())
    with timed.on('asking'):
      measure(store, arm.stored, key, rows)
    if probed and arm.after == 'sft' and not arm.context:
      with timed.on('probes'):
        insight.keep(store, arm.name, key, world, model)
    say(arm.stored)
  for climb in climbs:
    make = lambda climb=climb: goodhart.rows(start.through(climb.steps).trained, climb, seed)
    with timed.on('asking'):
      measure(home / 'goodhart', climb.stored, start.key_of(climb, {}), make)
    say(climb.stored)


def refuse_other_corpora(bench, world, corpora, home):
  """They are of one world; some are made again, which shows another grammar or source."""
  path = home / 'world.json'
  if path.exists():
    changed = diff(read_json(path), world)
    if changed:
      shown = ', '.join(f'{name} ({old} there, {new} here)' for name, old, new in changed)
      raise UserError(f'{home} is of another world: {shown}; take a new --workdir')
  elif hosts.writes():
    write(world, path)
  for kind, sha256 in bench.made_again(world, corpora).items():
    if corpora[kind][1] != sha256:
      raise UserError(
        f'{home}: its corpora ({kind}) were made by another version or another world than this '
        'one, or of a source that has changed: take a new --workdir, or put the source back'
      )


def measure(store, name, key, make, **more):
  """The rows of an arm, once: NAME.jsonl, and what they were made by beside them."""
  path, known = store / f'{name}.jsonl', store / f'{name}.json'
  if hosts.agreed(path.exists() and known.exists()):
    if read_json(known) != dict(key=key, **more):
      raise UserError(
        f'{path} was measured on another base, other corpora, steps or items than this plan has: '
        'take a new --workdir'
      )
    return
  lines = ''.join(json.dumps(row, allow_nan=False) + '\n' for row in make())
  if hosts.writes():
    write_text(lines, path)
    write_text(json.dumps(dict(key=key, **more)), known)
  hosts.meet(f'{name} is measured')


def refuse_changed(stage, directory):
  """A step that is done was done as the plan says now; places differ where a study was moved."""
  places = ('init', 'tokenizer', 'prepared', 'path', 'by', 'critic')
  for name, old, new in diff(read_json(directory / 'config.json'), stage):
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
  corpora: dict  # {kind: (path, sha256)}
  seed: int
  world: object
  timed: clock.Clock
  name: str = 'base'
  trained: object = None
  init: str | None = None  # what the next step starts from
  runs: dict = dataclasses.field(default_factory=dict)  # {recipe: directory} of the steps so far
  base_hash: str = ''

  @property
  def bench(self):
    return kinds.of(self.world)

  def base(self):
    train = lambda: self._train(self.cfg.base, '', 'base', 0)
    trained, init, found = self.bench.base(self.cfg, self.world, self.home, train)
    return dataclasses.replace(self, trained=trained, init=init, base_hash=found)

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

  def christened(self):
    """What all arms of a world start from; under the plan's config, so that nothing is compiled
    for it alone."""
    mesh = make_mesh() if hosts.several() else None
    return hub.load(self.init, mesh=mesh).under(self.cfg.first.model)

  def model_of(self, arm):
    if arm.context:
      return self.christened()
    return self.bench.load(self.cfg, self.through(arm.steps).trained)

  def rows_of(self, arm, tests, model):
    about = dict(seed=self.seed, after=arm.after, arm=arm.name)
    if arm.context:
      before = self.bench.documents(self.world, arm.context)
      return self.bench.outcomes(model, tests, before, **about)
    if arm.after == 'ppo':
      about['kl'] = goodhart.moved(self.through(arm.steps).trained)
    return self.bench.arm_rows(self.world, model, arm.steps, tests, **about)

  def _train(self, stage, what, name, place):
    """Runs a stage where it is not done. Its batches come in an order of the seed and the recipe
    alone: arms are paired, whatever came before, and differ in what they read and nothing else."""
    directory = self.home / 'runs' / name
    corpus = lambda path: self.corpora[path.replace('{what}', what)]
    stage = seal(
      holes.closed(
        stage, corpus, self.runs, self.world, init=self.init,
        tokenizer=self.bench.tokenizer_of(self.world, self.home),
        prepared=self.bench.tokens_of(self.home), seed=self.seed * 100 + place,
      )
    )  # fmt: skip
    if hosts.agreed(is_done(stage, directory)):
      refuse_changed(stage, directory)
      return directory
    claim(stage, directory, writes=hosts.writes())
    with self.timed.on(name.rpartition('.')[2].partition('-')[0].partition('@')[0]):  # the recipe
      sys.modules[type(stage).__module__].run(stage, directory)  # as main finds it
    return directory

  def key_of(self, arm, tests):
    """What an arm's outcomes hang on: base, steps with all their numbers, corpora, items."""
    steps = [(step.name, tree(self.cfg.stage_of(step))) for step in arm.steps]
    read = {kind: self.corpora[kind][1] for kind in self.cfg.corpora([arm])}
    what = [self.base_hash, steps, read, items_hash(tests)]
    what += [arm.context] if getattr(arm, 'context', '') else []  # climbs have none
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
