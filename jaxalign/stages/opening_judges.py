"""Judges of an evaluation made ready: what needs weights gets them when the model is freed."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jax.sharding import Mesh

from jaxalign.config import UserError
from jaxalign.data import cutting, dialogues
from jaxalign.data.records import Conversation, Turn
from jaxalign.evals.ask import fingerprint_of
from jaxalign.evals.item import Judge
from jaxalign.evals.judges import gold, http, native, sequence
from jaxalign.files import place, read_json
from jaxalign.models import heads, hub, llama2
from jaxalign.rl.sample import bucket, to_every_host
from jaxalign.sharding.layout import on_mesh
from jaxalign.stages import judging, loading, trained
from jaxalign.stages.contract import Build, Workdir

ROWS = 16  # dialogues that a reward model reads at once, or one for each way of a mesh
_PUBLISHED = {
  native.HARMBENCH: llama2.llama2_13b,
  native.LLAMA_GUARD: llama2.llama2_7b,
  native.TRUTH: llama2.llama2_7b,
  native.INFO: llama2.llama2_7b,
}
_Prints = Mapping[str, str]  # {name: fingerprint} of reward models that a policy was trained by


def opened(judge: Any, workdir: Workdir, mesh: Mesh, trained_by: _Prints) -> Judge:
  """A judge that can be asked. workdir: where one behind an address keeps its replies."""
  if isinstance(judge, http.Http):
    if '://' in os.fspath(workdir):
      raise UserError(f'judge {judge.name} keeps its replies on a local disk, not in {workdir}')
    return judge.opened(workdir / 'replies' / f'{judge.name}.jsonl')
  if isinstance(judge, native.Classifier):
    return judge.opened(*_model_of(judge, mesh))
  if isinstance(judge, sequence.Labelled):
    model, score_CD, config = hub.load_classifier(judge.path, mesh=mesh)
    model.tokenizer = loading.tokenizer_of(hub.resolve(judge.path), model.cfg.vocab)
    mark = fingerprint_of(model) if model.tokenizer is not None else ''
    return judge.opened(model, score_CD, config, mark)
  if isinstance(judge, gold.Reward):
    refuse(judge, trained_by)  # before its weights are read
    mark = trained.fingerprint_of(judge.workdir)
    score = _scorer_of(judge.workdir, mesh)
    return judge.opened(score=score, fingerprint=mark, policy_judges=trained_by)
  return judge


def _model_of(judge: native.Classifier, mesh: Mesh) -> tuple[Any, str]:
  model = loading.load(judge.path, mesh=mesh)
  if model.tokenizer is None:
    raise UserError(f'judge {judge.name}: {judge.path} has no tokenizer beside it')
  return model, fingerprint_of(model)


def weights_at(judge: Any) -> str | None:
  """Where a judge's weights lie; None: it has none."""
  if isinstance(judge, gold.Reward):
    return judge.workdir
  return judge.path if isinstance(judge, native.Classifier | sequence.Labelled) else None


def builder_of(judge: Any) -> Build | None:
  """What makes the weights of a judge, by chance; None: it has none. A classifier whose model is
  not here is taken to be as large as the one that was published with its template."""
  if isinstance(judge, gold.Reward):
    raw = trained.reward_raw(f'judge {judge.name}', judge.workdir)
    return heads.fresh(trained.model_config(judge.workdir, raw))
  if isinstance(judge, sequence.Labelled):
    return hub.examine(judge.path)[0].build
  if not isinstance(judge, native.Classifier):
    return None
  try:
    place = hub.resolve(judge.path, weights=False)
    if trained.is_workdir(place):
      return trained.model_config(place, trained.raw_of(place)).build
    return hub.examine(judge.path)[0].build
  except UserError:
    if judge.template not in _PUBLISHED:
      raise
    return _PUBLISHED[judge.template](weights='bfloat16').build


def by_all(judge: Any) -> bool:
  """Whether all processes of a pod ask a judge together, for its weights lie on all of them."""
  with_weights = native.Classifier | gold.Reward | sequence.Labelled
  return isinstance(getattr(judge, 'cfg', None), with_weights)


def refuse(judge: Any, trained_by: _Prints) -> None:
  """UserError where a judge could not be opened, as far as a quick look tells."""
  if isinstance(judge, native.Classifier | sequence.Labelled):
    try:
      hub.resolve(judge.path, weights=False)
    except UserError as error:
      raise UserError(f'judge {judge.name}: {error}') from error
  if isinstance(judge, gold.Reward):
    trained.reward_raw(f'judge {judge.name}', judge.workdir)
    mark = trained.fingerprint_of(judge.workdir)
    judge.opened(score=_nobody, fingerprint=mark, policy_judges=trained_by)


def _nobody(said: Sequence[Any]) -> np.ndarray:
  raise AssertionError(f'{len(said)} dialogues for a judge that is not open')


def trained_by(model: object) -> dict[str, str]:
  """{name: fingerprint} of the reward models that a policy, or one that it began as, was trained
  by, as far as they are still there: by PPO, or by what they chose or scored in a run of best-of-n
  or PPO, where sft or dpo learned from files of its workdir."""
  found: dict[str, str] = {}
  seen: set[str] = set()
  left = [model]
  while left:
    one = left.pop(0)
    if (
      not one or not isinstance(one, str) or one in seen or one.startswith(('http://', 'https://'))
    ):
      continue
    seen.add(one)
    try:
      raw = _run_of(one)
    except UserError:  # it is gone, or was never a run
      continue
    for judge in raw.get(_CHOOSERS.get(str(raw.get('class')), '')) or ():
      by = judge.get('by') if isinstance(judge, dict) else None
      if isinstance(by, str) and trained.is_workdir(by):
        found[by] = trained.fingerprint_of(by)
    left += [raw.get('init'), *_homes(raw.get('train'))]
  return found


_CHOOSERS = {trained.PPO: 'judges', trained.BON: 'proxy'}  # the field with the reward models


def _run_of(path: str) -> dict[str, Any]:
  """The config.json of a run that trained weights or chose answers; {} of any other place."""
  if trained.is_workdir(path):
    return trained.raw_of(path)
  file = place(path) / 'config.json'
  raw = read_json(file) if file.exists() else None
  return raw if isinstance(raw, dict) and raw.get('class') in _CHOOSERS else {}


def _homes(train: Any) -> Iterator[str]:
  """The directories of the files that a run learned from, wherever its config names them."""
  if isinstance(train, dict):
    paths = train.get('path') or ()
    for path in (paths,) if isinstance(paths, str) else paths:
      yield os.fspath(place(path).parent)
    train = list(train.values())
  for one in train if isinstance(train, list) else ():
    if isinstance(one, dict | list):
      yield from _homes(one)


def _scorer_of(workdir: str, mesh: Mesh) -> Callable[[Sequence[tuple[Turn, ...]]], np.ndarray]:
  """What a reward model makes of dialogues that end with an answer: a number each."""
  scorer, tokenizer, form = trained.scorer_of(workdir, mesh=mesh)
  ways = mesh.shape['data'] * mesh.shape['fsdp']
  rows = -(-ROWS // ways) * ways

  def score(said: Sequence[tuple[Turn, ...]]) -> np.ndarray:
    spans = [dialogues.spans(form, tokenizer, Conversation(turns)) for turns in said]
    ids = [example.tokens for example in cutting.encode_spans(tokenizer, spans)]
    score_N = np.zeros(len(ids))
    order = sorted(range(len(ids)), key=lambda n: len(ids[n]))
    for start in range(0, len(order), rows):
      places = order[start : start + rows]
      width = bucket(max(len(ids[n]) for n in places))
      tokens_BT, segment_BT = (np.zeros((rows, width), np.int32) for _ in range(2))
      for row, n in enumerate(places):
        tokens_BT[row, : len(ids[n])], segment_BT[row, : len(ids[n])] = ids[n], 1
      segment_BT[len(places) :, 0] = 1  # empty rows are read too
      with on_mesh(mesh):
        (score_B,) = to_every_host(judging.read(scorer, tokens_BT, segment_BT))
      score_N[places] = score_B[: len(places)]
    return score_N

  return score
