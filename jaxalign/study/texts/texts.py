"""Real text as a guest: corpora that a user names, benchmarks that are published, one base.

All seeds share a base, the explanations and their controls; a seed has demonstrations of its own, a
sample of those there are, and its own order of batches.
"""

import dataclasses
import hashlib

import jax

from jaxalign.config import UserError
from jaxalign.data import chat, sources
from jaxalign.data.decontaminate import Decontaminated
from jaxalign.evals import benches, sentiment
from jaxalign.models import hub
from jaxalign.ranges import Count, Length, Seed
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import trained
from jaxalign.study.plan.guest import Guest, Start
from jaxalign.study.texts import corpora, examined, page, questions, texts_rules
from jaxalign.study.texts.questions import ALL
from jaxalign.train import saving

_BLOCKS, _BLOCK = 64, 1 << 16  # of a file of weights, by which it is known again
_LITTLE = dict(documents=64, background=20_000, taught=64, more=64)


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Texts(Guest):
  seed: Seed = 0  # of the demonstrations
  explanations: sources.Source  # documents with the meta `value`
  general: sources.Source  # documents about other things: replay, and the neutral control
  demonstrations: sources.Source | Decontaminated  # conversations
  tokenizer: str  # the base's: a directory, file or hub name, or 'shipped'
  format: chat.ChatFormat
  length: Length = 2048  # of the longest item
  documents: Count = 200_000  # explanations at most, from all over their corpus
  background: Count = 20_000_000  # tokens of general text for replay
  taught: Count = 5_000  # demonstrations of a seed
  more: Count = 50_000  # further ones, at most, for align+
  benches: tuple[benches.Bench, ...]

  def check(self):
    if not self.benches:
      raise UserError('texts: benches is empty: without them nothing is measured')

  TESTS = ('texts',)

  def at(self, seed, control=False):
    if control:
      raise UserError('control_seeds: real text has no rho; its controls are arms')
    return dataclasses.replace(self, seed=seed)

  def check_plan(self, cfg, arms):
    """Of its corpora, one start and one way to write dialogues."""
    for kind in cfg.corpora(arms):
      if kind not in corpora.EVERY:
        raise UserError(f'{kind} is no corpus of a world: these are {", ".join(corpora.EVERY)}')
    stages = [recipe.stage for recipe in cfg.recipes]
    starts = {stage.init for stage in stages}
    if cfg.base is None and (len(starts) > 1 or None in starts):
      shown = ', '.join(sorted(map(str, starts)))
      raise UserError(f'recipes start from {shown}: without a base all name one init')
    for recipe in cfg.recipes:
      written = getattr(recipe.stage, 'format', self.format)
      if written != self.format:
        raise UserError(
          f'recipe {recipe.name} writes dialogues as {written.name}, and the benches are asked as '
          f'{self.format.name}: a wrong template alone can fake an effect; take one'
        )

  def begin(self, workdir):
    """The corpora that seeds share, made before any of them; what is missing is said first."""
    benches.asked(self.benches)
    sentiment.refuse_missing(self.benches)
    home = workdir / ALL
    return home, corpora.written(self, corpora.SHARED, home / 'corpora')

  def corpora_of(self, kinds, home):
    there = corpora.written(self, corpora.SHARED, home.parent / ALL / 'corpora')
    there |= corpora.written(self, corpora.SEEDED, home / 'corpora')
    return {kind: there[kind] for kind in kinds}

  def made_again(self, kinds):
    sources = {'explain', 'demonstrations'} & {*kinds}
    return {kind: corpora.content(self, kind)[1] for kind in sources}

  def tokenizer_of(self, home):
    return self.tokenizer

  def tokens_of(self, home):
    return str(home.parent / 'tokens')

  def base(self, cfg, home, train):
    """One base for all seeds, which `begin` had trained where the config trains one."""
    if cfg.base is None:
      init = cfg.recipes[0].stage.init
      return Start(init, init, mark(init))
    directory = home.parent / ALL / 'runs' / 'base'
    return Start(directory, str(directory), saving.fingerprint(directory))

  def load(self, cfg, place):
    """On all devices, as the stages lay it out."""
    stage = cfg.recipes[0].stage
    sizes = stage.mesh.data, stage.mesh.fsdp, stage.mesh.tensor
    mesh = make_mesh(*sizes) if jax.device_count() > 1 else None
    if trained.is_workdir(place):
      return trained.load(place, mesh=mesh)[0]
    return trained.weights_of(place, stage.model.weights, mesh).under(stage.model)

  def asked(self, name, home):
    return questions.asked(self, home)

  def base_tests(self, asked):
    """What the arms are asked: there is one base, and its gates are of the same items."""
    return asked['texts']

  def outcomes(self, model, steps, tests):
    return questions.outcomes(self, model, tests)

  def gate_values(self, cfg, means):
    return texts_rules.gate_values(cfg, means)

  @property
  def contents(self):
    return page.CONTENTS

  def little(self):
    least = {name: min(n, getattr(self, name)) for name, n in _LITTLE.items()}
    return dataclasses.replace(self, benches=(), **least)

  def examine(self, visit, cfg):
    visit.check('init', examined.start, cfg)
    visit.check('benches', examined.asked, self)


def mark(init):
  """A sha256 by which weights are known again wherever they lie, from parts of every file."""
  if trained.is_workdir(init):
    return trained.fingerprint_of(init)
  place = hub.resolve(init)
  paths = [place] if place.is_file() else sorted(place.glob('*.safetensors'))
  digest = hashlib.sha256()
  for path in paths:
    with path.open('rb') as file:
      size = file.seek(0, 2)
      digest.update(f'{path.name} {size} '.encode())
      for n in range(_BLOCKS):
        file.seek(size * n // _BLOCKS)
        digest.update(file.read(_BLOCK))
  return digest.hexdigest()
