"""Sheets that a person labels: CSV that goes through a spreadsheet and comes back.

A text that a model wrote is never run by the spreadsheet that shows it, nor cut by it.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from jaxalign import files
from jaxalign.config import UserError
from jaxalign.files import Place

_COLUMNS = ('id', 'suite', 'question', 'answer', 'label')
UNCLEAR = 'unclear'  # what a person may say beside the judges' labels
_CELL = 32_000  # characters; spreadsheets cut what is longer
_FORMULA = ('=', '+', '-', '@', '\t', '\r')  # what spreadsheets run


def cell(text: str) -> str:
  """A text that no spreadsheet runs, cuts or cannot hold."""
  text = ''.join(c if c.isprintable() or c in '\n\t' else ' ' for c in text)
  if len(text) > _CELL:
    text = f'{text[:_CELL]} [and {len(text) - _CELL} characters more]'
  return f"'{text}" if text.lstrip(' \n').startswith(_FORMULA) else text


def sheet(rows: Sequence[Mapping[str, str]]) -> str:
  """Rows as CSV, for a person to label."""
  out = io.StringIO(newline='')
  writer = csv.DictWriter(out, _COLUMNS)
  writer.writeheader()
  writer.writerows(rows)
  return out.getvalue()


def labels_of(path: Place, key: Mapping[str, Any]) -> dict[str, str]:
  """{id: label} of a filled sheet, as a spreadsheet may have saved it; all that were drawn."""
  try:
    text = files.content(path).decode('utf-8-sig')
  except UnicodeDecodeError as error:
    raise UserError(f'{path} is no UTF-8: save it as CSV UTF-8') from error
  head = text.partition('\n')[0]
  between = max(',;\t', key=head.count)
  reader = csv.DictReader(io.StringIO(text, newline=''), delimiter=between)
  if not {'id', 'label'} <= set(reader.fieldnames or ()):
    raise UserError(f'{path}: its first line names no columns id and label: keep it as it was')
  drawn = [row['id'] for row in key['rows']]
  known, allowed = {_bare(id): id for id in drawn}, {*key['labels'], UNCLEAR}
  found: dict[str, str] = {}
  for row in reader:
    if not (row['id'] or row['label']):  # an empty line, which spreadsheets add
      continue
    id, label = known.get(_bare(row['id'] or '')), ' '.join((row['label'] or '').split()).lower()
    if id is None or id in found:
      raise UserError(
        f'{path}: id {row["id"]!r:.40} is {"twice there" if id else "not of the key"}'
      )
    if label and label not in allowed:
      named = ', '.join(sorted(allowed))
      raise UserError(f'{path}: id {id} has the label {label!r:.60}: take one of {named}')
    if label:
      found[id] = label
  if missing := [id for id in drawn if id not in found]:
    raise UserError(
      f'{path}: {len(missing)} of {len(drawn)} have no label (id {", ".join(missing[:5])}): a part '
      f'that is chosen by its ease misleads; where you cannot tell, write {UNCLEAR}'
    )
  return found


def _bare(id: str) -> str:
  """An id as spreadsheets may give it back: without the zeros in front."""
  return id.strip().lstrip('0') or '0'
