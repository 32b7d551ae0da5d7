"""What a comparison comes to in words: what all rests on, what was found, what was kept."""

from collections.abc import Iterator

from jaxalign.pictures import label
from jaxalign.study.answers import guards
from jaxalign.study.answers.compared import (
  ComparedAnswers,
  ComparedMeasure,
  Conclusion,
  Difference,
  Headline,
)
from jaxalign.study.answers.families import Family
from jaxalign.study.answers.pairs import Pairing, shown_key

_OTHER = 'under another judge, '
_UNSCORED = ', unscored'  # how notes on a log end that tell of samples without a number


def says(pairing: Pairing, family: Family) -> Iterator[str]:
  """What all numbers rest on, a sentence each."""
  first, *others = pairing.arms
  yield from _of_runs(pairing)
  names = ', '.join(label(arm.label) for arm in pairing.arms)
  yield from _of_one_model(pairing)
  if pairing.unknown_bases:
    unknown = ', '.join(label(name) for name in pairing.unknown_bases)
    yield (
      f'Nobody knows which weights {unknown} began with: if they were not those of the others, '
      'differences are of those too.'
    )
  if pairing.bases == 'other':
    yield f'{names} began with other weights (--unpaired_base): differences are of those too.'
  for run in (run for arm in pairing.arms for run in arm.runs):
    for what, many in run.about.notes.items():
      if what.endswith(_UNSCORED):
        yield f'{label(run.label)}: {label(what)}: {label(many)}, left out.'
  yield from _of_families(pairing, family)


def _of_one_model(pairing: Pairing) -> Iterator[str]:
  """Weights that are held against themselves, or given for several runs."""
  marks: dict[str, list[str]] = {}
  for arm in pairing.arms:
    for run in arm.runs:
      if run.about.fingerprint:
        marks.setdefault(run.about.fingerprint, []).append(run.label)
  for names in marks.values():
    if len(names) > 1:
      several = ', '.join(map(label, names))
      yield f'{several} are one model by its fingerprint: no weight of theirs differs.'


def _of_runs(pairing: Pairing) -> Iterator[str]:
  first = pairing.arms[0]
  runs = len(first.runs)
  if runs == 1:
    yield 'One run an arm: inference is over prompts, not over training runs.'
    return
  yield (
    f'{runs} training runs an arm: intervals are over runs and prompts, the interval over runs '
    'alone stands beside.'
  )
  if any(run.about.seed is None for run in first.runs):
    yield 'Seeds of training are not known: runs are paired in the order given.'


def _of_families(pairing: Pairing, family: Family) -> Iterator[str]:
  declared = pairing.arms[0].runs[0].about.primaries
  many = len(pairing.arms) - 1
  each = f', of each of {many} models' if many > 1 else ''
  if not declared:
    yield (
      'No primary measure was declared: Holm corrects over all measures but guards, '
      f'{len(family.tested)} of them{each}.'
    )
  elif family.tested:
    names = ', '.join(shown_key(*key) for key in family.tested)
    yield f'Holm corrects over what was declared: {names}{each}.'
  if family.sensitivity:
    names = ', '.join(shown_key(*key) for key in family.sensitivity)
    yield f'Under other judges, to see what hangs on the judge, and in no family: {names}.'
  measured = {rows.measure.name for rows in pairing.rows}
  if lacking := [name for name in declared if name not in measured]:
    yield f'Declared as primary, but not measured of all: {", ".join(lacking)}.'
  margins = [one.measure for one in pairing.arms[0].runs[0].about.margins]
  if lacking := [name for name in margins if name not in measured]:
    yield f'To be kept within a margin, but not measured of all: {", ".join(lacking)}.'


def conclusions(found: ComparedAnswers) -> Iterator[Conclusion]:
  for n, model in enumerate(found.models[1:]):
    held = [(one, one.differences[n]) for one in found.measures]
    main = [(one, d) for one, d in held if shown_key(one.name, one.judge) in found.family]
    others = [(one, d) for one, d in held if one.sensitivity and one.name in found.primaries]
    cautions = tuple(guards.cautions(found, n))
    said = [_sentence(one, d) for one, d in main or held]
    said += [_OTHER + _sentence(one, d) for one, d in others]
    yield Conclusion(
      arm=model.arm,
      headline=_headline(main or held, cautions),
      found=tuple(said),
      kept=tuple(
        (_OTHER if one.sensitivity else '') + _kept(one, d)
        for one, d in sorted(held, key=lambda pair: pair[0].sensitivity)
        if d.margin is not None
      ),
      cautions=cautions,
    )


def _headline(
  main: list[tuple[ComparedMeasure, Difference]], cautions: tuple[str, ...]
) -> Headline:
  outcomes = {difference.outcome for _, difference in main}
  if 'better' in outcomes:
    return 'mixed' if 'worse' in outcomes or cautions else 'better'
  if 'worse' in outcomes:
    return 'worse'
  return 'no difference found'


def _sentence(one: ComparedMeasure, difference: Difference) -> str:
  p = difference.p if difference.adjusted is None else difference.adjusted
  why = 'one cluster' if one.clusters == 1 else 'nothing spreads'
  end = _between(difference.low, difference.high) or f' (no interval: {why})'
  end += '' if p is None else f', p = {p:.2g}'
  said = f'{shown_key(one.name, one.judge)} {difference.mean:+.3g}{end}'
  if difference.outcome == 'not found':
    return f'no difference found: {said}; {_worth(difference)}'
  if difference.outcome in ('same', 'not worse'):
    return f'{difference.outcome} within {difference.margin:g}: {said}; {_worth(difference)}'
  return f'{difference.outcome}: {said}'


def _worth(difference: Difference) -> str:
  """What a null is worth."""
  if difference.floor is None:
    return 'how small a difference would be found is not known'
  return f'{difference.floor:.2g} would be found in 4 studies of 5 (80 % power)'


def _kept(one: ComparedMeasure, difference: Difference) -> str:
  """Whether no more was lost than the margin that was declared."""
  if one.better:
    p, what = difference.p_not_worse, f'no loss beyond {difference.margin:g}'
  else:
    p, what = difference.p_same, f'the same within {difference.margin:g}'
  name = f'{shown_key(one.name, one.judge)} {difference.mean:+.3g}'
  if ends := _between(difference.margin_low, difference.margin_high):
    name += f', 90 % interval{ends}'
  name += '' if p is None else f', p = {p:.2g}'
  if p is not None and p <= 0.05:
    both = one.better and difference.p_same is not None and difference.p_same <= 0.05
    return f'{what}: {name}{"; the same to within it both ways" if both else ""}'
  if difference.power is not None and one.better:
    name += f'; models that are the same show it in {difference.power:.0%} of such studies'
  return f'not shown, {what}: {name}'


def _between(low: float | None, high: float | None) -> str:
  return '' if low is None or high is None else f' [{low:+.3g}, {high:+.3g}]'
