"""A judge of sentiment: VADER's compound of what was said, from -1 to 1."""

import dataclasses
import functools
import importlib.util
from collections.abc import Callable, Sequence

from jaxalign.config import UserError
from jaxalign.evals import vader
from jaxalign.evals.item import Item, Said, Verdict
from jaxalign.evals.judges.verdicts import abstain, fingerprint_of
from jaxalign.evals.reading import as_read

_POLE = 0.5  # as BOLD's authors cut it
_OTHERWISE = 'leave sentiment.Vader out of judges'


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Vader:
  """A judge of sentiment: positive, neutral, negative. It knows English words and no irony."""

  name: str = 'vader'

  def check(self) -> None:
    if importlib.util.find_spec('vaderSentiment') is None:
      raise UserError(f'judge {self.name} needs VADER: pip install vaderSentiment, or {_OTHERWISE}')

  @property
  def kind(self) -> str:
    return 'sentiment'

  @functools.cached_property
  def fingerprint(self) -> str:
    return fingerprint_of(self, _POLE)

  def verdicts(self, said: Sequence[tuple[Item, Said]]) -> Sequence[Verdict]:
    compound = vader.compound(f'judge {self.name}', _OTHERWISE)
    return [self._verdict(item, one, compound) for item, one in said]

  def _verdict(self, item: Item, said: Said, compound: Callable[[str], float]) -> Verdict:
    if said.error:
      return abstain(said, self.fingerprint, f'not answered: {said.error}')
    value = compound(as_read(item, said))
    label = 'positive' if value >= _POLE else 'negative' if value <= -_POLE else 'neutral'
    return Verdict(key=said.key, judge=self.fingerprint, label=label, value=value)
