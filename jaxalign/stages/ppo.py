"""Stage 4: PPO against any mixture of reward models and functions, from what SFT made."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxalign.config import AdamW, Logging, Mesh, Optimizer, Saving, UserError
from jaxalign.data import batches, chat, sources
from jaxalign.data.decontaminate import Decontaminated
from jaxalign.data.text import Tokenizer
from jaxalign.models import adapters, llama2, phi2
from jaxalign.ranges import INT32, Bound, Count, Length, Rows, Seed, Slots
from jaxalign.rl import improve, players
from jaxalign.rl.judges import Judge
from jaxalign.rl.players import Game, Rollout, Rules
from jaxalign.sealing import YOUNG
from jaxalign.sharding.meshes import make_mesh
from jaxalign.stages import held_out, judging, ppo_start, refusals, training, watching
from jaxalign.stages.contract import Batch, RowsOf, Score, State, Step, Workdir
from jaxalign.stages.doctors import ppo_doctor
from jaxalign.stages.doctors.doctor import Check, Machine
from jaxalign.train.feed import Feed
from jaxalign.train.saving import Saves

_Given = Mapping[str, Any]  # the reference, and reward models that score
_Scores = Sequence[jax.Array]


def _adam(lr: float) -> Any:
  return dataclasses.field(default_factory=lambda: AdamW(lr=lr, eps=1e-5))


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Config:
  """An iteration: `batch` prompts, one response to each, rules.epochs passes over them."""

  is_done = training.is_done
  model: llama2.Config | phi2.Config
  init: str | None = None  # the policy: a workdir of sft, a Hugging Face directory; none: chance
  reference: str | None = None  # what KL is measured against, frozen; none: init
  critic: str | None = None  # a workdir of stage reward; none: init, with a fresh head
  lora: adapters.Lora | None = None  # one base for policy, critic and reference
  tokenizer: str | None = None  # a directory or file; None: init's; 'shipped': the small one here
  format: chat.ChatFormat | chat.Own
  prompts: sources.Source | Decontaminated
  held_out: sources.Source | None = None  # prompts for evaluation
  pretraining: tuple[training.Corpus, ...] = ()  # mixed in with weight rules.ptx
  prepared: str | None = None  # where tokenised corpora are kept; None: in the workdir
  judges: tuple[Judge, ...]
  gold: tuple[Judge, ...] = ()  # score held-out answers, and nothing is trained on them
  rules: Rules = dataclasses.field(default_factory=Rules)
  prompt: Slots = 512  # tokens of the longest prompt; longer ones are dropped and counted
  response: Slots = 512  # tokens at most
  ptx_length: Length = 512  # of a row of pretraining text, of which each prompt brings one along
  batch: Rows = 128  # prompts in an iteration, all hosts
  minibatch: Rows = 32  # of these, in an optimizer step
  microbatches: Rows = 1  # in a minibatch, one after the other
  steps: Count = 200  # iterations
  eval_every: Count = 20
  eval_prompts: Count = 128
  eval_greedy: bool = True  # what is held out is answered greedily too
  kl_bound: Bound | None = None  # nats a sequence; beyond it a policy is never the best
  optim: Optimizer = _adam(1e-6)
  critic_optim: Optimizer = _adam(5e-6)
  mesh: Mesh = dataclasses.field(default_factory=Mesh)
  saving: Saving = dataclasses.field(default_factory=lambda: Saving(every=20))
  logging: Logging = dataclasses.field(default_factory=Logging)
  seed: Seed = 0
  # What the policy is asked at every evaluation, beside held_out.
  watch: watching.Watch | None = dataclasses.field(default=None, metadata=YOUNG)

  @property
  def length(self) -> int:
    return self.prompt + self.response

  @property
  def tokens(self) -> int:
    """Of all prompts and their answers."""
    return self.steps * self.batch * self.length

  @property
  def passes(self) -> float:
    """Over each token, of which a forward one is a third: the policy writes, it, its reference, the
    critic and the judges read, and policy and critic learn."""
    return (4 + len(self.judges)) / 3 + 2 * self.rules.epochs

  @property
  def minibatches(self) -> int:
    return self.batch // self.minibatch

  @property
  def optimizer_steps(self) -> int:
    return self.steps * self.rules.epochs * self.minibatches

  @property
  def policy_steps(self) -> int:
    """Those in which the policy does not wait for the critic."""
    return self.optimizer_steps * (self.steps - self.rules.critic_first) // self.steps

  def check(self) -> None:
    if self.optimizer_steps > INT32:
      raise UserError(
        f'steps={self.steps}, rules.epochs and batch / minibatch make {self.optimizer_steps:,} '
        f'optimizer steps: at most {INT32:,}'
      )
    judging.refuse_short('the model', self.model, self)
    for whole, part in (('batch', 'minibatch'), ('minibatch', 'microbatches')):
      if getattr(self, whole) % getattr(self, part):
        raise UserError(
          f'{whole}={getattr(self, whole)} is not a multiple of {part}={getattr(self, part)}'
        )
    if not any(judge.weight for judge in self.judges):
      raise UserError('judges: none with a weight, so nothing would be learned')
    if self.gold and self.held_out is None:
      raise UserError('gold scores the answers to held_out prompts, and there are none: name them')
    if self.rules.critic_first >= self.steps:
      raise UserError(f'rules.critic_first={self.rules.critic_first}: below steps={self.steps}')
    if self.lora and (self.critic or self.reference or self.init is None):
      raise UserError(
        'lora: policy, critic and reference share the base that init names; leave critic and '
        'reference out'
      )
    if bool(self.rules.ptx) != bool(self.pretraining):
      raise UserError('rules.ptx and pretraining: one without the other does nothing')
    if self.rules.ptx and self.ptx_length > self.model.length:
      raise UserError(f'ptx_length={self.ptx_length}: at most model.length={self.model.length}')
    for name in ('optim', 'critic_optim'):
      if getattr(self, name).frozen:
        raise UserError(f'{name}.frozen is not for ppo: use lora to train fewer weights')
    self._check_best()

  def _check_best(self):
    """The lowest is kept: of most scores, of reward above all, that would be the worst."""
    known = 'held_out_cost' if self.held_out else None
    if self.saving.best not in (None, known):
      there = f'{known}, minus the reward' if known else 'nothing: there are no held_out prompts'
      raise UserError(
        f'saving.best={self.saving.best} (the lowest is kept): evaluation gives {there}'
      )


def run(cfg: Config, workdir: Workdir) -> State:
  mesh = make_mesh(cfg.mesh.data, cfg.mesh.fsdp, cfg.mesh.tensor)
  tokenizer = refusals.refuse(refusals.PPO, cfg, mesh=mesh)['tokenizer']
  tx = ppo_start.optimizers_of(cfg)
  feed = Feed(open_prompts(cfg, tokenizer, workdir), cfg.batch, mesh)
  unseen = _open_held_out(cfg, tokenizer, workdir)  # before weights are read
  watched = watching.ready(cfg.watch)
  with training.opened(cfg, workdir, mesh, tokenizer) as saves:
    readers, hosts, names, weights = judging.open_judges(cfg, tokenizer, mesh, cfg.judges)
    game = game_of(cfg, names, weights)
    state, given = ppo_start.start(cfg, tx, mesh, saves, readers)
    judge = None
    if unseen is not None:
      ask = functools.partial(_asker(game, hosts), given=given)
      gold = judging.summed(cfg, tokenizer, mesh, cfg.gold)
      judge = held_out.evaluator(cfg, game, ask, mesh, tokenizer, workdir, unseen, gold)
    policy = functools.partial(_policy_of, cfg, given)
    judge = watching.joined(judge, watched, cfg.eval_every, policy, tokenizer, cfg.format)
    began = state, given, make_step(game, tx, hosts), judge
    return training.train(cfg, saves, feed, began, cfg.batch * cfg.length)


def _policy_of(cfg, given, state):
  return players.policy_of(state.model, given, cfg.lora)


def prepare(cfg: Config, workdir: Workdir) -> None:
  """`jaxalign prepare`: what run would do first, and no more; run finds it done."""
  tokenizer = training.open_tokenizer(cfg)
  open_prompts(cfg, tokenizer, workdir)
  _open_held_out(cfg, tokenizer, workdir)


def game_of(cfg: Config, names: Sequence[str], weights: Sequence[float]) -> Game:
  names, weights = tuple(names), tuple(weights)
  sizes = dict(minibatches=cfg.minibatches, microbatches=cfg.microbatches, response=cfg.response)
  return Game(rules=cfg.rules, names=names, weights=weights, lora=cfg.lora, **sizes)


def _open_held_out(cfg, tokenizer, workdir):
  if cfg.held_out is None:
    return None
  return training.open_prompts(cfg, cfg.held_out, 'held_out', tokenizer, workdir)


def open_prompts(cfg: Config, tokenizer: Tokenizer, workdir: Workdir) -> RowsOf:
  """Rows of prompts, each with a row of pretraining text where that is asked."""
  ready = training.open_prompts(cfg, cfg.prompts, 'prompts', tokenizer, workdir)
  prompts = batches.Prompts(ready, cfg.prompt, cfg.batch, cfg.seed)
  if not cfg.rules.ptx:
    return prompts.rows
  texts = training.open_data(
    cfg, cfg.pretraining, 'pretraining', tokenizer, workdir, cfg.ptx_length, 'example'
  )
  parts = [batches.Part(p, c.weight) for p, c in zip(texts, cfg.pretraining)]
  plain = batches.Batches(parts, cfg.ptx_length, cfg.batch, cfg.seed)

  def rows(step, indices):
    beside = {f'ptx_{name}': x for name, x in plain.rows(step, indices).items()}
    return prompts.rows(step, indices) | beside

  return rows


@functools.partial(jax.jit, static_argnames=('game', 'greedy'))
def collect(
  game: Game, model: Any, stacked: Batch, key_B: jax.Array, given: _Given, greedy: bool = False
) -> Rollout:
  """The first program: samples of the one batch that is stacked, and what all players say of it."""
  batch = jax.tree.map(lambda x: x[0], stacked)
  return players.collect(game, model, batch, key_B, given, greedy)


@functools.partial(jax.jit, static_argnames=('game', 'tx'), donate_argnames='state')
def learn(
  game: Game, tx: Any, state: State, stacked: Batch, seen: Rollout, scores: _Scores, given: _Given
) -> tuple[State, Any]:
  """The second: the state after an iteration, and what fit is told. Without `training_options`:
  half of its hidden gathers would not be hidden with them (11 in docs/performance.md)."""
  batch = jax.tree.map(lambda x: x[0], stacked)
  return improve.improve(game, tx, state, batch, seen, scores, given)


@functools.partial(jax.jit, static_argnames='rows')
def keys(key: jax.Array, step: jax.Array, rows: int) -> jax.Array:
  return players.row_keys(jax.random.fold_in(key, 0), step, rows)


def _asker(game, hosts):
  """(model, batches, key_B, given) -> (Rollout, scores): the first program, and judges of text."""

  def ask(model, stacked, key_B, given, greedy=False):
    seen = collect(game, model, stacked, key_B, given, greedy=greedy)
    scores = (*seen.scores, *(judge(seen) for judge in hosts))
    judging.refuse_not_finite(game.names, scores, seen.live_B)
    return seen, scores

  return ask


def make_step(game: Game, tx: Any, hosts: Sequence[Score]) -> Step:
  """(state, batches, given) -> (state, what fit is told): an iteration."""
  ask = _asker(game, hosts)

  def step(state, stacked, given):
    key_B = keys(state.key, state.step, stacked['tokens_BT'].shape[1])
    seen, scores = ask(state.model, stacked, key_B, given)
    return learn(game, tx, state, stacked, seen, scores, given)

  return step


def once(cfg: Config, rows: Mapping[str, np.ndarray], saves: Saves) -> tuple[Any, Rollout, _Given]:
  """An iteration from chance on one device, judged by length, for --doctor: the policy as it
  sampled, what was seen, the metrics."""
  mesh = make_mesh(1, 1, 1, devices=jax.devices()[:1])
  game, tx = game_of(cfg, ('length',), (1.0,)), ppo_start.optimizers_of(cfg)
  stacked = {name: jnp.asarray(x)[None] for name, x in rows.items()}
  with jax.set_mesh(mesh):
    state, given = ppo_start.start(cfg, tx, mesh, saves)
    step = make_step(game, tx, [lambda seen: seen.length_B.astype(jnp.float32)])
    policy = jax.tree.map(jnp.copy, players.policy_of(state.model, given, cfg.lora))
    key_B = players.row_keys(jax.random.key(cfg.seed), 0, cfg.batch)
    seen = collect(game, state.model, stacked, key_B, given)
    _, (metrics, _) = step(state, stacked, given)
  return policy, *jax.device_get((seen, metrics))


def doctor(cfg: Config, workdir: Workdir, machine: Machine) -> list[Check]:
  del workdir
  return ppo_doctor.examine(cfg, machine, once)
