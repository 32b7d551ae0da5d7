"""What refuses a comparison before a number is there: two that were asked or judged otherwise.

A difference between models that were not asked the same is no difference of the models.
"""

import json
from collections.abc import Mapping, Sequence

from jaxalign.config import UserError
from jaxalign.evals.evaluated import AskedSuite, Evaluated
from jaxalign.pictures import label

_SAME = 'ask both in the same way'
_LONG = 80  # characters of an example


def refuse_unlike(first: Evaluated, other: Evaluated) -> None:
  names = f'{label(first.label)} and {label(other.label)}'
  refuse_suites(first, other, dict(version='versions', source='source files'))
  for judge, fingerprint in first.about.judges.items():
    if other.about.judges.get(judge, fingerprint) != fingerprint:
      raise UserError(
        f'{names} were judged by two judges named {judge} (fingerprints {fingerprint[:8]} and '
        f'{other.about.judges[judge][:8]}): judge both by one, jaxalign judge'
      )
  for what in ('primaries', 'margins'):
    ours, theirs = ({str(one) for one in getattr(run.about, what)} for run in (first, other))
    if ours != theirs:
      raise UserError(
        f'{names} declare different {what} ({_only(ours, theirs)} and {_only(theirs, ours)}): '
        'what counts is fixed before the runs, once'
      )


def _only(ours, theirs):
  return label(', '.join(sorted(ours - theirs)) or 'none', 2 * _LONG)


def refuse_suites(first: Evaluated, other: Evaluated, parts: Mapping[str, str]) -> None:
  """parts: {field of a suite: what it is called}; how it was answered is compared, too."""
  names = f'{label(first.label)} and {label(other.label)}'
  suites = {suite.name: suite for suite in other.about.suites}
  for suite in first.about.suites:
    if suite.name in suites:
      _refuse_suite(names, suite, suites[suite.name], parts)


def _refuse_suite(
  names: str, ours: AskedSuite, theirs: AskedSuite, parts: Mapping[str, str]
) -> None:
  for what, said in parts.items():
    pair = [str(getattr(suite, what))[:16] or 'none' for suite in (ours, theirs)]
    if getattr(ours, what) != getattr(theirs, what):
      raise UserError(
        f'{names} were asked {ours.name} with other {said} ({pair[0]} and {pair[1]}): {_SAME}'
      )
  decode = [json.loads(json.dumps(dict(suite.decode))) for suite in (ours, theirs)]
  unlike = sorted(k for k in {*decode[0], *decode[1]} if decode[0].get(k) != decode[1].get(k))
  if unlike:
    said = ', '.join(f'{k} {decode[0].get(k)} and {decode[1].get(k)}' for k in unlike)
    raise UserError(f'{names} answered {ours.name} by other decode parameters ({said}): {_SAME}')


def refuse_prompts(first: Evaluated, other: Evaluated) -> None:
  """What both were asked was put to them in the same words, where logs say in which."""
  shared = [key for key in first.prompts if key in other.prompts]
  unlike = [key for key in shared if first.prompts[key] != other.prompts[key]]
  if unlike:
    suite, unit = unlike[0]
    text = first.items[unit].question if unit in first.items else unit[:12]
    raise UserError(
      f'{label(first.label)} and {label(other.label)} were asked {label(suite)} with other '
      f'templates: {len(unlike)} of {len(shared)} prompts differ ({label(text, _LONG)!r} is one): '
      f'{_SAME}'
    )


def bases(runs: Sequence[Evaluated], unpaired_base: bool) -> tuple[str, tuple[str, ...]]:
  """('same' or 'other', the runs of which nobody knows which weights training began with)."""
  unknown = tuple(run.label for run in runs if not run.about.base)
  known = [run for run in runs if run.about.base]
  for run in known[1:]:
    if run.about.base == known[0].about.base:
      continue
    if not unpaired_base:
      raise UserError(
        f'{label(known[0].label)} and {label(run.label)} began with other weights: compare models '
        'of one base, or say --unpaired_base, and the difference is one of bases too'
      )
    return 'other', unknown
  return 'same', unknown
