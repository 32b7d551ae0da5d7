"""Items asked of a model: answers are generated, and the log-probabilities of choices scored.

Whoever is asked is an Asker: a model that is loaded here, or one behind an address (ask_endpoint).
A plan is asked as one whole: what of it is missing is read by the programs of all of it, so that a
run that goes on says what it would have said.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np

from jaxalign.config import UserError
from jaxalign.data import cutting, dialogues
from jaxalign.data.records import Conversation, Turn
from jaxalign.data.text import Tokenizer
from jaxalign.evals.evaluated import AskedSuite
from jaxalign.evals.item import Decode, Item, Said, Suite
from jaxalign.evals.store import Lines, key_of
from jaxalign.models.decoder import Decoder
from jaxalign.rl.answers import answers
from jaxalign.rl.prompts import start_of
from jaxalign.rl.score import scores
from jaxalign.rl.stream import Request
from jaxalign.train.fingerprint import digest_of

_Ids = tuple[int, ...]
_Found = TypeVar('_Found')
_Pair = tuple[_Ids, _Ids]  # a context, and what is scored after it
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
  """A model that is loaded here, with its tokenizer and how dialogues are written for it."""

  def __init__(
    self,
    name: str,
    model: Decoder,
    tokenizer: Tokenizer,
    form: dialogues.Format | None,
    *,
    rows: int = 16,
  ):
    """rows: answers that are written at once."""
    self.name, self.form, self._rows = name, form, rows
    self._model, self._tokenizer = model, tokenizer
    self.fingerprint = fingerprint_of(model, tokenizer)

  def refuse(self, suite: str, items: Sequence[Item], decode: Decode) -> None:
    del decode
    if self.form is None and any(item.turns for item in items):
      raise UserError(
        f'{suite} asks dialogues, and {self.name} has no chat template: name a format, '
        '--config.format=transcript, say'
      )
    if self.form is not None:
      dialogues.refuse_no_ends(self.form, self._tokenizer)

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
    for n, found in self._encoded(plan, places, self.prompt):
      if isinstance(found, Said):
        if n in wanted:
          yield n, found
      else:
        requests[n] = _request(found, decode, plan[n].draw)
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
    pairs: list[_Pair] = []
    of: dict[int, list[int]] = {}  # place of an item -> those of its pairs
    for n, found in self._encoded(plan, places, self.pairs):
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

  def prompt(self, item: Item) -> _Ids:
    """The ids after which an item's answer begins."""
    if not item.turns:
      ids = tuple(self._tokenizer.encode(item.text + item.prefill))
      return ids or start_of(self._tokenizer)
    assert self.form is not None  # refuse sees to it
    if not item.prefill:
      return _plain(dialogues.prompt(self.form, self._tokenizer, item.turns))
    return sum(self._answered(item, item.prefill, opening=True), ())

  def pairs(self, item: Item) -> list[_Pair]:
    """What is scored of an item: (context, choice) of each choice. Of a dialogue a choice is a
    whole answer, its end token included; letters, and what goes on from a prefill, are not."""
    if not item.turns:
      return [_of_texts(self._tokenizer, item.text + item.prefill, said) for said in item.choices]
    letters = all(len(said.strip()) == 1 for said in item.choices)
    if not item.prefill:
      return [self._answered(item, said, opening=letters) for said in item.choices]
    head = self.prompt(item)
    wholes = [sum(self._answered(item, item.prefill + s, opening=True), ()) for s in item.choices]
    return [(head, whole[len(head) :]) for whole in wholes]

  def _answered(self, item: Item, said: str, opening: bool) -> _Pair:
    """(ids up to where the assistant begins, ids of what it says); an opening has no end."""
    assert self.form is not None
    turns = (*item.turns, Turn('assistant', said))
    spans = dialogues.spans(self.form, self._tokenizer, Conversation(turns))
    spans = cutting.last_answer(spans)
    first = next(n for n, span in enumerate(spans) if span.learn)
    if opening:
      begun = spans[first]._replace(text=spans[first].text.rstrip(), after=())
      spans = [*spans[:first], begun]
    (example,) = cutting.encode_spans(self._tokenizer, [spans])
    (learned,) = np.nonzero(example.weight)
    if not len(learned):
      raise UserError('an answer has no token of its own')
    ids = _plain(example.tokens)
    return ids[: learned[0]], ids[learned[0] : learned[-1] + 1]


def _request(prompt: _Ids, decode: Decode, draw: int) -> Request:
  return Request(
    prompt=prompt,
    length=decode.length,
    temperature=decode.temperature,
    top_k=decode.top_k,
    top_p=decode.top_p,
    seed=decode.seed,
    draw=draw,
  )


def _of_texts(tokenizer: Tokenizer, context: str, said: str) -> _Pair:
  """A text encoded whole and cut where its context's tokens end; spaces that end a context go to
  what follows it. After an empty context stands the start token."""
  head = context.rstrip()
  if not head:
    return start_of(tokenizer), tuple(tokenizer.encode(context + said, bos=False))
  ids = tuple(tokenizer.encode(head))
  return ids, tuple(tokenizer.encode(context + said))[len(ids) :]


def _plain(ids: np.ndarray) -> _Ids:
  return tuple(int(i) for i in ids)


def _sha(ids: _Ids) -> str:
  return hashlib.sha256(np.asarray(ids, np.int32).tobytes()).hexdigest()[:32]


def _failed(ask: Ask, error: str) -> Said:
  return Said(key=ask.key, item=ask.item.id, draw=ask.draw, why='error', error=error)


def fingerprint_of(model: Decoder, tokenizer: Tokenizer) -> str:
  """sha256 of weights, tokenizer and arithmetic: of a workdir and its export alike where their bits
  are equal, and the same on every mesh."""
  cfg = model.cfg
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
