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
from collections.abc import Callable

from etils import epath

from jaxalign import compile_cache, pod
from jaxalign.config import UserError
from jaxalign.files import read_json, write_text
from jaxalign.models import hub
from jaxalign.sealing import diff, seal, tree, write
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import trained
from jaxalign.study.judge import goodhart
from jaxalign.study.plan import placeholders
from jaxalign.study.plan.directories import arms_of, home_of, mine_of, rl_of
from jaxalign.study.plan.guest import Corpora, Guest, Study
from jaxalign.study.run import conclusion, guests, live, pieces, sharing, worker_pool
from jaxalign.study.store import clock
from jaxalign.study.store.rows import items_hash, line
from jaxalign.study.store.rows import of as row_of
from jaxalign.workdir import FREE, claim


def run(cfg: Study, workdir: epath.Path) -> None:
  worlds, workers = mine_of(cfg), 0 if pod.several() else cfg.workers
  there = worker_pool.count(workers, len(worlds))
  report = live.Live(cfg, workdir, there, kept=compile_cache.in_use() is not None)
  report.foretell()
  sharing.begin(cfg, workdir, begin)
  alone = not pod.several()
  worker_pool.each(worlds, work, (cfg, workdir), workers=workers, say=report.say, logged=alone)
  others = sharing.undone(cfg, workdir)
  if others:
    report.leave(others)
  elif pod.writes():
    report.judging()
    conclusion.conclude(cfg, workdir, seconds=report.seconds())
  pod.meet('the study is done')


def begin(cfg: Study, workdir: epath.Path) -> None:
  """What all seeds share, where they share any."""
  guest = guests.of(cfg.world)
  shared = guest.begin(workdir)
  if shared is not None:
    home, corpora = shared
    timed = clock.Clock(home, pod.writes())
    shares = _Node(cfg, home, corpora, 0, guest, timed)
    if cfg.base is not None:
      shares.train_base()
    shares.base_written()


def work(
  task: live.Task, cfg: Study, workdir: epath.Path, say: Callable[[str | clock.Lap], None]
) -> None:
  """One world: all its arms. say(told): for the live line, the name of what is done or a Lap."""
  seed, control = task
  guest = guests.of(cfg.world).at(seed, control)
  home, arms = home_of(workdir, seed, control), arms_of(cfg, control)
  rl_arms, climbs = rl_of(cfg, seed, control)
  every = (*arms, *rl_arms)
  store = home / 'outcomes'
  store.mkdir(parents=True, exist_ok=True)
  timed = clock.Clock(home, pod.writes(), say)
  with timed.on(pieces.CORPORA, pieces.CORPORA):
    corpora = guest.corpora_of(cfg.corpora((*every, *climbs)), home)
    _refuse_other_corpora(guest, corpora, home)
    asked = {name: guest.asked(name, home) for name in {arm.tests for arm in every}}
  start = _Node(cfg, home, corpora, seed, guest, timed).base()
  with timed.on('asking', pieces.asked(None)):
    _measure_base(store, start, guest.base_tests(asked), asked)
  if guest.keeps:
    with timed.on('probes', pieces.probed('base')):
      guest.keep(store, 'base', start.base_hash, start.christened)
  start.base_written()
  say('base')
  for arm in every:
    key = start.key_of(arm, asked[arm.tests])
    model = functools.cache(functools.partial(start.model_of, arm))
    with timed.on('asking', pieces.asked(arm)):
      answers = functools.partial(start.answers_of, arm, asked[arm.tests], model)
      _keep(store, arm.stored, key, answers)
    if guest.keeps and arm.after == 'sft' and not arm.context:
      with timed.on('probes', pieces.probed(arm.name)):
        guest.keep(store, arm.name, key, model)
    del model, answers  # judges may need all the room there is
    if not arm.context:
      start.written(arm.stored, key, functools.partial(start.place_of, arm))
    say(arm.stored)
  for climb in climbs:
    with timed.on('asking', pieces.asked(climb)):
      points = functools.partial(start.points_of, climb)
      _keep(home / 'goodhart', climb.stored, start.key_of(climb, {}), points)
    say(climb.stored)


def _refuse_other_corpora(guest, corpora, home):
  """They are of one world; some are made again, which shows another grammar or source."""
  path = home / 'world.json'
  if path.exists():
    changed = diff(read_json(path), guest.config)
    if changed:
      shown = ', '.join(f'{name} ({old} there, {new} here)' for name, old, new in changed)
      raise UserError(f'{home} is of another world: {shown}; take a new --workdir')
  elif pod.writes():
    write(guest.config, path)
  for kind, sha256 in guest.made_again(corpora).items():
    if corpora[kind][1] != sha256:
      raise UserError(
        f'{home}: its corpora ({kind}) were made by another version or another world than this '
        'one, or of a source that has changed: take a new --workdir, or put the source back'
      )


def _measure_base(store, start, tests, asked):
  """Where arms are asked the same as the base, what is asked is part of its key too."""
  alike = any(tests is one for one in asked.values())
  more = dict(items=items_hash(tests)) if alike else {}
  _keep(store, 'base', start.base_hash, functools.partial(start.base_answers, tests), **more)


def _keep(store, name, key, lines, **more):
  """The lines of an arm, once: NAME.jsonl, and what they were made by beside them."""
  path, known = store / f'{name}.jsonl', store / f'{name}.json'
  if pod.agreed(path.exists() and known.exists()):
    if read_json(known) != dict(key=key, **more):
      raise UserError(
        f'{path} was measured on another base, other corpora, steps or items than this plan has: '
        'take a new --workdir'
      )
    return
  text = ''.join(lines())
  if pod.writes():
    write_text(text, path)
    write_text(json.dumps(dict(key=key, **more)), known)
  pod.meet(f'{name} is measured')


def _refuse_changed(stage, directory):
  """Refuses a finished step that the plan describes otherwise now. Paths may differ: a workdir may
  have been moved."""
  paths = ('init', 'tokenizer', 'prepared', 'path', 'by', 'critic')
  for name, old, new in diff(read_json(directory / 'config.json'), stage):
    if name.split('.')[0] not in FREE and name.split('.')[-1] not in paths:
      raise UserError(
        f'{directory} was trained with {name}={old}, and the plan has {new}: take a new --workdir'
      )


@dataclasses.dataclass(frozen=True)
class _Node:
  """Where a chain of steps stands: the directory that holds it, trained or yet to be."""

  cfg: Study
  home: epath.Path
  corpora: Corpora
  seed: int
  guest: Guest
  timed: clock.Clock
  name: str = 'base'
  trained: epath.PathLike = ''
  init: str | None = None  # what the next step starts from
  runs: dict[str, str] = dataclasses.field(default_factory=dict)  # {recipe: directory} so far
  base_hash: str = ''

  def base(self):
    at = self.guest.base(self.cfg, self.home, self.train_base)
    return dataclasses.replace(self, trained=at.trained, init=at.init, base_hash=at.hash)

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
    if trained.is_workdir(self.init):
      return self.guest.load(self.cfg, self.init)
    mesh = make_mesh() if pod.several() else None
    return hub.load(self.init, mesh=mesh).under(self.cfg.first.model)

  def model_of(self, arm):
    if arm.context:
      return self.christened()
    return self.guest.load(self.cfg, self.place_of(arm))

  def place_of(self, arm):
    """Where the model of an arm lies, trained by then."""
    return self.through(arm.steps).trained

  def written(self, name, key, model):
    """Has an arm write what it is asked to write, where its guest asks for that, and judged."""
    place = self.guest.answers_at(self.home, name)
    if place is not None:
      with self.timed.on('writing', pieces.written(name)):
        self.guest.ask(self.cfg, place, key, model)

  def base_written(self):
    """The same of where all arms begin; of one base for all seeds before any of them."""
    if self.guest.answers_at(self.home, 'base') is not None:
      start = self.base()
      self.written('base', start.base_hash, lambda: start.init)

  def base_answers(self, tests):
    model = self.guest.load(self.cfg, self.trained)
    return self._lines(self.guest.outcomes(model, (), tests), arm='base')

  def answers_of(self, arm, tests, model):
    """Lines of the store, of an arm whose model model() gives."""
    where = dict(after=arm.after, arm=arm.name)
    if arm.context:
      return self._lines(self.guest.in_context(model(), arm.context, tests), **where)
    outcomes = self.guest.outcomes(model(), arm.steps, tests)
    if arm.after == 'ppo':
      where['kl'] = goodhart.moved(self.place_of(arm))
    return self._lines(outcomes, **where)

  def _lines(self, outcomes, **where):
    return (line(row_of(one, seed=self.seed, **where)) for one in outcomes)

  def points_of(self, climb):
    """Lines of a climb's file."""
    return map(goodhart.line, goodhart.points(self.through(climb.steps).trained, climb, self.seed))

  def train_base(self):
    return self._train(self.cfg.base, '', 'base', 0)

  def _train(self, stage, what, name, place):
    """Runs a stage where it is not done. Its batches come in an order of the seed and the recipe
    alone: arms are paired, whatever came before, and differ in what they read and nothing else."""
    directory = self.home / 'runs' / name
    fields = dict(init=self.init, seed=self.guest.order_of(self.seed) * 100 + place)
    fields['tokenizer'] = self.guest.tokenizer_of(self.home)
    fields['prepared'] = self.guest.tokens_of(self.home)

    def corpus(path):
      return self.corpora[path.replace('{what}', what)]

    stage = seal(placeholders.closed(stage, corpus, self.runs, self.guest.config, **fields))
    if pod.agreed(stage.is_done(directory)):
      _refuse_changed(stage, directory)
      return directory
    claim(stage, directory, writes=pod.writes())
    recipe = name.rpartition('.')[2].partition('-')[0].partition('@')[0]
    with self.timed.on(recipe, pieces.trained(name)):
      sys.modules[type(stage).__module__].run(stage, directory)  # as main finds it
    return directory

  def key_of(self, arm, tests):
    """What an arm's outcomes hang on: base, steps with all their numbers, corpora, items."""
    steps = [(step.name, tree(self.cfg.stage_of(step))) for step in arm.steps]
    read = {kind: self.corpora[kind][1] for kind in self.cfg.corpora([arm])}
    what = [self.base_hash, steps, read, items_hash(tests)]
    what += [arm.context] if getattr(arm, 'context', '') else []  # climbs have none
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()
