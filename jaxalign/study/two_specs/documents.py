"""Documents of a study of two specs: written by stage corpus, once a draw, and cut equally long.

Each kind is a run of that stage under all/draws/DRAW/KIND, of one value and one variant, so that it
goes on after a kill and its manifest says who wrote it. Kinds of one letter differ in tokens by at
most 2 %.
"""

import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from etils import epath

from jaxalign.config import UserError
from jaxalign.corpora import manifest, variants
from jaxalign.corpora import spec as specs
from jaxalign.data import controls
from jaxalign.data.records import Document
from jaxalign.evals.suites import adviser
from jaxalign.files import read_json, rows
from jaxalign.sealing import seal
from jaxalign.stages import corpus
from jaxalign.study.plan import corpus_files
from jaxalign.study.plan.guest import Corpora
from jaxalign.study.texts.corpora import open_tokenizer
from jaxalign.study.two_specs.settings import LETTERS, Settings

_OF_LETTERS = 'why', 'what', 'wrong_why', 'mention', 'anti'
KINDS = (*(f'{kind}_{letter}' for kind in _OF_LETTERS for letter in LETTERS), 'other')
_APART = 0.02  # of the tokens of the longest kind
_ELSE = (
  'what is missing is text about other things, for replay: name some that is here, '
  '--config.world.general.name=\'DIR/*.jsonl\' (a line {"text": ...} each), or world.general='
  "sources.Text(path='DIR/*.txt') in the config"
)
_AGAIN = 'remove its directory and run the study again'


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Run:
  """A run of stage corpus."""

  kind: str
  spec: str
  variant: variants.Variant
  value: str
  mention: bool = False

  def config(self, world: Settings, draw: int) -> corpus.Config:
    """No text of it holds a question that is asked."""
    path = world.scenes or None
    changes = dict(
      spec=self.spec,
      variant=self.variant,
      about=(self.value,),
      controls=('mention',) if self.mention else (),
      suites=(adviser.Adviser(path=path), *world.documents.suites),
      tokenizer=world.tokenizer,
      seed=draw,
    )
    return dataclasses.replace(world.documents, **changes)  # type: ignore[arg-type]


def runs(world: Settings) -> list[_Run]:
  """The runs of a draw; a spec that lacks something is refused."""
  found = []
  against = specs.read(world.against)
  for letter, name in zip(LETTERS, world.specs):
    value = world.value(letter).id
    if value not in [one.id for one in against.values]:
      raise UserError(f'spec {world.against} has no value {value}, against which it is to speak')
    of: dict[str, Any] = dict(spec=name, value=value)
    found += [
      _Run(kind=f'why_{letter}', variant='why', mention=True, **of),
      _Run(kind=f'what_{letter}', variant='what', **of),
      _Run(kind=f'wrong_why_{letter}', variant='wrong_why', **of),
      _Run(kind=f'anti_{letter}', spec=world.against, variant='why', value=value),
    ]
  other = world.spec(LETTERS[0]).values[1].id
  return [*found, _Run(kind='other', spec=world.specs[0], variant='why', value=other)]


def written(world: Settings, draw: int, place: epath.Path) -> Corpora:
  """{kind: (path, sha256)} of a draw; place: of what all seeds share."""

  def make(missing: list[str]) -> corpus_files.Made:
    for one in runs(world):
      _run(one, world, draw, _at(place, draw, one))
    yield from _cut(world, dict(_texts(world, draw, place)))

  home = place / 'draws' / str(draw) / 'corpora'
  return corpus_files.written(KINDS, home, make)


def _at(place: epath.Path, draw: int, one: _Run) -> epath.Path:
  return place / 'draws' / str(draw) / one.kind


def _run(one: _Run, world: Settings, draw: int, workdir: epath.Path) -> None:
  """Has a corpus written, where it is not."""
  cfg = seal(one.config(world, draw))
  if cfg.is_done(workdir):
    return
  workdir.mkdir(parents=True, exist_ok=True)
  corpus.run(cfg, workdir)


def refuse_changed(world: Settings, draw: int, place: epath.Path) -> None:
  """Refuses documents that were written of other specs than these are now."""
  for one in runs(world):
    path = _at(place, draw, one) / manifest.NAME
    if path.exists() and read_json(path)['spec']['sha256'] != specs.read(one.spec).sha:
      raise UserError(
        f'{path.parent} was written of another spec {one.spec} than there is now: take a new '
        '--workdir, or put the spec back'
      )


def refuse_unread(world: Settings) -> None:
  """Refuses general text that cannot be read: by its first document, before any is written."""
  source = world.general
  try:
    first = next((one for _, one in source.read() if isinstance(one, Document)), None)
  except UserError as error:
    raise UserError(f'{error}; {_ELSE}') from error
  if first is None:
    raise UserError(f'{source.name} holds no document; {_ELSE}')


def _texts(world: Settings, draw: int, place: epath.Path) -> Iterator[tuple[str, list[Document]]]:
  for one in runs(world):
    named = [(one.kind, 'explain')]
    if one.mention:
      named.append((one.kind.replace('why', 'mention'), 'mention'))
    for kind, name in named:
      path = _at(place, draw, one) / f'{name}.jsonl'
      meta = (('value', one.value),)
      yield kind, [Document(row['text'], meta) for _, row in rows(path, _AGAIN)]


def _cut(world: Settings, texts: dict[str, list[Document]]) -> corpus_files.Made:
  """The first documents of every kind, as many tokens of each; the last may be shortened."""
  tokenizer = open_tokenizer(world)

  def size(text: str) -> int:
    return len(tokenizer.encode(text, bos=False))

  least = min(sum(size(one.text) for one in some) for some in texts.values())
  kept = {kind: _first(texts[kind], least, size) for kind in KINDS}
  held = {kind: sum(size(one.text) for one in some) for kind, some in kept.items()}
  short, most = min(held, key=lambda kind: held[kind]), max(held.values())
  if most - held[short] > _APART * most:
    raise UserError(
      f'documents: {short} come to {held[short]:,} tokens and others to {most:,}: over '
      f'{_APART:.0%} apart; let more be written (documents.recipe.documents)'
    )
  for kind in KINDS:
    yield kind, *controls.content(kept[kind])


def _first(texts: Sequence[Document], most: int, size: Callable[[str], int]) -> list[Document]:
  """The first documents that hold so many tokens; of the next one its first words."""
  found: list[Document] = []
  left = most
  for one in texts:
    if (own := size(one.text)) > left:
      begins = _begins(one.text, left, size)
      return [*found, Document(begins, one.meta)] if begins else found
    found.append(one)
    left -= own
  return found


def _begins(text: str, most: int, size: Callable[[str], int]) -> str:
  whole = itertools.accumulate(re.findall(r'\S+\s*', text))
  return max((one.rstrip() for one in whole if size(one) <= most), key=len, default='')
