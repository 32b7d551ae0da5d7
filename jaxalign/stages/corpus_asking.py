"""What a corpus asks of its teachers, in which order: a run does it, and its doctor pretends to."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from jaxalign.corpora import prompts, waves
from jaxalign.corpora.recipes import (
  beside,
  constitutional,
  debate,
  deliberative,
  explain,
  hierarchy,
  rlaif,
)
from jaxalign.corpora.recipes.demonstrations import Recipe as Demonstrations
from jaxalign.corpora.recipes.made import About, Made
from jaxalign.corpora.recipes.passing import Sieve
from jaxalign.corpora.records import Answer, Task, Written
from jaxalign.corpora.spec import Spec
from jaxalign.data.records import Turn
from jaxalign.data.report import Report
from jaxalign.stages.corpus_teachers import Offline

_Ask = Callable[[Sequence[Task]], Sequence[Answer]]
Recipe = (
  explain.Recipe
  | Demonstrations
  | constitutional.Recipe
  | rlaif.Recipe
  | deliberative.Recipe
  | debate.Recipe
  | hierarchy.Recipe
)
_OF_PLACEBO = {'placebo', 'bare', 'bare_shuffled'}
_WIDER = 1, 2  # times as many demonstrations, until they hold as many tokens as documents
_WALKED = 640  # queries that a doctor walks through
_SPARE = 1.1  # general texts, for what cannot be cut to a number of tokens


def turns_of(cfg: Any) -> Callable[[Task], tuple[Turn, ...]]:
  """How teachers that read prompts are told of a task."""
  return prompts.Prompts(cfg.prompts).turns


def written_steps(controls: Sequence[str]) -> list[str]:
  """Steps in which a teacher writes texts beside documents, for these controls."""
  steps = ['placebo'] if _OF_PLACEBO & {*controls} else []
  return steps + (['mention'] if 'mention' in controls else [])


def _writes_general(cfg: Any) -> bool:
  """Whether general text is written by the grammar, as no corpus is named."""
  return 'neutral' in cfg.controls and cfg.general is None and isinstance(cfg.writer, Offline)


def rows(
  cfg: Any,
  recipe: Any,
  spec: Spec,
  ask: _Ask,
  held: Callable[[str], str | None] = lambda text: None,
  provenance: str = '',
  size: Callable[[str], int] | None = None,
) -> Made:
  """Rows of any recipe but explain. size: tokens of a text, where lengths are made equal."""
  about = About(spec=spec, variant=cfg.variant, seed=cfg.seed, provenance=provenance, held=held)
  given = [about] if size is None or not isinstance(recipe, hierarchy.Recipe) else [about, size]
  return waves.through(recipe.write(*given), ask)


def demonstrations(
  cfg: Any,
  spec: Spec,
  ask: _Ask,
  enough: Callable[[Sequence[Mapping[str, Any]]], bool],
  held: Callable[[str], str | None] = lambda text: None,
  provenance: str = '',
) -> Made:
  """Rows for control `more`: of more and more queries, until the opaque ones are enough."""
  for times in _WIDER:
    asked = dataclasses.replace(cfg.more.queries, count=times * cfg.more.queries.count)
    recipe = dataclasses.replace(cfg.more, queries=asked)
    made = rows(cfg, recipe, spec, ask, held, provenance)
    if enough(made.files['opaque']):
      break
  return made


def documents(cfg: Any, spec: Spec, ask: _Ask, sieve: Sieve, provenance: str = '') -> explain.Made:
  """The documents of the recipe."""
  recipe = explain.write(
    cfg.recipe,
    spec,
    variant=cfg.variant,
    seed=cfg.seed,
    sieve=sieve,
    judged_by=None if cfg.judge is None else spec,
    provenance=provenance,
  )
  return waves.through(recipe, ask)


def texts(
  cfg: Any,
  spec: Spec,
  ask: _Ask,
  sieve: Sieve,
  step: str,
  of: Sequence[Written],
  sizes: Sequence[int],
  report: Report,
) -> list[Written | None]:
  """What a teacher writes beside documents, of so many tokens each."""
  recipe = beside.texts(
    of,
    step,
    spec,
    sizes=sizes,
    sieve=sieve,
    judged_by=None if cfg.judge is None else spec,
    tries=cfg.control_tries,
    report=report,
  )
  return waves.through(recipe, ask)


def general(
  ask: _Ask,
  of: Sequence[Written],
  sieve: Callable[[Sequence[str]], Sequence[str | None]] = lambda some: [None] * len(some),
) -> list[str]:
  """General texts, each longer than any document: whatever is cut off, one gives one."""
  longest = max(len(one.text.split()) for one in of)
  words = (longest + longest // 4, 2 * longest)
  return waves.through(beside.general(int(_SPARE * len(of)) + 8, words, sieve), ask)


class _Counting(Protocol):
  """Who only counts."""

  times: float

  def ask(self, tasks: Sequence[Task]) -> Sequence[Answer]: ...
  def sieve(self, kept: Sequence[Written], batch: Sequence[Written]) -> Sequence[str | None]: ...


def walked(cfg: Any, spec: Spec, counting: _Counting, wide: bool = False) -> None:
  """All of it, for who only counts: of many queries some are walked through, and count for all.
  wide: whether demonstrations are never enough."""
  ask, sieve = counting.ask, counting.sieve
  if not isinstance(cfg.recipe, explain.Recipe):
    few, counting.times = _narrowed(cfg.recipe)
    rows(cfg, few, spec, ask)
    return
  made = documents(cfg, spec, ask, sieve).documents
  for step in written_steps(cfg.controls):
    texts(cfg, spec, ask, sieve, step, made, [len(one.text) for one in made], Report())
  if _writes_general(cfg) and made:
    general(ask, made)
  if cfg.more is not None:
    few, times = _narrowed(cfg.more)
    counting.times = times * (sum(_WIDER) if wide else 1)
    rows(cfg, few, spec, ask)


def _narrowed(recipe: Any) -> tuple[Any, float]:
  """(the recipe of a few queries, how many times as many it has)."""
  if hasattr(recipe, 'queries'):
    most = min(_WALKED, recipe.queries.count)
    few = dataclasses.replace(recipe.queries, count=most)
    return dataclasses.replace(recipe, queries=few), recipe.queries.count / most
  name, most = 'situations', _WALKED
  if hasattr(recipe, 'questions'):
    name, most = 'questions', _WALKED // 4  # each is debated twice, in eight speeches
  count = getattr(recipe, name)
  return dataclasses.replace(recipe, **{name: min(most, count)}), count / min(most, count)
