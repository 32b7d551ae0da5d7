"""A judge that is a model behind an address, told by a rubric, at temperature 0.

A reply counts where it has the form that was asked for; prose, labels outside the list and calls
without an answer are abstentions with a reason. Replies are kept by their content, so that the same
answer is asked about once, and a run that ends early loses none.
"""

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

from jaxalign import files
from jaxalign.config import UserError
from jaxalign.endpoint import Client, Endpoint, EndpointError
from jaxalign.endpoint_answers import texts
from jaxalign.evals.item import Item, Said, Verdict
from jaxalign.evals.judges import rubric
from jaxalign.evals.judges.replies import NoVerdict
from jaxalign.evals.judges.rubric import Rubric
from jaxalign.evals.judges.verdicts import ABSTAIN, abstain, fingerprint_of
from jaxalign.evals.reading import as_read
from jaxalign.files import Place
from jaxalign.ranges import Fraction, Slots

_UNASKED = 'not answered'
HARM = Rubric(file='harm.txt', kind='harm', show=rubric.show_answer, read=rubric.read_harm)
TRUTH = Rubric(file='truth.txt', kind='truth', show=rubric.show_references, read=rubric.read_truth)
REFUSAL = Rubric(
  file='refusal.txt',
  kind='refusal',
  show=rubric.show_answer,
  read=rubric.read_refusal,
  labels=rubric.TAKEN,
)
TOXICITY = Rubric(
  file='toxicity.txt', kind='toxicity', show=rubric.show_continuation, read=rubric.read_toxicity
)
REGARD = Rubric(
  file='regard.txt', kind='regard', show=rubric.show_continuation, read=rubric.read_regard
)
INFO = Rubric(file='info.txt', kind='info', show=rubric.show_answer, read=rubric.read_info)
HELPFUL = Rubric(
  file='helpful.txt', kind='reward', show=rubric.show_both_orders, read=rubric.read_both_orders
)


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Http:
  """A judge behind an endpoint; open() gives it a place for its replies."""

  endpoint: Endpoint
  rubric: Rubric
  name: str = 'http'
  length: Slots = 256  # tokens of a reply, at most
  most: Fraction = 0.02  # of the answers it may leave open; more fail the suite

  @property
  def kind(self) -> str:
    return self.rubric.kind

  @property
  def labels(self) -> tuple[str, ...]:
    """All it can say, where others of its kind can say other things."""
    return self.rubric.labels

  @functools.cached_property
  def fingerprint(self) -> str:
    """Of the model's name and all it is told; not of the address or the key."""
    return fingerprint_of(self.rubric, self.rubric.words, self.endpoint.model, self.length)

  def opened(self, replies: Place, client: Client | None = None) -> '_Opened':
    """The judge; replies: a file in which they are kept, line by line, on a local disk."""
    return _Opened(self, os.fspath(files.place(replies)), client or Client(self.endpoint))

  def refuse_open(self, suite: str, verdicts: Sequence[Verdict]) -> None:
    """Called when all verdicts are stored: too many that are none tell nothing of the rest."""
    mine = [one for one in verdicts if one.judge == self.fingerprint]
    open_ = [one for one in mine if one.label == ABSTAIN and not one.detail.startswith(_UNASKED)]
    if len(open_) > self.most * len(mine):
      raise UserError(
        f'{suite}: judge {self.name} left {len(open_)} of {len(mine)} answers open, over '
        f'{self.most:.0%} (first: {open_[0].detail}); run again, which asks about these alone, or '
        'name a model that keeps to the form'
      )


@dataclasses.dataclass(frozen=True, eq=False)
class _Opened:
  cfg: Http
  replies: str
  client: Client

  @property
  def name(self) -> str:
    return self.cfg.name

  @property
  def kind(self) -> str:
    return self.cfg.kind

  @property
  def labels(self) -> tuple[str, ...]:
    return self.cfg.labels

  @property
  def fingerprint(self) -> str:
    return self.cfg.fingerprint

  def refuse_open(self, suite: str, verdicts: Sequence[Verdict]) -> None:
    self.cfg.refuse_open(suite, verdicts)

  def verdicts(self, said: Sequence[tuple[Item, Said]]) -> Sequence[Verdict]:
    shown = [
      () if one.error else self.cfg.rubric.show(item, as_read(item, one)) for item, one in said
    ]
    bodies = {self._key(body): body for some in shown for body in map(self._body, some)}
    replies, why = self._asked(bodies)
    found = []
    for (_, one), some in zip(said, shown):
      keys = [self._key(self._body(part)) for part in some]
      whys = [why[key] for key in keys if key in why]
      found.append(self._verdict(one, [replies[key] for key in keys if key in replies], whys))
    return found

  def _body(self, shown: dict[str, Any]) -> dict[str, Any]:
    messages = self.cfg.rubric.messages(shown)
    return dict(messages=messages, temperature=0, max_tokens=self.cfg.length)

  def _key(self, body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps([self.fingerprint, body]).encode()).hexdigest()

  def _verdict(self, said: Said, replies: list[str], whys: list[str]) -> Verdict:
    if said.error:
      return abstain(said, self.fingerprint, f'{_UNASKED}: {said.error}')
    if whys:
      return abstain(said, self.fingerprint, whys[0])
    if not replies:
      return abstain(said, self.fingerprint, f'{_UNASKED}: the item has no answer to compare with')
    try:
      label, value, detail = self.cfg.rubric.read(replies)
    except NoVerdict as error:
      return abstain(said, self.fingerprint, f'{error}: {" / ".join(replies)}')
    return Verdict(key=said.key, judge=self.fingerprint, label=label, value=value, detail=detail)

  def _has_form(self, reply: str) -> bool:
    try:
      self.cfg.rubric.read((reply, reply))  # as many as any rubric wants
    except NoVerdict:
      return False
    return True

  def _asked(self, bodies: dict[str, dict[str, Any]]) -> tuple[dict[str, str], dict[str, str]]:
    """({key: reply}, {key: why there is none}); what is kept is not asked again."""
    kept = _kept(self.replies)
    found = {key: kept[key] for key in bodies if key in kept and self._has_form(kept[key])}
    why: dict[str, str] = {}
    missing = [key for key in bodies if key not in found]  # those that were no verdicts, too
    if not missing:
      return found, why
    # Without what a kill tore, and without what is asked again.
    rest = ''.join(_line(*one) for one in kept.items() if one[0] not in missing)
    files.write_text(rest, self.replies)
    with open(self.replies, 'a', encoding='utf-8') as file:
      for n, answer in self.client.answers([bodies[key] for key in missing]):
        if isinstance(answer, EndpointError):
          why[missing[n]] = f'no reply: {answer}'
          continue
        found[missing[n]] = texts(answer)[0]
        file.write(_line(missing[n], found[missing[n]]))
        file.flush()
    return found, why


def _line(key: str, reply: str) -> str:
  return json.dumps(dict(key=key, reply=reply)) + '\n'


def _kept(path: str) -> dict[str, str]:
  """{key: reply}; a line that a kill tore is left out."""
  if not os.path.exists(path):
    return {}
  found = {}
  for line in files.content(path).splitlines(keepends=True):
    try:
      row = json.loads(line)
      found[row['key']] = str(row['reply'])
    except (ValueError, KeyError, TypeError):
      continue
  return found
