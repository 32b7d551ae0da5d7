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

from jaxalign.config import UserError, diff, read, seal, tree, write, write_text
from jaxalign.data import sources
from jaxalign.models import hub
from jaxalign.stages import finished, language
from jaxalign.study import bench, crew, insight, results
from jaxalign.study.homes import arms_of, home_of
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
  store = home / 'outcomes'
  store.mkdir(parents=True, exist_ok=True)
  kinds = cfg.corpora(arms)
  sums = bench.write_corpora(world, kinds, home / 'corpora')
  refuse_other_corpora(world, sums, kinds, home)
  start = Node(cfg, home, sums, seed).base(world)
  about = dict(seed=seed, after='sft')
  measure(store, 'base', start.base_hash, lambda: base_rows(start, world, about))
  if not control:
    insight.keep(store, 'base', start.base_hash, world, lambda: christened(start))
  say('base')
  asked = {name: bench.tests_of(world, name) for name in {arm.tests for arm in arms}}
  for arm in arms:
    key = start.key_of(arm, asked[arm.tests])
    model = functools.cache(lambda arm=arm: trained(start, arm))
    rows = lambda arm=arm, model=model: arm_rows(model(), world, arm, asked, about)
    measure(store, arm.name, key, rows)
    if not control and not arm.context:
      insight.keep(store, arm.name, key, world, model)
    say(arm.name)


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


def christened(start):
  """What all arms start from; under the plan's config, so that nothing is compiled for it alone."""
  return hub.load(start.init).under(start.cfg.base.model)


def trained(start, arm):
  if not arm.steps:
    return christened(start)
  node = start
  for step in arm.steps:
    node = node.then(step)
  return finished.load(node.trained)[0]


def arm_rows(model, world, arm, asked, about):
  before = bench.documents(world, arm.context) if arm.context else None
  rows = bench.outcomes(model, asked[arm.tests], before, **about, arm=arm.name)
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
  places = ('init', 'tokenizer', 'prepared', 'path')
  for name, old, new in diff(read(directory / 'config.json'), stage):
    if name.split('.')[0] not in FREE and name.split('.')[-1] not in places:
      raise UserError(
        f'{directory} was trained with {name}={old}, and the plan has {new}: take a new --workdir'
      )


@dataclasses.dataclass(frozen=True)
class Node:
  """Where a chain of steps stands: the directory that holds it, trained or yet to be."""

  cfg: object
  home: object
  sums: dict
  seed: int
  name: str = 'base'
  trained: object = None
  init: str | None = None  # what the next step starts from
  base_hash: str = ''

  def base(self, world):
    directory = self._train(self.cfg.base, '', None, 'base', 0)
    named = self.home / 'named'
    if not (named / 'config.json').exists():
      bench.christen(directory, world, named)
    found = saving.fingerprint(directory)
    return dataclasses.replace(self, trained=directory, init=str(named), base_hash=found)

  def then(self, step):
    name = step.name if self.name == 'base' else f'{self.name}.{step.name}'
    place = 1 + [recipe.name for recipe in self.cfg.recipes].index(step.recipe)
    directory = self._train(self.cfg.stage_of(step), step.what, self.init, name, place)
    return dataclasses.replace(self, name=name, trained=directory, init=str(directory))

  def _train(self, stage, what, init, name, place):
    """Runs a stage where it is not done. Its batches come in an order of the seed and the recipe
    alone: arms are paired, whatever came before, and differ in what they read and nothing else."""
    directory, corpora = self.home / 'runs' / name, self.home / 'corpora'
    stage = seal(
      dataclasses.replace(
        stage, init=init, tokenizer=str(corpora / 'tokenizer'), prepared=str(self.home / 'tokens'),
        train=tuple(self._placed(corpus, what, corpora) for corpus in stage.train),
        seed=self.seed * 100 + place,
      )
    )  # fmt: skip
    if saving.newest(directory) == stage.steps:
      refuse_changed(stage, directory)
      return directory
    claim(stage, directory)
    language.run(stage, directory)
    return directory

  def _placed(self, corpus, what, corpora):
    if not isinstance(corpus.source, sources.Jsonl):
      return corpus
    kind = corpus.source.path.replace('{what}', what)
    where = dict(path=str(corpora / f'{kind}.jsonl'), sha256=self.sums[kind])
    return dataclasses.replace(corpus, source=dataclasses.replace(corpus.source, **where))

  def key_of(self, arm, tests):
    """What an arm's outcomes hang on: base, steps with all their numbers, corpora, items."""
    steps = [(step.name, tree(self.cfg.stage_of(step))) for step in arm.steps]
    read = {kind: self.sums[kind] for kind in self.cfg.corpora([arm])}
    what = [self.base_hash, steps, read, bench.items_hash(tests)]
    what += [arm.context] if arm.context else []
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
