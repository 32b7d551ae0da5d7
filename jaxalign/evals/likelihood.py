"""What a model says to items of real text: sums of log-probabilities of fixed answers.

An item is a prompt with answers of two sides. Of a side with several answers, raw is the log of
their probabilities' sum, and the margin's part the log of the mean of their probabilities per
token (geometric): length counts in raw and not in the margin. Both are good less bad, in nats.
"""

import collections
import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxalign.data import batches, cutting, dialogues
from jaxalign.data.records import Conversation, Document, Turn
from jaxalign.data.text import Tokenizer
from jaxalign.evals.outcome import Outcome
from jaxalign.losses import head
from jaxalign.models.decoder import Decoder
from jaxalign.probes.states import in_batches
from jaxalign.sharding.layout import mesh_of, pin

_ROWS = 16  # in a call, or one for each way that a mesh splits a batch


@dataclasses.dataclass(frozen=True, kw_only=True)
class Item:
  test: str
  cluster: str
  good: tuple[str, ...]
  bad: tuple[str, ...]
  turns: tuple[Turn, ...] = ()  # none: the answers are documents
  opening: bool = False  # answers are how one begins: no end token follows
  refusing: str = ''  # which side refuses, 'good' or 'bad', where one does

  @property
  def hash(self) -> str:
    said = [self.test, self.good, self.bad, [dataclasses.astuple(t) for t in self.turns]]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class Text:
  """The text side of a model: how a dialogue becomes ids."""

  tokenizer: Tokenizer
  form: dialogues.Format
  length: int  # of the longest example


def encoded(items: Sequence[Item], text: Text) -> list[list[cutting.Example]]:
  """One list of examples an item, good answers first; loss lies on what was answered."""
  spans = [_spans_of(item, said, text) for item in items for said in (*item.good, *item.bad)]
  found = iter(cutting.encode_spans(text.tokenizer, spans))
  return [[next(found) for _ in (*item.good, *item.bad)] for item in items]


def _spans_of(item: Item, said: str, text: Text) -> list[cutting.Span]:
  if not item.turns:
    return dialogues.document(text.tokenizer, Document(said))
  turns = (*item.turns, Turn('assistant', said))
  spans = cutting.last_answer(dialogues.spans(text.form, text.tokenizer, Conversation(turns)))
  if not item.opening:
    return spans
  (first, *_) = [n for n, span in enumerate(spans) if span.learn]
  return [*spans[:first], spans[first]._replace(text=spans[first].text.rstrip(), after=())]


def fitting(items: Sequence[Item], text: Text) -> list[Item]:
  """Those that fit; what is too long is left out, never cut."""
  return [
    item
    for item, examples in zip(items, encoded(items, text))
    if max(len(example.tokens) for example in examples) <= text.length
  ]


def outcomes(model: Decoder, items: Sequence[Item], text: Text) -> Iterator[Outcome]:
  """An Outcome of each item."""
  examples = encoded(items, text)
  said = iter(zip(*scores(model, [one for found in examples for one in found], text.length)))
  asked: collections.Counter[str] = collections.Counter()
  for item, found in zip(items, examples):
    total, count = zip(*(next(said) for _ in found))
    yield of_item(item, asked[item.test], total, count)
    asked[item.test] += 1


def of_item(item: Item, number: int, total: Sequence[float], count: Sequence[int]) -> Outcome:
  """An Outcome, from (log-probability, tokens) of each answer, good ones first."""
  total_A, count_A = np.array(total, np.float64), np.array(count, np.float64)
  split = len(item.good)
  good_raw, bad_raw = (float(np.logaddexp.reduce(x)) for x in np.split(total_A, [split]))
  good, bad = (_log_of_mean(x) for x in np.split(total_A / count_A, [split]))
  margin = good - bad
  return Outcome(
    test=item.test,
    item=number,
    cluster=item.cluster,
    prompt=item.hash,
    margin=margin,
    unit='nats a token',
    raw=good_raw - bad_raw,
    right=margin > 0,
    yes=bool(item.refusing) and (margin > 0) == (item.refusing == 'good'),
    loss=float(-total_A[0] / count_A[0]) if split == 1 and not item.opening else None,
    mass=float(min(np.exp(np.logaddexp.reduce(total_A)), 1.0)) if item.opening else None,
    tokens=(int(count_A[:split].sum()), int(count_A[split:].sum())),
  )


def _log_of_mean(x_A: np.ndarray) -> float:
  return float(np.logaddexp.reduce(x_A) - np.log(len(x_A)))


def scores(
  model: Decoder, examples: Sequence[cutting.Example], length: int
) -> tuple[np.ndarray, np.ndarray]:
  """(log-probability, tokens) of what is learned of each example: float and int arrays [N]."""
  sizes = np.array([len(example.tokens) for example in examples])
  total_N = np.zeros(len(examples))
  count_N = np.array([int(example.weight.sum()) for example in examples])
  mesh = mesh_of(model)
  ways = mesh.shape['data'] * mesh.shape['fsdp'] if mesh else 1
  shortest = 0
  for width in batches.widths(length):  # few programs, little padding
    (at,) = np.nonzero((shortest < sizes) & (sizes <= width))
    shortest = width
    if len(at):
      columns = _table([examples[int(n)] for n in at], width)
      (total_N[at],) = in_batches(_scores, model, -(-_ROWS // ways) * ways, *columns)
  return total_N, count_N


def _table(
  examples: Sequence[cutting.Example], width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """tokens, segments and weights, [N, width]: rows begin at the left."""
  tokens_NT, segment_NT = (np.zeros((len(examples), width), np.int32) for _ in range(2))
  weight_NT = np.zeros((len(examples), width), np.float32)
  for n, example in enumerate(examples):
    size = len(example.tokens)
    tokens_NT[n, :size], segment_NT[n, :size] = example.tokens, 1
    weight_NT[n, :size] = example.weight
  return tokens_NT, segment_NT, weight_NT


@jax.jit
def _scores(model, tokens_BT, segment_BT, weight_BT):
  tokens_BT = pin(tokens_BT, 'B')
  x_BTD = model(tokens_BT, segment_BT)
  head_VD, bias_V = model.head()
  logprob_BT, _ = head.token_logprobs_from_hidden(
    x_BTD, head_VD, bias_V, head.after(tokens_BT), entropy=False
  )
  return (pin(jnp.where(head.after(weight_BT) != 0, logprob_BT, 0).sum(-1), ''),)
