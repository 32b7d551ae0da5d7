"""Items asked of a model: answers are generated, and the log-probabilities of choices scored.

Whoever is asked is an Asker: a model that is loaded here, or one behind an address (ask_endpoint).
A plan is asked as one whole: what of it is missing is read by the programs of all of it, so that a
run that goes on says what it would have said.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np

from jaxalign.config import UserError
from jaxalign.data import dialogues
from jaxalign.evals.encoding import Encoding, Ids, Pair
from jaxalign.evals.evaluated import AskedSuite
from jaxalign.evals.item import Decode, Item, Said, Suite
from jaxalign.evals.store import Lines, key_of
from jaxalign.models.decoder import Decoder
from jaxalign.rl.answers import answers
from jaxalign.rl.score import scores
from jaxalign.rl.stream import Request
from jaxalign.train.fingerprint import digest_of

_Found = TypeVar('_Found')
# Of the arithmetic: weights may be equal, and answers not.
_ARITHMETIC = ('dtype', 'theta', 'eps', 'eos', 'window', 'factor', 'low', 'high', 'original')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ask:
  """An item to be asked in one draw, and the key of its answer."""

  item: Item
  draw: int
  key: str


class Asker(Protocol):
  """Whoever answers items."""

  name: str  # as a person calls it

  @property
  def fingerprint(self) -> str:
    """sha256 of who it is."""

  @property
  def form(self) -> dialogues.Format | None:
    """How dialogues are written for it; None: it has its own way."""

  def refuse(self, suite: str, items: Sequence[Item], decode: Decode) -> None:
    """UserError where it cannot be asked this."""

  def said(
    self, plan: Sequence[Ask], missing: Sequence[int], decode: Decode
  ) -> Iterator[tuple[int, Said]]:
    """(place in the plan, what was said) of those that are missing, as they come."""


class Native:
  """A model that is loaded here, and how dialogues are written for it."""

  def __init__(
    self,
    name: str,
    model: Decoder,
    form: dialogues.Format | None,
    *,
    rows: int = 16,
  ):
    """model: with its tokenizer. rows: answers that are written at once."""
    if model.tokenizer is None:
      raise UserError(f'{name} has no tokenizer beside it, so that nobody can ask it')
    self.name, self.form, self._rows = name, form, rows
    self._model, self._encoding = model, Encoding(model.tokenizer, form)

  @functools.cached_property
  def fingerprint(self) -> str:
    return fingerprint_of(self._model)

  def refuse(self, suite: str, items: Sequence[Item], decode: Decode) -> None:
    del decode
    if self.form is None and any(item.turns for item in items):
      raise UserError(
        f'{suite} asks dialogues, and {self.name} has no chat template: name a format, '
        '--config.format=transcript, say'
      )
    if self.form is not None:
      dialogues.refuse_no_ends(self.form, self._encoding.tokenizer)

  def said(
    self, plan: Sequence[Ask], missing: Sequence[int], decode: Decode
  ) -> Iterator[tuple[int, Said]]:
    wanted = set(missing)
    chosen = [n for n, ask in enumerate(plan) if ask.item.choices]
    written = [n for n, ask in enumerate(plan) if not ask.item.choices]
    for places, way in ((chosen, self._scored), (written, self._generated)):
      if any(n in wanted for n in places):
        yield from way(plan, places, wanted, decode)

  def _generated(
    self, plan: Sequence[Ask], places: Sequence[int], wanted: set[int], decode: Decode
  ) -> Iterator[tuple[int, Said]]:
    requests: dict[int, Request] = {}
    for n, found in self._encoded(plan, places, self._encoding.prompt):
      if isinstance(found, Said):
        if n in wanted:
          yield n, found
      else:
        requests[n] = request_of(found, decode, plan[n].draw)
    todo = [n for n in requests if n in wanted]
    asked = [requests[n] for n in todo]
    every = list(requests.values())
    for at, answer in answers(self._model, asked, rows=self._rows, stops=decode.stop, like=every):
      n = todo[at]
      if answer.error:
        yield n, _failed(plan[n], answer.error)
      else:
        yield (
          n,
          Said(
            key=plan[n].key,
            item=plan[n].item.id,
            draw=plan[n].draw,
            prompt_sha=_sha(requests[n].prompt),
            text=answer.text or '',
            tokens=len(answer.tokens),
            why=answer.why,
            logprob=round(sum(answer.logprobs), 2),  # what is beyond depends on the batch
          ),
        )

  def _scored(
    self, plan: Sequence[Ask], places: Sequence[int], wanted: set[int], decode: Decode
  ) -> Iterator[tuple[int, Said]]:
    del decode
    pairs: list[Pair] = []
    of: dict[int, list[int]] = {}  # place of an item -> those of its pairs
    for n, found in self._encoded(plan, places, self._encoding.pairs):
      if isinstance(found, Said):
        if n in wanted:
          yield n, found
      else:
        of[n] = list(range(len(pairs), len(pairs) + len(found)))
        pairs += found
    owner = {at: n for n, own in of.items() for at in own}
    known: dict[int, tuple[float, int, bool]] = {}
    errors: dict[int, str] = {}
    needed = [at for at, n in owner.items() if n in wanted]
    for at, score in scores(self._model, pairs, rows=self._rows, wanted=needed):
      n = owner[at]
      known[at] = score.logprob, score.tokens, score.greedy
      if score.error:
        errors[n] = score.error
      if n in wanted and all(one in known for one in of[n]):
        every = sum((sum(pairs[one], ()) for one in of[n]), ())
        said = Said(
          key=plan[n].key,
          item=plan[n].item.id,
          draw=plan[n].draw,
          prompt_sha=_sha(every),
          tokens=sum(known[one][1] for one in of[n]),
          scores=tuple(known[one] for one in of[n]),
        )
        yield n, _failed(plan[n], errors[n]) if n in errors else said

  def _encoded(
    self, plan: Sequence[Ask], places: Sequence[int], way: Callable[[Item], _Found]
  ) -> Iterator[tuple[int, _Found | Said]]:
    """Each place with the ids of its item, or with the error why there are none."""
    done: dict[str, _Found | UserError] = {}
    for n in places:
      item = plan[n].item
      if item.id not in done:
        try:
          done[item.id] = way(item)
        except UserError as error:
          done[item.id] = error
      found = done[item.id]
      yield n, _failed(plan[n], str(found)) if isinstance(found, UserError) else found


def request_of(prompt: Ids, decode: Decode, draw: int) -> Request:
  """What is asked of a model that is loaded here."""
  return Request(
    prompt=prompt,
    length=decode.length,
    temperature=decode.temperature,
    top_k=decode.top_k,
    top_p=decode.top_p,
    seed=decode.seed,
    draw=draw,
  )


def _sha(ids: Ids) -> str:
  return hashlib.sha256(np.asarray(ids, np.int32).tobytes()).hexdigest()[:32]


def _failed(ask: Ask, error: str) -> Said:
  return Said(key=ask.key, item=ask.item.id, draw=ask.draw, why='error', error=error)


def fingerprint_of(model: Decoder) -> str:
  """sha256 of weights, tokenizer and arithmetic: of a workdir and its export alike where their bits
  are equal, and the same on every mesh."""
  cfg, tokenizer = model.cfg, model.tokenizer
  how = {name: getattr(cfg, name) for name in _ARITHMETIC if hasattr(cfg, name)}
  decides = [digest_of(model), tokenizer.hash, how]
  return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def asked_as(suite: Suite, items: Sequence[Item], form: dialogues.Format | None) -> AskedSuite:
  """A suite, as it is asked of who speaks this format."""
  template = form.hash if form is not None and any(item.turns for item in items) else ''
  return AskedSuite(
    name=suite.name,
    version=suite.version,
    source=suite.source(),
    template=template,
    decode=dataclasses.asdict(suite.decode),
  )


def plan_of(fingerprint: str, suite: AskedSuite, items: Sequence[Item]) -> list[Ask]:
  """All that is asked of a suite: each item in each draw."""
  draws = range(int(str(suite.decode['draws'])))
  return [
    Ask(item=item, draw=draw, key=key_of(fingerprint, suite, item.id, draw))
    for item in items
    for draw in draws
  ]


def ask(
  asker: Asker,
  plan: Sequence[Ask],
  kept: Lines[Said],
  decode: Decode,
  each: Callable[[Said], None] = lambda said: None,
) -> None:
  """Asks what of a plan is missing, and keeps each answer as it comes."""
  if missing := kept.missing:
    for _, said in asker.said(plan, missing, decode):
      kept.add(said)
      each(said)
  kept.finish()
