"""A judge by a reward model that the policy was not trained against.

The value is the model's score of the dialogue with the answer, in no unit; the label says how that
stands to the score of the item's own answer, where there is one. Scores of two reward models cannot
be compared, and a reward model prefers what its raters preferred: length, often.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from jaxalign.config import UserError
from jaxalign.data.records import Turn
from jaxalign.evals.item import Item, Said, Verdict
from jaxalign.evals.judges.verdicts import abstain, fingerprint_of
from jaxalign.evals.reading import as_read

_Dialogue = tuple[Turn, ...]  # which ends with an answer
_Score = Callable[[Sequence[_Dialogue]], np.ndarray]  # to a number each


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Reward:
  """A judge by the reward model of a workdir; whoever runs the evaluation loads it and opens the
  judge."""

  workdir: str
  name: str = 'gold'

  @property
  def kind(self) -> str:
    return 'reward'

  def opened(
    self, *, score: _Score, fingerprint: str, policy_judges: Mapping[str, str]
  ) -> '_Opened':
    """The judge. score and fingerprint: of the reward model, fingerprint as stages take it;
    policy_judges: {name: fingerprint} of those by which the policy was trained."""
    for other, mark in policy_judges.items():
      if mark == fingerprint:
        raise UserError(
          f'judge {self.name} ({self.workdir}) is {other}, by which the policy was trained '
          f'({mark[:12]}): the same reward model is no evidence; name one of other data'
        )
    return _Opened(self, score, fingerprint_of(self, fingerprint))


@dataclasses.dataclass(frozen=True, eq=False)
class _Opened:
  cfg: Reward
  score: _Score
  fingerprint: str

  @property
  def name(self) -> str:
    return self.cfg.name

  @property
  def kind(self) -> str:
    return self.cfg.kind

  def verdicts(self, said: Sequence[tuple[Item, Said]]) -> Sequence[Verdict]:
    texts = [item.prefill + as_read(item, one) for item, one in said]
    asked: dict[_Dialogue, float] = {}
    for (item, one), text in zip(said, texts):
      if not one.error and item.turns:
        asked |= {_dialogue(item, answer): 0.0 for answer in (text, *item.right[:1])}
    if asked:
      asked = dict(zip(asked, self._scores(list(asked))))
    return [self._verdict(item, one, text, asked) for (item, one), text in zip(said, texts)]

  def _scores(self, dialogues: list[_Dialogue]) -> list[float]:
    scores = np.asarray(self.score(dialogues), np.float64)
    if scores.shape != (len(dialogues),) or not np.isfinite(scores).all():
      raise UserError(
        f'judge {self.name} ({self.cfg.workdir}) gave a score that is not a finite number: look at '
        'its card.json, or load it in float32'
      )
    return scores.tolist()

  def _verdict(self, item: Item, said: Said, text: str, scores: dict[_Dialogue, float]) -> Verdict:
    if said.error:
      return abstain(said, self.fingerprint, f'not answered: {said.error}')
    if not item.turns:
      return abstain(said, self.fingerprint, 'a reward model reads dialogues, and this is none')
    value, label, detail = scores[_dialogue(item, text)], '', ''
    if item.right:
      chosen = scores[_dialogue(item, item.right[0])]
      label = 'win' if value > chosen else 'loss' if value < chosen else 'tie'
      detail = f'chosen {chosen:.4f}'
    return Verdict(key=said.key, judge=self.fingerprint, label=label, value=value, detail=detail)


def _dialogue(item: Item, answer: str) -> _Dialogue:
  """What the reward model reads: all that stands in the assistant's turn, its prefill too."""
  return (*item.turns, Turn('assistant', answer))
