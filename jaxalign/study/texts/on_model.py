"""What guests on real text share: one base that all seeds start from, how it is laid out, and what
arms write."""

import hashlib
from collections.abc import Callable

import jax
from etils import epath

from jaxalign.config import UserError
from jaxalign.data import chat
from jaxalign.models import hub
from jaxalign.models.decoder import Decoder
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import trained
from jaxalign.study.plan.guest import Guest, Said, Start, Study
from jaxalign.study.texts import answering
from jaxalign.study.texts.questions import ALL
from jaxalign.study.texts.settings import Asking
from jaxalign.train import saving

_BLOCKS, _BLOCK = 64, 1 << 16  # of a file of weights, by which it is known again


class OnModel(Asking, Guest):
  """A guest whose arms all start from one model."""

  def tokenizer_of(self, home: epath.Path) -> str:
    return self.tokenizer

  def tokens_of(self, home: epath.Path) -> str:
    return str(home.parent / 'tokens')

  def base(self, cfg: Study, home: epath.Path, train: Callable[[], epath.Path]) -> Start:
    """One base for all seeds, which `begin` had trained where the config trains one."""
    if cfg.base is None:
      init = str(cfg.recipes[0].stage.init)  # check_plan: all name one
      return Start(init, init, mark(init))
    directory = home.parent / ALL / 'runs' / 'base'
    return Start(directory, str(directory), saving.fingerprint(directory))

  def load(self, cfg: Study, place: epath.PathLike) -> Decoder:
    """On all devices, as the stages lay it out."""
    stage = cfg.recipes[0].stage
    sizes = stage.mesh.data, stage.mesh.fsdp, stage.mesh.tensor
    mesh = make_mesh(*sizes) if jax.device_count() > 1 else None
    if trained.is_workdir(place):
      return trained.load(place, mesh=mesh)[0]
    return trained.weights_of(place, stage.model.weights, mesh).under(stage.model)

  def answers_at(self, home: epath.Path, name: str) -> epath.Path | None:
    whose = home.parent / ALL if name == 'base' else home  # there is one base
    return whose / answering.DIRECTORY / name if self.suites else None

  def ask(
    self, cfg: Study, place: epath.Path, key: str, model: Callable[[], epath.PathLike]
  ) -> None:
    answering.ask(self, cfg.recipes[0].stage, place, key, model)

  def said(self, place: epath.Path) -> Said:
    return answering.said(place)


def refuse_starts(cfg: Study, form: chat.ChatFormat | chat.Own) -> None:
  """Refuses recipes of several starts, or of another format than questions are asked in."""
  stages = [recipe.stage for recipe in cfg.recipes]
  starts = {stage.init for stage in stages}
  if cfg.base is None and (len(starts) > 1 or None in starts):
    shown = ', '.join(sorted(map(str, starts)))
    raise UserError(f'recipes start from {shown}: without a base all name one init')
  for recipe in cfg.recipes:
    written = getattr(recipe.stage, 'format', form)
    if written != form:
      raise UserError(
        f'recipe {recipe.name} writes dialogues as {written.name}, and the benches are asked as '
        f'{form.name}: a wrong template alone can fake an effect; take one'
      )


def mark(init: str) -> str:
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
