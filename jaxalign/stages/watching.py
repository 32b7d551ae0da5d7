"""A small evaluation of the model that is being trained, whenever its stage evaluates: the curve of
what it says joins the metrics. Nothing is stored: what is asked is asked anew of other weights."""

import collections
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax

from jaxalign.config import UserError
from jaxalign.data import chat, dialogues
from jaxalign.data.text import Tokenizer
from jaxalign.evals import ask, store
from jaxalign.evals.item import Asked, Item, Row, Said, Suite
from jaxalign.models.decoder import Decoder
from jaxalign.ranges import Rows
from jaxalign.stages.contract import Evaluation, State

_Policy = Callable[[State], Decoder]  # of a state, the model that answers


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Watch:
  """What a model is asked while it trains: suites with a limit, and judges that need no weights."""

  suites: tuple[Any, ...]
  judges: tuple[Any, ...] = ()
  rows: Rows = 16  # answers that are written at once

  def check(self) -> None:
    if not self.suites:
      raise UserError('watch.suites: there is none, so nothing would be asked')
    for judge in self.judges:
      if hasattr(judge, 'opened'):
        raise UserError(
          f'watch.judges: {judge.name} needs weights or a server of its own: judge the checkpoints '
          'by stage evaluate, and take one by words here'
        )
    for suite in self.suites:
      if suite.needs and not any(judge.kind in suite.needs for judge in self.judges):
        raise UserError(
          f'watch.judges: {suite.name} needs one of kind {" or ".join(suite.needs)}: name one'
        )


class Watched:
  """The items of a Watch, read once, before any weight."""

  def __init__(self, cfg: Watch):
    self.cfg = cfg
    self.every = [(suite, suite.items()) for suite in cfg.suites]
    for suite, items in self.every:
      store.refuse_same_items(suite.name, items)
    self._measures = [measure for suite in cfg.suites for measure in suite.measures()]

  def scores(self, asker: ask.Asker) -> dict[str, float]:
    """{eval/SUITE/MEASURE: its mean}; with the judge's name behind, where several gave it."""
    from jaxalign.evals import summary  # scipy: slow to import, and needed here only

    rows = [row for suite, items in self.every for row in self._rows(asker, suite, items)]
    found = summary.means(self._measures, rows)
    often = collections.Counter(measure for measure, _ in found)
    return {
      f'eval/{measure}' + f'/{judge}' * (often[measure] > 1): mean
      for (measure, judge), mean in found.items()
    }

  def _rows(self, asker: ask.Asker, suite: Suite, items: Sequence[Item]) -> Sequence[Row]:
    asker.refuse(suite.name, items, suite.decode)
    draws = suite.decode.draws
    plan = [
      ask.Ask(item=item, draw=draw, key=f'{item.id}.{draw}')
      for item in items
      for draw in range(draws)
    ]
    said = dict(asker.said(plan, range(len(plan)), suite.decode))
    of = [tuple(said[n * draws + draw] for draw in range(draws)) for n in range(len(items))]
    return suite.rows(self._judged(suite, items, of))

  def _judged(
    self, suite: Suite, items: Sequence[Item], of: Sequence[tuple[Said, ...]]
  ) -> list[Asked]:
    texts = [(item, one) for item, own in zip(items, of) if not item.choices for one in own]
    serving = [judge for judge in self.cfg.judges if texts and judge.kind in suite.needs]
    told = {
      judge.name: {verdict.key: verdict for verdict in judge.verdicts(texts)} for judge in serving
    }
    return [
      Asked(
        item=item,
        said=own,
        verdicts={name: tuple(by[s.key] for s in own if s.key in by) for name, by in told.items()},
        kinds={judge.name: judge.kind for judge in serving},
        labels={judge.name: judge.labels for judge in serving if hasattr(judge, 'labels')},
      )
      for item, own in zip(items, of)
    ]


def ready(cfg: Watch | None) -> Watched | None:
  """What will be asked; None where nothing is."""
  return None if cfg is None else Watched(cfg)


def joined(
  judge: Evaluation | None,
  watched: Watched | None,
  every: int,
  policy: _Policy,
  tokenizer: Tokenizer,
  form: chat.ChatFormat | chat.Own,
) -> Evaluation | None:
  """The evaluation of a stage, and beside it what is watched. every: steps between two."""
  if watched is None:
    return judge

  own = dialogues.resolved(form, tokenizer)

  def scores(state: State) -> dict[str, float]:
    model = jax.tree.map(lambda w: w, policy(state))  # a new module, the same arrays
    model.tokenizer = tokenizer
    asker = ask.Native('the model', model, own, rows=watched.cfg.rows)
    return (judge.scores(state) if judge else {}) | watched.scores(asker)

  return Evaluation(every, scores, at_start=True)
