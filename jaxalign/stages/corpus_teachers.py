"""Who writes a corpus: configs of teachers, opened for a run."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jax.sharding import Mesh as DeviceMesh

from jaxalign.config import Mesh, UserError
from jaxalign.corpora import grammar, local
from jaxalign.corpora.http import Http
from jaxalign.corpora.local import Model
from jaxalign.corpora.purse import Purse
from jaxalign.corpora.records import Teacher
from jaxalign.corpora.spec import Spec
from jaxalign.ranges import Fraction
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import loading


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Offline:
  """The grammar: plain English out of frames, free, without a model and always the same."""

  faults: Fraction = 0.0  # of its texts, planted so that filters and judges find them

  @property
  def name(self) -> str:
    return 'the grammar'


Writer = Offline | Http | Model


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class By:
  """A step that another teacher does than the writer."""

  step: str
  teacher: Writer


def of_steps(writer: Writer, judge: Writer | None, by: Sequence[By]) -> dict[str, Writer]:
  """Who does what; '' for all steps that are not named."""
  named: dict[str, Writer] = {one.step: one.teacher for one in by}
  return {'': writer, **({} if judge is None else dict(judge=judge)), **named}


def opened(
  wanted: Mapping[str, Writer],
  spec: Spec,
  *,
  seed: int,
  held: Sequence[str],
  purse: Purse,
  mesh: Mesh,
) -> dict[str, Teacher]:
  """The teachers by step; a model that does several is loaded once."""
  made: dict[Writer, Teacher] = {}
  for one in wanted.values():
    if one in made:
      continue
    if isinstance(one, Offline):
      made[one] = grammar.Grammar(spec, seed, one.faults, tuple(held) if one.faults else ())
    elif isinstance(one, Http):
      made[one] = one.opened(purse)
    else:
      made[one] = _loaded(one, make_mesh(mesh.data, mesh.fsdp, mesh.tensor))
  return {step: made[one] for step, one in wanted.items()}


def _loaded(one: Model, mesh: DeviceMesh) -> local.Teacher:
  model = loading.load(one.path, mesh=mesh)
  form: Any = model.format
  if model.tokenizer is None:
    raise UserError(f'{one.path} has no tokenizer beside it, so that nobody can ask it')
  return one.opened(model, form)
