"""Judges of an evaluation made ready: what needs weights gets them when the model is freed."""

import os
from typing import Any

from jax.sharding import Mesh

from jaxalign.config import UserError
from jaxalign.evals.ask import fingerprint_of
from jaxalign.evals.item import Judge
from jaxalign.evals.judges import http, native
from jaxalign.models import hub
from jaxalign.stages import loading
from jaxalign.stages.contract import Workdir


def opened(judge: Any, workdir: Workdir, mesh: Mesh) -> Judge:
  """A judge that can be asked. workdir: where one behind an address keeps its replies."""
  if isinstance(judge, http.Http):
    if '://' in os.fspath(workdir):
      raise UserError(f'judge {judge.name} keeps its replies on a local disk, not in {workdir}')
    return judge.opened(workdir / 'replies' / f'{judge.name}.jsonl')
  if isinstance(judge, native.Classifier):
    model = loading.load(judge.path, mesh=mesh)
    if model.tokenizer is None:
      raise UserError(f'judge {judge.name}: {judge.path} has no tokenizer beside it')
    return judge.opened(model, fingerprint_of(model))
  return judge


def by_all(judge: Judge) -> bool:
  """Whether all processes of a pod ask a judge together, for its weights lie on all of them."""
  return hasattr(judge, 'model')


def refuse(judge: Any, cfg: Any) -> None:
  """UserError where a judge could not be opened for this evaluation; cfg: of whose model."""
  del cfg
  if isinstance(judge, native.Classifier):
    try:
      hub.resolve(judge.path, weights=False)
    except UserError as error:
      raise UserError(f'judge {judge.name}: {error}') from error
