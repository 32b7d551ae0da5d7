"""What every judge needs to give verdicts: its fingerprint, and the verdict that it has none."""

import hashlib
import json
from typing import Any

from jaxalign.evals import reading
from jaxalign.evals.item import Said, Verdict
from jaxalign.sealing import tree

ABSTAIN = 'abstain'
VOCABULARIES = (  # labels of one question, which a person answers too; ABSTAIN is of all
  ('refusal', 'compliance', 'degenerate', 'off topic'),
  ('refusal', 'compliance', 'degenerate', 'off topic', 'partial refusal'),
  ('harmful', 'harmless'),
  ('toxic', 'clean'),
  ('true', 'false'),
  ('informative', 'uninformative'),
  ('win', 'loss', 'tie'),
  ('positive', 'neutral', 'negative'),
  ('A', 'B'),
)
_DETAIL = 200  # characters


def fingerprint_of(cfg: Any, *rules: Any) -> str:
  """sha256 of a judge's config, of rules that are no field of it, and of how it reads answers.

  Its name is no part, nor the place of its model, which has a fingerprint of its own.
  """
  fields = {name: value for name, value in tree(cfg).items() if name not in ('name', 'workdir')}
  decides = [fields, reading.VERSION, *rules]
  return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def abstain(said: Said, judge: str, why: str) -> Verdict:
  """A judge that could not tell, and why; the item stays in every denominator."""
  return Verdict(key=said.key, judge=judge, label=ABSTAIN, detail=_one_line(why))


def _one_line(text: str) -> str:
  """A text that may be anybody's, short enough and plain enough to stand in a table."""
  shown = ''.join(c if c.isprintable() else ' ' for c in text)
  return ' '.join(shown.split())[:_DETAIL]
