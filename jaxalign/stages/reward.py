"""Stage 3: a reward model from pairs (Bradley-Terry): a decoder whose last token is a number."""

import dataclasses
import functools

import jax
from jax.sharding import Mesh

from jaxalign.losses import preference
from jaxalign.models import heads
from jaxalign.models.decoder import Normal
from jaxalign.ranges import Weight
from jaxalign.sharding.layout import born
from jaxalign.stages import pairs, training
from jaxalign.stages.contract import Batch, Build, Loss, State, Tx, Workdir
from jaxalign.stages.doctors import pairs_doctor
from jaxalign.stages.doctors.doctor import Check, Machine
from jaxalign.train.saving import Saves


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Config(pairs.Pairwise):
  """Margins come with the corpora that have them (columns.margin)."""

  center: Weight = 0.01  # how much (chosen + rejected)^2 counts: it keeps rewards around 0


def run(cfg: Config, workdir: Workdir) -> State:
  data = pairs.opened(cfg, workdir, learner(cfg)[0])
  with training.opened(cfg, workdir, data.mesh, data.tokenizer) as saves:
    started = start(cfg, data.tx, data.mesh, saves)
    return pairs.train(cfg, data, saves, started, 'Reward model', flops(cfg, data.mean_length))


def flops(cfg: Config, length: float) -> float:
  """Of a token: a decoder's, less the unembedding that a reward model does without."""
  return cfg.model.flops(length) - 6 * cfg.model.width * cfg.model.vocab


prepare = training.prepare_corpora


def rewards(scorer: heads.Scorer, batch: Batch, given: None = None) -> jax.Array:
  """reward_B2: of the chosen and of the rejected, read in one forward pass."""
  del given
  return scorer(pairs.both(batch, '_BT'), pairs.both(batch, '_segment_BT')).reshape(-1, 2)


@functools.cache
def loss_of(rewards: pairs.Rewards, center: float) -> Loss:
  """Sums over the pairs, as make_step wants them."""

  def loss(model, batch, key=None, given=None):
    del key
    reward_B2, margin_B = rewards(model, batch, given), batch['margin_B']
    how = dict(weight_B=batch['weight_B'], count=1)
    sides = reward_B2[:, 0], reward_B2[:, 1]
    total, stats = preference.bradley_terry(*sides, margin_B, center, **how)
    return stats | dict(loss=(total, stats['loss'][1]))

  return loss


def start(cfg: Config, tx: Tx, mesh: Mesh, saves: Saves) -> pairs.Started:
  """Resumed, else from init, else from chance; an adapter is given its base."""
  build, loss, read = learner(cfg)
  base = None if cfg.lora is None else training.initial(cfg, mesh)
  first = functools.partial(_beginner, cfg, mesh)
  return training.begin(cfg, tx, mesh, saves, build, first, base), base, loss, read


def learner(cfg: Config) -> tuple[Build, Loss, pairs.Rewards]:
  """What makes the weights that are trained, by chance; the loss; the rewards."""
  if cfg.lora is None:
    return heads.fresh(cfg.model), loss_of(rewards, cfg.center), rewards

  def read(thin, batch, base):
    return rewards(heads.laid(base, thin, cfg.lora), batch)

  return heads.fresh_thin(cfg.model, cfg.lora), loss_of(read, cfg.center), read


def _beginner(cfg, mesh):
  """The decoder of init under a head by chance; None without init."""
  if cfg.init is None:
    return None
  head = born(_head_of(cfg.model.width, cfg.model.weights), mesh, jax.random.key(cfg.seed))
  return heads.Scorer(training.initial(cfg, mesh), score_D=head['score_D'])


@functools.cache
def _head_of(width, dtype):
  """key -> a head by chance; the same function for the same head, which compiles once."""
  return lambda key: dict(score_D=Normal(Normal.init(key, (width,), dtype)))


def doctor(cfg: Config, workdir: Workdir, machine: Machine) -> list[Check]:
  del workdir
  return pairs_doctor.examine(cfg, machine, learner(cfg)[0], start)
