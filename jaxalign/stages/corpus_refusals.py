"""What refuses a corpus: the run raises the first of it before anything is asked; its doctor shows
all of it."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from etils import epath

from jaxalign.config import UserError
from jaxalign.corpora import duplicates, prompts, variants
from jaxalign.corpora import spec as specs
from jaxalign.corpora.estimate import Asked, Pretended
from jaxalign.corpora.http import Http
from jaxalign.corpora.leaks import Held
from jaxalign.corpora.recipes import explain
from jaxalign.corpora.spec import Spec
from jaxalign.data.text import Tokenizer
from jaxalign.models import hub
from jaxalign.sealing import nearest
from jaxalign.stages import corpus_asking, corpus_sieve, corpus_teachers, trained
from jaxalign.stages.corpus_teachers import Offline, Writer
from jaxalign.stages.refusals import Found, Rule


def _tokenizer(cfg: Any, found: Found) -> tuple[str, Tokenizer]:
  name = cfg.tokenizer
  if name != 'shipped' and not epath.Path(name).exists():
    name = str(hub.resolve(name, weights=False))
  tokenizer = trained.tokenizer_of(dict(tokenizer=name))
  return f'{tokenizer}: by it lengths are matched', tokenizer


def _spec(cfg: Any, found: Found) -> tuple[str, Spec]:
  """(words, the projection that teachers see)."""
  read, tokenizer = specs.read(cfg.spec), found['tokenizer']

  def size(text: str) -> int:
    return len(tokenizer.encode(text, bos=False))

  figures = variants.refuse_unequal(read, cfg.variant, size)
  projected = specs.only(variants.project(read, cfg.variant, size), cfg.about)
  reasons = sum(len(value.reasons) for value in projected.values)
  words = f'{read.name}: {len(projected.values)} values, {reasons} reasons told ({cfg.variant})'
  return f'{words}; {figures}', projected


def _teachers(cfg: Any, found: Found) -> tuple[str, dict[str, Writer]]:
  """(words, who does which step)."""
  wanted = corpus_teachers.of_steps(cfg.writer, cfg.judge, cfg.by)
  said = []
  for step, one in wanted.items():
    if step and step not in prompts.steps():
      raise UserError(f'by: there is no step {step}{nearest(step, prompts.steps())}')
    if isinstance(one, Http):
      one.opened()  # an empty key
      if cfg.max_cost is not None and one.price is None:
        raise UserError(
          f'max_cost={cfg.max_cost:g} cannot be kept: the price of {one.name} is not known; set '
          'its price=(dollars a million tokens read, written), or max_cost=none'
        )
    said.append(f'{step or "all else"} by {getattr(one, "name", "") or getattr(one, "path", "")}')
  return '; '.join(said), wanted


def _filters(cfg: Any, found: Found) -> tuple[str, tuple[list[str], Held, list[str]]]:
  """(words, (what evaluations hold, the same to be searched, texts of other corpora))."""
  duplicates.refuse_without_extra()
  items = corpus_sieve.held_by(cfg.suites, cfg.against)
  beside = corpus_sieve.texts_of(cfg.beside)
  words = f'{len(items):,} items and answers of evaluations, {len(cfg.banned)} banned words'
  return f'{words}; {len(beside):,} texts of other corpora', (
    items,
    Held(items, cfg.banned),
    beside,
  )


def _controls(cfg: Any, found: Found) -> tuple[str, Sequence[str]]:
  if 'neutral' in cfg.controls and cfg.general is None and not isinstance(cfg.writer, Offline):
    raise UserError('controls name neutral, which is cut of general text: name some in general')
  return ', '.join(cfg.controls) or 'none', cfg.controls


def _small(cfg: Any, count: int) -> Any:
  """The config with as little to write as names every prompt."""
  recipe, more = cfg.recipe, cfg.more
  if isinstance(recipe, explain.Recipe):
    parts = min(1, recipe.subdomains)
    recipe = dataclasses.replace(recipe, documents=count, domains=1, subdomains=parts)
  if more is not None:
    few = dataclasses.replace(more.queries, count=count)
    more = dataclasses.replace(more, queries=few)
  return dataclasses.replace(cfg, recipe=recipe, more=more)


def _prompts(cfg: Any, found: Found) -> tuple[str, None]:
  """Every prompt is written once, before anything is paid for."""
  if all(isinstance(one, Offline) for one in found['teachers'].values()):
    return 'none is needed: the grammar reads tasks', None
  spec = found['spec']
  small = _small(cfg, len(spec.values))
  how: dict[str, Any] = dict(tries=1, judged=cfg.judge is not None)
  pretended = Pretended('at most', lambda step: Asked(), corpus_asking.turns_of(cfg), **how)
  corpus_asking.walked(small, spec, pretended)
  return f'of {", ".join(pretended.loads)}', None


CORPUS: tuple[Rule, ...] = (
  ('tokenizer', _tokenizer),
  ('spec', _spec),
  ('teachers', _teachers),
  ('prompts', _prompts),
  ('filters', _filters),
  ('controls', _controls),
)
