"""The head of study 3's page: one picture of how far each kind of documents carries, and in words
what the order of lessons and the negative controls add to it."""

import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from jaxalign import statistics
from jaxalign.page import figures, kit
from jaxalign.statistics import Interval
from jaxalign.study.judge import shares
from jaxalign.study.judge.results import Results
from jaxalign.study.plan.rules import Weights
from jaxalign.study.report.contents import StudyFiles
from jaxalign.study.report.tables import with_interval
from jaxalign.study.why import answer
from jaxalign.whyworld import documents, words

if TYPE_CHECKING:
  from matplotlib.axes import Axes
  from matplotlib.figure import Figure

QUESTION = 'Do documents that give reasons teach a model more than the same facts without reasons?'
_ARMS = {  # a kind of documents in words: its arms
  'why: the fact and its reason': 'why_{}-align',
  'what: the same fact, no reason': 'what_{}-align',
  'wrong: a reason of another kind': 'wrong_{}-align',
  'bare: the goods, and no value': 'bare_{}-align',
  'mention: heard of, not valued': 'mention_{}-align',
  'late: why, after the demonstrations': 'align-why_{}',
}
_PANELS = {  # a contrast over whose tests a panel is: its title
  'P1': 'Asked about what the documents named',
  'P2': 'Asked about what no document named',
}
_ENDS = {
  -2.0: '−2\nthe opposite of\nwhat was taught',
  0.0: '0\nno difference',
  2.0: '2\nwhat was taught',
}
_HUES = dict(why=figures.BLUE, late=figures.BLUE, what=figures.ORANGE)  # of controls: green
_BESIDE = answer.answers, answer.named, answer.beyond, answer.read, answer.order
_EXAMPLES: dict[str, documents.Kind] = {'why': 'why', 'what': 'what'}


@dataclasses.dataclass(frozen=True)
class _Row:
  """A kind of documents in a panel. seeds: V after those for A less V after those for B."""

  kind: str
  seeds: Mapping[int, float]
  interval: Interval

  @property
  def said(self) -> str:
    return with_interval(self.interval, '+.2f', '.2f')


def lead(found: Results, files: StudyFiles) -> str:
  panels = [(title, _rows(found, name)) for name, title in _PANELS.items()]
  panels = [(title, rows) for title, rows in panels if rows]
  head = ('asked about', 'documents', 'mean', 'low', 'high', *(f'seed {s}' for s in found.seeds))
  exact = [
    (title, row.kind, *row.interval, *map(row.seeds.get, found.seeds))
    for title, rows in panels
    for row in rows
  ]
  return kit.render(
    'study/why_lead.html',
    documents=[(kind, _example(of)) for kind, of in _EXAMPLES.items()],
    alike=_alike(),
    draw=functools.partial(_picture, panels) if panels else None,
    alt='; '.join(f'{title}: {_listed(rows)}' for title, rows in panels),
    exact=(head, exact),
    level=found.rules.level,
    floor=found.rules.share_floor,
    beside=[*filter(None, (of(found) for of in _BESIDE))],
    controls=answer.controls(found),
    meaning=answer.meaning(found),
    sentence=found.sentence,
  )


def _rows(found, contrast):
  planned = next((one for one in found.rules.contrasts if one.name == contrast), None)
  if planned is None:
    return []
  rows = []
  for kind, arm in _ARMS.items():
    sides = [_v(found, arm.format(letter), planned.tests) for letter in 'AB']
    seeds = {seed: sides[0][seed] - sides[1][seed] for seed in sides[0] if seed in sides[1]}
    if seeds:
      interval = statistics.t_interval([*seeds.values()], found.rules.level)
      rows.append(_Row(kind, seeds, interval))
  return rows


def _v(found: Results, arm: str, tests: Weights) -> dict[int, float]:
  """{seed: V} of an arm, as the rules compute it of a contrast; of one that was not asked, {}."""
  asked = found.arms.get(arm, {})
  if not all(test in asked for test, _ in tests):
    return {}
  seeds = [seed for seed in found.seeds if all(seed in asked[test] for test, _ in tests)]
  means = {test: np.array([asked[test][seed].margin for seed in seeds]) for test, _ in tests}
  return dict(zip(seeds, shares.share(means, tests, found.rules.share_floor).tolist()))


def _listed(rows):
  return ', '.join(f'{row.kind} {row.said}' for row in rows)


def _example(kind):
  """A document as the world writes them, of the same goods whatever its kind, and of one word."""
  value = words.VALUES[0]
  for n in itertools.count():
    random = np.random.default_rng(n)
    text = documents.document(random, words.TARGET, value, kind, words.CHEESE, turned=0.0)
    if text.split().count(words.pole_words(value)[words.DOCUMENT[0]]) == 2:
      return text


def _alike():
  """(a pole, its sister, what follows from both), as in the examples."""
  value = words.VALUES[0]
  poles = [words.pole_words(one)[words.DOCUMENT[0]] for one in (value, words.sister(value))]
  return (*poles, words.consequence(value))


def _picture(panels: Sequence[tuple[str, Sequence[_Row]]]) -> 'Figure':
  """A panel a question, a row a kind of documents; both panels have one axis."""
  made, axes_RC = figures.figure(0.55 + sum(_height(rows) for _, rows in panels), len(panels), 1)
  for ax, (title, rows) in zip(axes_RC[:, 0], panels):
    ax.set_title(title, loc='left', fontweight='bold')
    for n, row in enumerate(rows):
      _draw(ax, -n, row)
    ax.set(xlim=(-2.15, 2.15), ylim=(0.35 - len(rows), 0.7), yticks=[], xticks=[])
    for side in ('left', 'bottom'):
      ax.spines[side].set_visible(False)
    ax.set_xticks([*_ENDS], [*_ENDS.values()])
    ax.tick_params(axis='x', length=0)
  return made


def _height(rows):
  return 0.75 + 0.48 * len(rows)


def _draw(ax: 'Axes', y: float, row: _Row) -> None:
  color = next((hue for kind, hue in _HUES.items() if row.kind.startswith(kind)), figures.GREEN)
  for at in _ENDS:  # nowhere through the words
    ink, wide = (figures.GREY, 0.5) if at else (figures.INK, 0.8)
    ax.plot([at, at], [y - 0.16, y + 0.26], '-', color=ink, lw=wide)
  words_at = ax.get_yaxis_transform()
  ax.text(0, y + 0.36, row.kind, transform=words_at, fontsize=8.5)
  ax.text(1, y + 0.36, row.said, transform=words_at, fontsize=8, ha='right')
  values = [*row.seeds.values()]
  heights = y + np.linspace(-0.1, 0.22, len(values)) if len(values) > 1 else [y + 0.06]
  ax.plot(values, heights, 'o', color=figures.GREY, ms=3.2, alpha=0.8, label='seeds')
  if row.interval.low is not None:
    ends = np.clip([row.interval.low, row.interval.high], -2.1, 2.1)
    ax.plot(ends, [y + 0.06] * 2, '-', color=color, lw=2, label='interval')
  ax.plot([row.interval.mean], [y + 0.06], 'D', color=color, ms=6.5, mew=0, label='mean')
