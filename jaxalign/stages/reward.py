"""Stage 3: a reward model from pairs (Bradley-Terry): a decoder whose last token is a number."""

import dataclasses
import functools

import jax

from jaxalign.losses import preference
from jaxalign.models import heads
from jaxalign.models.decoder import Normal
from jaxalign.ranges import Weight
from jaxalign.sharding.layout import born
from jaxalign.stages import pairs, training
from jaxalign.stages.doctors import pairs_doctor


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Config(pairs.Pairwise):
  """Margins come with the corpora that have them (columns.margin)."""

  center: Weight = 0.01  # how much (chosen + rejected)^2 counts: it keeps rewards around 0


def run(cfg, workdir):
  return pairs.run(cfg, workdir, 'Reward model', learner(cfg)[0], start, flops(cfg))


def flops(cfg):
  """length -> of a token: a decoder's, less the unembedding that a reward model does without."""
  return lambda length: cfg.model.flops(length) - 6 * cfg.model.width * cfg.model.vocab


prepare = training.prepare_corpora


def rewards(scorer, batch, given=None):
  """reward_B2: of the chosen and of the rejected, read in one forward pass."""
  del given
  return scorer(pairs.both(batch, '_BT'), pairs.both(batch, '_segment_BT')).reshape(-1, 2)


@functools.cache
def loss_of(rewards, center):
  """Sums over the pairs, as make_step wants them."""

  def loss(model, batch, key=None, given=None):
    del key
    reward_B2 = rewards(model, batch, given)
    total, stats = preference.bradley_terry(
      reward_B2[:, 0], reward_B2[:, 1], batch['margin_B'], center, weight_B=batch['weight_B'],
      count=1,
    )  # fmt: skip
    return stats | dict(loss=(total, stats['loss'][1]))

  return loss


def start(cfg, tx, mesh, saves):
  """(state, what is given, the loss, rewards): resumed, else from init, else from chance."""
  build, loss, read = learner(cfg)
  if cfg.lora is not None:
    base, first = training.initial(cfg, mesh), lambda: None
  else:
    base, first = None, lambda: None if cfg.init is None else _beginner(cfg, mesh)
  state = training.begin(cfg, tx, mesh, saves, build, first, base)
  return state, base, loss, read


def learner(cfg):
  """(key -> what is trained, by chance; the loss; rewards)."""
  if cfg.lora is None:
    return heads.fresh(cfg.model), loss_of(rewards, cfg.center), rewards
  read = lambda thin, batch, base: rewards(heads.laid(base, thin, cfg.lora), batch)
  return heads.fresh_thin(cfg.model, cfg.lora), loss_of(read, cfg.center), read


def _beginner(cfg, mesh):
  """The decoder of init under a head by chance."""
  head = born(_head_of(cfg.model.width, cfg.model.weights), mesh, jax.random.key(cfg.seed))
  return heads.Scorer(training.initial(cfg, mesh), score_D=head['score_D'])


@functools.cache
def _head_of(width, dtype):
  """key -> a head by chance; the same function for the same head, which compiles once."""
  return lambda key: dict(score_D=Normal(Normal.init(key, (width,), dtype)))


def doctor(cfg, workdir, machine):
  del workdir
  return pairs_doctor.examine(cfg, machine, learner(cfg)[0], start)
