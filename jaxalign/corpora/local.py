"""Model: a teacher that is loaded here, a Hugging Face directory or a workdir of ours.

What it says to a call depends on the call alone: its id is the seed, and neither the batch nor its
order decides anything. A base model, which only goes on, is shown examples instead of being told;
it is no judge, unless somebody asks it by name.
"""

import dataclasses
import hashlib
import os
from collections.abc import Generator, Iterator, Sequence

from jaxalign.config import UserError
from jaxalign.corpora import http, prompts
from jaxalign.corpora.records import Answer, Call, Failure, Sampling
from jaxalign.data import dialogues
from jaxalign.data.records import Turn
from jaxalign.evals import ask
from jaxalign.evals.encoding import Encoding
from jaxalign.evals.item import Item
from jaxalign.models.decoder import Decoder
from jaxalign.ranges import Rows
from jaxalign.rl import answers, score
from jaxalign.rl.stream import Request

_JUDGING = (  # steps in which texts are judged
  'compliance',
  'critique',
  'judge',
  'opaque_judge',
  'preference',
  'principle_critique',
  'verdict',
)
_DRAWS = 8  # of a call whose answer is empty
_LEAST = 16  # tokens that an answer needs
_STOPS = prompts.STOP, '\n\nHuman:'  # where a base model has answered and goes on with the next


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Model:
  """Where a teacher lies, and how it is asked: Model(path='runs/sft')."""

  path: str
  base: bool = False  # whether it is shown examples though it knows a dialogue format
  judges: tuple[str, ...] = ()  # steps of judging that a base model is asked all the same
  samplings: tuple[tuple[str, Sampling], ...] = ()  # (a step, how its answers are drawn)
  otherwise: Sampling = Sampling(length=512)  # of the steps not named
  rows: Rows = 16  # answers written at once

  def check(self) -> None:
    if unknown := [step for step in self.judges if step not in _JUDGING]:
      raise UserError(f'judges names {unknown[0]}: steps of judging are {", ".join(_JUDGING)}')

  def opened(self, model: Decoder, form: dialogues.Format | None) -> 'Teacher':
    """The teacher. form: how it was taught to read dialogues; None: it is a base model."""
    if model.tokenizer is None:
      raise UserError(f'{self.path} has no tokenizer: a teacher needs one')
    return Teacher(self, model, None if self.base else form)


class Teacher:
  """A Model with its weights; see records.Teacher."""

  reads_prompts = True

  def __init__(self, cfg: Model, model: Decoder, form: dialogues.Format | None):
    assert model.tokenizer is not None
    self.cfg, self._model, self._form = cfg, model, form
    self._encoding = Encoding(model.tokenizer, form)
    self._prompts = prompts.Prompts()
    self._sampling = dict(cfg.samplings)
    self._takes_system = form is None or _takes_system(form, self._encoding)
    self.name = f'{os.path.basename(cfg.path.rstrip("/"))} {self._decides()}'

  def _decides(self) -> str:
    """A hash of weights and tokenizer, and of how it is told."""
    how = self._form.hash if self._form is not None else self._prompts.all_versions()
    decides = f'{ask.fingerprint_of(self._model)} {how}'
    return hashlib.sha256(decides.encode()).hexdigest()[:16]

  def sampling(self, step: str) -> Sampling:
    """How answers to a step are drawn."""
    return self._sampling.get(step, self.cfg.otherwise)

  def price(self, call: Call) -> float | None:
    """Nothing: the machine is paid for otherwise."""
    del call
    return 0.0

  def refuse(self, steps: Sequence[str]) -> None:
    """UserError where a base model would judge and nobody asked for that by name."""
    if self._form is not None:
      return
    for step in steps:
      if step in _JUDGING and step not in self.cfg.judges:
        raise UserError(
          f'{self.cfg.path} is a base model, which judges nothing: take another teacher for step '
          f'{step}, or ask for it by name: judges=({step!r},)'
        )

  def answers(self, calls: Sequence[Call]) -> Iterator[Answer | Failure]:
    """An Answer or a Failure of each call, as they come."""
    self.refuse([call.task.step for call in calls])
    yield from self._choices([call for call in calls if call.task.options])
    left = [call for call in calls if not call.task.options]
    for draw in range(_DRAWS):
      left = yield from self._texts(left, draw)
    for call in left:
      yield Failure(call=call.id, why=f'an empty answer in {_DRAWS} draws')

  def _texts(
    self, calls: Sequence[Call], draw: int
  ) -> Generator[Answer | Failure, None, list[Call]]:
    """A text of each call; returns the calls that were answered with nothing."""
    requests, sent, empty = [], [], []
    for call in calls:
      prompt = self._prompt(call)
      room = self._model.cfg.length - len(prompt)
      if room < _LEAST:
        yield Failure(call=call.id, why=self._too_long(len(prompt)))
        continue
      requests.append(_request(call, prompt, min(room, call.sampling.length), draw))
      sent.append(call)
    stops = _STOPS if self._form is None else ()
    found = answers.answers(self._model, requests, rows=self.cfg.rows, stops=stops)
    for n, said in found:
      text = http.spoken(said.text or '')
      if said.error is not None:
        yield Failure(call=sent[n].id, why=said.error)
      elif text:
        yield self._answer(sent[n], text, len(requests[n].prompt), len(said.tokens))
      else:
        empty.append(sent[n])
    return empty

  def _choices(self, calls: Sequence[Call]) -> Iterator[Answer | Failure]:
    """The likeliest of each task's options, and how likely each is: nothing has to be drawn."""
    pairs = [self._encoding.pairs(self._item(call, call.task.options)) for call in calls]
    asked = [one for own in pairs for one in own]
    scores = iter(score.score(self._model, asked, rows=self.cfg.rows) if asked else [])
    for call, own in zip(calls, pairs):
      found = [next(scores) for _ in own]
      if why := next((one.error for one in found if one.error), None):
        yield Failure(call=call.id, why=why)
        continue
      likely = tuple(one.logprob for one in found)
      text = call.task.options[likely.index(max(likely))]
      said = self._answer(call, text, len(own[0][0]), 1)
      yield dataclasses.replace(said, logprobs=likely)

  def _answer(self, call: Call, text: str, read: int, written: int) -> Answer:
    return Answer(call=call.id, text=text, read=read, written=written, model=self.name, cost=0.0)

  def _prompt(self, call: Call) -> tuple[int, ...]:
    return self._encoding.prompt(self._item(call, ()))

  def _item(self, call: Call, options: tuple[str, ...]) -> Item:
    """A call as a model is asked: as a dialogue, or a base model by examples."""
    if self._form is None:
      text = self._prompts.shot(call.task)
      return Item(text=text, choices=tuple(f' {one}' for one in options))
    turns = call.turns if self._takes_system else _without_system(call.turns)
    return Item(turns=turns, choices=options)

  def _too_long(self, tokens: int) -> str:
    return (
      f'a prompt of {tokens} tokens leaves no room for an answer in the {self._model.cfg.length} '
      'positions of this model: a shorter spec, or a model of more'
    )


def _request(call: Call, prompt: tuple[int, ...], length: int, draw: int) -> Request:
  how = call.sampling
  seed = int(call.id[:8], 16) ^ how.seed
  return Request(
    prompt=prompt,
    length=length,
    temperature=how.temperature,
    top_p=how.top_p,
    seed=seed,
    draw=draw,
  )


def _takes_system(form: dialogues.Format, encoding: Encoding) -> bool:
  """Whether a format has a place for a system turn."""
  try:
    dialogues.prompt(form, encoding.tokenizer, (Turn('system', 'a'), Turn('user', 'b')))
  except UserError:
    return False
  return True


def _without_system(turns: Sequence[Turn]) -> tuple[Turn, ...]:
  """The same, told by the user."""
  if turns[0].role != 'system':
    return tuple(turns)
  told, first, *rest = turns
  return (Turn('user', f'{told.text}\n\n{first.text}'), *rest)
