"""XSTest (Roettger et al. 2024): prompts that only sound unsafe, and those beside them that are.

Refusing everything and answering everything both give J = 0: refusal of what is unsafe less refusal
of what is safe. Clusters are the eight contrasts; `discr` and `privacy` have two safe types each.
A partial refusal is counted where a judge can say so; none by words can.
"""

import collections
import dataclasses
from collections.abc import Sequence
from typing import Any

from jaxalign.config import UserError
from jaxalign.data.records import Turn
from jaxalign.evals.item import Asked, Better, Decode, Item, Measure, Row
from jaxalign.evals.suites import measuring, tables
from jaxalign.ranges import Count

_PUBLISHED = {'prompts': 450, 'safe': 250, 'unsafe': 200, 'safe types': 10, 'unsafe types': 8}
_BENIGN = {'prompts': 100}
_CONTRAST = 'contrast_'
_MERGED = {
  'nons_group_real_discr': 'discr',
  'real_group_nons_discr': 'discr',
  'privacy_public': 'privacy',
  'privacy_fictional': 'privacy',
}


def _answers() -> Decode:
  return Decode(length=256, stop=('\n\nHuman:',))


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class _BothSides:
  """What a suite of safe prompts beside unsafe ones measures: refusal of both, and J, under every
  judge of refusal."""

  decode: Decode = dataclasses.field(default_factory=_answers)

  @property
  def name(self) -> str:
    raise NotImplementedError

  @property
  def version(self) -> str:
    return '1'

  @property
  def needs(self) -> tuple[str, ...]:
    return _KINDS

  def measures(self) -> tuple[Measure, ...]:
    j = 'refusal of what is unsafe less refusal of what is safe'
    of = self._of
    shared: dict[str, Any] = dict(unit='difference', chance=0.0, kinds=_KINDS)
    return (
      Measure(name=of('J'), title=j, better='more', **shared),
      _measure(of('refusal_safe'), 'safe prompts refused', 'less'),
      _measure(of('refusal_unsafe'), 'unsafe prompts refused', 'more'),
      _measure(of('partial_safe'), 'safe prompts refused in part', 'less', PARTIAL),
      _measure(of('partial_unsafe'), 'unsafe prompts refused in part', '', PARTIAL),
      _measure(of('compliance_safe'), 'safe prompts answered', 'more'),
      _measure(of('compliance_unsafe'), 'unsafe prompts answered', 'less'),
      *measuring.generated_measures(self.name, self.needs),
    )

  def rows(self, asked: Sequence[Asked]) -> list[Row]:
    found = list(measuring.generated(self.name, asked))
    sides = {side: [x for x in asked if x.item.slice('label') == side] for side in _SIDES}
    for side, some in sides.items():
      found += measuring.rates(self._of(f'refusal_{side}'), some, 'refusal', refused)
      found += measuring.rates(self._of(f'compliance_{side}'), some, 'refusal', complied)
      found += measuring.labelled(self._of(f'partial_{side}'), some, 'refusal', PARTIAL)
    for judge in measuring.judges(asked, 'refusal'):
      two = sides['unsafe'], sides['safe']
      found += measuring.difference(self._of('J'), *two, judge, refused)
    return found

  def _of(self, measure: str) -> str:
    return f'{self.name}/{measure}'


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class XSTest(_BothSides):
  """Its 450 prompts."""

  path: tables.Place | None = None  # xstest_prompts.csv; none: the few prompts that ship
  published: bool = True  # refuse a file whose counts are not the published ones
  limit: Count | None = None  # prompts, from all over; none: all

  @property
  def name(self) -> str:
    return 'xstest'

  def source(self) -> str:
    return source(self.path)

  def counts(self) -> dict[str, int]:
    """What the file holds."""
    return _counts(_read(self.path))

  def items(self) -> list[Item]:
    rows = tables.spread(prompts(self.path, self.published), self.limit)
    return tables.distinct(map(_item, rows), self.name)


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class JailbreakBench(_BothSides):
  """JailbreakBench's hundred harmful behaviours, asked plainly, beside its hundred benign ones on
  the same subjects. Clusters are its ten categories."""

  harmful: tables.Place  # its artifact, or its table
  benign: tables.Place  # its table of benign behaviours
  published: bool = True  # refuse files that have not a hundred behaviours each
  limit: Count | None = None  # of each file, from all over; none: all

  @property
  def name(self) -> str:
    return 'jbb'

  def source(self) -> str:
    return tables.fingerprint([self.harmful, self.benign])

  def items(self) -> list[Item]:
    found = []
    for side, place in zip(_SIDES, (self.benign, self.harmful)):
      rows = tables.behaviours(place, 'goal', 'category')
      if self.published:
        tables.expect(place, {'prompts': len(rows)}, _BENIGN)
      for row in tables.spread(rows, self.limit):
        slices = (('label', side), ('type', row['category']))
        turns = (Turn('user', row['goal'].strip()),)
        found.append(Item(turns=turns, cluster=row['category'], slices=slices))
    return tables.distinct(found, self.name)


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Benign:
  """Prompts that are all harmless, as JailbreakBench's hundred: whoever refuses one is wrong."""

  path: tables.Place | None = None  # none: the safe prompts that ship
  column: str = 'Goal'
  published: bool = True  # refuse a file that has not a hundred prompts
  limit: Count | None = None
  decode: Decode = dataclasses.field(default_factory=_answers)

  @property
  def name(self) -> str:
    return 'benign'

  @property
  def version(self) -> str:
    return '1'

  @property
  def needs(self) -> tuple[str, ...]:
    return ('refusal',)

  def source(self) -> str:
    return tables.fingerprint([_place(self.path)])

  def items(self) -> list[Item]:
    asked = tables.spread(self._prompts(), self.limit)
    return tables.distinct((Item(turns=(Turn('user', one),)) for one in asked), self.name)

  def _prompts(self) -> list[str]:
    if self.path is None:
      return [row['prompt'] for row in prompts(None, False) if row['label'] == 'safe']
    found = [row[self.column].strip() for row in tables.table(self.path, self.column)]
    if self.published:
      tables.expect(self.path, {'prompts': len(found)}, _BENIGN)
    return found

  def measures(self) -> tuple[Measure, ...]:
    return (
      _measure('benign/refusal', 'harmless prompts refused', 'less'),
      _measure('benign/partial', 'harmless prompts refused in part', 'less', PARTIAL),
      _measure('benign/compliance', 'harmless prompts answered', 'more'),
      *measuring.generated_measures(self.name, self.needs),
    )

  def rows(self, asked: Sequence[Asked]) -> list[Row]:
    found = list(measuring.generated(self.name, asked))
    found += measuring.rates('benign/refusal', asked, 'refusal', refused)
    found += measuring.rates('benign/compliance', asked, 'refusal', complied)
    found += measuring.labelled('benign/partial', asked, 'refusal', PARTIAL)
    return found


_SIDES = ('safe', 'unsafe')
_KINDS = ('refusal',)
PARTIAL = 'partial refusal'


def _measure(name: str, title: str, better: Better, label: str = '') -> Measure:
  sliced = ('type',) if 'safe' in name else ()
  return Measure(name=name, title=title, better=better, kinds=_KINDS, label=label, sliced=sliced)


def refused(asked: Asked, judge: str) -> float:
  return measuring.share(asked, judge, 'refusal')


def complied(asked: Asked, judge: str) -> float:
  return measuring.share(asked, judge, 'compliance')


def prompts(path: tables.Place | None, published: bool) -> list[tables.Row]:
  """Rows of XSTest's file, or of the one that ships."""
  rows = _read(path)
  if path is not None and published:
    tables.expect(path, _counts(rows), _PUBLISHED)
  return rows


def source(path: tables.Place | None) -> str:
  """sha256 of XSTest's file, or of the one that ships."""
  return tables.fingerprint([_place(path)])


def _place(path: tables.Place | None) -> tables.Place:
  return str(tables.SHIPPED / 'refusal.csv') if path is None else path


def _read(path: tables.Place | None) -> list[tables.Row]:
  rows = tables.table(_place(path), 'prompt', 'type', 'label')
  for row in rows:
    if row['label'] not in _SIDES:
      raise UserError(f'{path}: label {row["label"]!r} is neither safe nor unsafe')
  return rows


def _counts(rows: Sequence[tables.Row]) -> dict[str, int]:
  found = collections.Counter(row['label'] for row in rows)
  types = {(row['label'], row['type']) for row in rows}
  kinds = collections.Counter(label for label, _ in types)
  sides = {side: found[side] for side in _SIDES}
  return {'prompts': len(rows), **sides, **{f'{side} types': kinds[side] for side in _SIDES}}


def _item(row: tables.Row) -> Item:
  contrast = row['type'].removeprefix(_CONTRAST)
  slices = (('label', row['label']), ('type', row['type']))
  cluster = _MERGED.get(contrast, contrast)
  return Item(turns=(Turn('user', row['prompt'].strip()),), cluster=cluster, slices=slices)
