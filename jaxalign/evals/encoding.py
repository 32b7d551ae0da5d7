"""How items become ids: the prompt after which an answer begins, and what is scored of a choice."""

import dataclasses

import numpy as np

from jaxalign.config import UserError
from jaxalign.data import cutting, dialogues
from jaxalign.data.records import Conversation, Turn
from jaxalign.data.text import Tokenizer
from jaxalign.evals.item import Item
from jaxalign.rl.prompts import start_of

Ids = tuple[int, ...]
Pair = tuple[Ids, Ids]  # a context, and what is scored after it


@dataclasses.dataclass(frozen=True)
class Encoding:
  """The text side of a model. form: of dialogues; None where nobody knows one."""

  tokenizer: Tokenizer
  form: dialogues.Format | None

  def prompt(self, item: Item) -> Ids:
    """The ids after which an item's answer begins."""
    if not item.turns:
      ids = tuple(self.tokenizer.encode(item.text + item.prefill))
      return ids or start_of(self.tokenizer)
    assert self.form is not None  # whoever asks a dialogue sees to it
    if not item.prefill:
      return _plain(dialogues.prompt(self.form, self.tokenizer, item.turns))
    return sum(self._answered(item, item.prefill, opening=True), ())

  def pairs(self, item: Item) -> list[Pair]:
    """What is scored of an item: (context, choice) of each choice. Of a dialogue a choice is a
    whole answer, its end token included; openings, letters, and what goes on from a prefill, are
    not."""
    if not item.turns:
      return [_of_texts(self.tokenizer, item.text + item.prefill, said) for said in item.choices]
    opening = item.opening or all(len(said.strip()) == 1 for said in item.choices)
    if not item.prefill:
      return [self._answered(item, said, opening=opening) for said in item.choices]
    head = self.prompt(item)
    wholes = [sum(self._answered(item, item.prefill + s, opening=True), ()) for s in item.choices]
    return [(head, whole[len(head) :]) for whole in wholes]

  def _answered(self, item: Item, said: str, opening: bool) -> Pair:
    """(ids up to where the assistant begins, ids of what it says); an opening has no end."""
    assert self.form is not None
    turns = (*item.turns, Turn('assistant', said))
    spans = dialogues.spans(self.form, self.tokenizer, Conversation(turns))
    spans = cutting.last_answer(spans)
    first = next(n for n, span in enumerate(spans) if span.learn)
    if opening:
      begun = spans[first]._replace(text=spans[first].text.rstrip(), after=())
      spans = [*spans[:first], begun]
    (example,) = cutting.encode_spans(self.tokenizer, [spans])
    (learned,) = np.nonzero(example.weight)
    if not len(learned):
      raise UserError('an answer has no token of its own')
    ids = _plain(example.tokens)
    return ids[: learned[0]], ids[learned[0] : learned[-1] + 1]


def _of_texts(tokenizer: Tokenizer, context: str, said: str) -> Pair:
  """A text encoded whole and cut where its context's tokens end; spaces that end a context go to
  what follows it. After an empty context stands the start token."""
  head = context.rstrip()
  if not head:
    return start_of(tokenizer), tuple(tokenizer.encode(context + said, bos=False))
  ids = tuple(tokenizer.encode(head))
  return ids, tuple(tokenizer.encode(context + said))[len(ids) :]


def _plain(ids: np.ndarray) -> Ids:
  return tuple(int(i) for i in ids)
