"""What a corpus asks of its teachers, in which order: a run does it, and its doctor pretends to."""

from collections.abc import Callable, Sequence
from typing import Any

from jaxalign.corpora import prompts, waves
from jaxalign.corpora.recipes import (
  beside,
  constitutional,
  debate,
  deliberative,
  demonstrations,
  explain,
  hierarchy,
  rlaif,
)
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
  | demonstrations.Recipe
  | constitutional.Recipe
  | rlaif.Recipe
  | deliberative.Recipe
  | debate.Recipe
  | hierarchy.Recipe
)
_OF_PLACEBO = {'placebo', 'bare', 'bare_shuffled'}
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


def walked(cfg: Any, spec: Spec, ask: _Ask, sieve: Sieve) -> None:
  """All of it once, for who only counts."""
  if not isinstance(cfg.recipe, explain.Recipe):
    rows(cfg, cfg.recipe, spec, ask)
    return
  made = documents(cfg, spec, ask, sieve).documents
  for step in written_steps(cfg.controls):
    texts(cfg, spec, ask, sieve, step, made, [len(one.text) for one in made], Report())
  if _writes_general(cfg) and made:
    general(ask, made)
  if cfg.more is not None:
    rows(cfg, cfg.more, spec, ask)
