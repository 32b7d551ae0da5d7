"""Types that stages share: what is asked of any stage's config, and what a stage hands around."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
import optax
from etils import epath

from jaxalign.config import Logging, Mesh, Optimizer, Saving
from jaxalign.data.chat import ChatFormat, Own
from jaxalign.data.decontaminate import Decontaminated
from jaxalign.data.dialogues import Format
from jaxalign.data.sources import Source
from jaxalign.data.text import Tokenizer
from jaxalign.models import adapters, llama2, phi2
from jaxalign.rl.judges import Judge
from jaxalign.rl.players import Rules, Sampled

Workdir = epath.Path
ModelConfig = llama2.Config | phi2.Config
Text = tuple[Tokenizer, Format]  # how conversations become tokens
State = Any  # train.state's, around any pytree of weights
Tx = optax.GradientTransformation
Build = Callable[[jax.Array], Any]  # weights of a key
Batch = Mapping[str, jax.Array]
Metrics = dict[str, tuple[jax.Array, jax.Array]]  # (total, weight), to be summed
Loss = Callable[..., Metrics]  # of (model, batch, key, what is given and not trained)
Step = Callable[[State, Batch, Any], tuple[State, Any]]  # gives the state and what fit is told
Score = Callable[[Sampled], jax.Array]  # a number for each row
RowsOf = Callable[[int, Any], dict[str, np.ndarray]]  # of (step, numbers of rows)


class Evaluation(NamedTuple):
  """What a run evaluates, and when."""

  every: int  # steps
  scores: Callable[[State], dict[str, float]]
  at_start: bool = False


Began = tuple[State, Any, Step, Evaluation | None]  # the second: what the step is given, untrained


class Stage(Protocol):
  """A config of a run on weights: where they come from, and how text is read."""

  model: ModelConfig
  init: str | None
  tokenizer: str | None
  format: ChatFormat | Own
  prepared: str | None
  batch: int
  mesh: Mesh
  seed: int

  @property
  def length(self) -> int: ...


class Learning(Stage, Protocol):
  """A config of a stage that trains in steps of batches."""

  lora: adapters.Lora | None
  microbatches: int
  steps: int
  eval_every: int
  optim: Optimizer
  saving: Saving
  logging: Logging


class Supervised(Learning, Protocol):
  """A config of explain, sft, reward or dpo."""

  kind: Any  # of example that it learns from

  @property
  def train(self) -> Sequence[Any]: ...
  @property
  def held_out(self) -> Sequence[Any]: ...
  @property
  def row_tokens(self) -> int: ...  # of a row, in all batches of a call


class Answering(Stage, Protocol):
  """A config of ppo or bon: a policy answers prompts, and judges score the answers."""

  prompt: int
  response: int
  gold: tuple[Judge, ...]


class Playing(Answering, Learning, Protocol):
  """A config of ppo."""

  reference: str | None
  critic: str | None
  held_out: Source | None
  prompts: Source | Decontaminated
  pretraining: tuple[Any, ...]  # corpora
  ptx_length: int
  judges: tuple[Judge, ...]
  rules: Rules
  critic_optim: Optimizer
  minibatch: int
  eval_prompts: int
  eval_greedy: bool
  kl_bound: float | None

  @property
  def minibatches(self) -> int: ...
  @property
  def optimizer_steps(self) -> int: ...
  @property
  def policy_steps(self) -> int: ...
