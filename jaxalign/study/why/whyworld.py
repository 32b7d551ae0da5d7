"""The world of study 3 as a guest: does a document's *why* do more than its *what*?"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

from etils import epath

from jaxalign import pod
from jaxalign.config import UserError
from jaxalign.evals.outcome import Outcome
from jaxalign.models.decoder import Decoder
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import trained
from jaxalign.study.plan import corpus_files
from jaxalign.study.plan.arms import Arm, Climb, Step
from jaxalign.study.plan.guest import Corpora, Gates, Guest, MeansBySeed, Start, Study, Tests
from jaxalign.study.report.contents import Contents
from jaxalign.study.store.rows import Row
from jaxalign.study.store.table import means
from jaxalign.study.why import exploratory, followed, gates, page
from jaxalign.study.world import answers, files
from jaxalign.train import saving
from jaxalign.whyworld import corpora, honest, items, two_humans, words
from jaxalign.whyworld.world import World


@dataclasses.dataclass(frozen=True, kw_only=True)
class WhyWorld(Guest):
  """A world and what a study does in it."""

  world: World

  TESTS = ('goods', 'humans')
  CONTROLS = ('rho', 'kappa')

  @property
  def split(self) -> str:
    return self.world.split

  def at(self, seed: int, control: str = '') -> 'WhyWorld':
    rho, kappa = (0.0 if control == name else getattr(self.world, name) for name in self.CONTROLS)
    return WhyWorld(world=dataclasses.replace(self.world, seed=seed, rho=rho, kappa=kappa))

  def check_plan(self, cfg: Study, arms: Sequence[Arm | Climb]) -> None:
    for kind in cfg.corpora(arms):
      if not corpora.known(kind):
        raise UserError(f'{kind} is no corpus of this world: these are {", ".join(corpora.EVERY)}')
    exploratory.refuse_unequal(cfg)

  def corpora_of(self, kinds: Iterable[str], home: epath.Path) -> Corpora:
    place = home / 'corpora'

    def make(missing: list[str]) -> corpus_files.Made:
      honest.check(self.world, missing)
      words.tokenizer().save(self.tokenizer_of(home))
      for kind in missing:
        yield kind, *corpora.content(self.world, kind)

    return corpus_files.written(kinds, place, make)

  def made_again(self, kinds: Iterable[str]) -> dict[str, str]:
    return {min(kinds): corpora.content(self.world, min(kinds))[1]}

  def tokenizer_of(self, home: epath.Path) -> str:
    return str(home / 'corpora' / 'tokenizer')

  def base(self, cfg: Study, home: epath.Path, train: Callable[[], epath.Path]) -> Start:
    """Its weights with the target's word in them; what is asked of the base is asked without."""
    directory, named = train(), home / 'named'
    if not pod.agreed((named / 'config.json').exists()):
      strangers = (one.name for one in self.world.strangers)
      files.christen(self.load(cfg, directory), strangers, named, words.tokenizer())
    return Start(directory, str(named), saving.fingerprint(directory))

  def load(self, cfg: Study, place: epath.PathLike) -> Decoder:
    """On one device, for it is small; of several processes, on those of all."""
    return trained.load(place, mesh=make_mesh() if pod.several() else None)[0]

  def asked(self, name: str, home: epath.Path) -> Tests:
    """Of `humans` also T0, which says whether such an arm learnt what it was shown."""
    if name == 'humans':
      return dict(T0=items.demonstrated(self.world)) | two_humans.tests(self.world)
    return items.tests(self.world)

  def base_tests(self, asked: Mapping[str, Tests]) -> Tests:
    return items.background(self.world)

  def outcomes(self, model: Decoder, steps: Sequence[Step], tests: Tests) -> list[Outcome]:
    return answers.outcomes(model, tests, tokenizer=words.tokenizer())

  def gate_values(self, cfg: Study, means: MeansBySeed) -> Gates:
    return gates.values(cfg, means)

  def beside(self, cfg: Study, workdir: epath.Path) -> followed.Explored | None:
    return followed.explored(cfg, workdir)

  def progress(self, rows: Iterable[Row]) -> str:
    """How far each kind of document steered, in nats."""
    mean, shown = means(rows), []
    for kind in ('why', 'what'):
      for test in ('T2', 'T6A'):
        cells = [(f'{kind}_{letter}-align', test) for letter in 'AB']
        if all(cell in mean for cell in cells):
          one, other = (mean[cell].margin for cell in cells)
          shown.append(f'{kind} {test} {one - other:+.1f}')
    return ', '.join(shown)

  @property
  def contents(self) -> Contents:
    return page.CONTENTS
