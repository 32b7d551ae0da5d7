"""The dataclasses that configs share, and what the user can mend."""

import dataclasses
from typing import Literal

from jaxalign import endings, ranges


class UserError(ValueError):
  """The user's to mend: names the thing and the remedy, and is shown without a traceback."""

  ending = endings.BAD_INPUT  # with which the command exits


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Mesh:
  """How many devices lie along each axis; one axis may be -1: all that are left."""

  data: ranges.Ways = 1
  fsdp: ranges.Ways = -1
  tensor: ranges.Ways = 1

  def check(self) -> None:
    sizes = (self.data, self.fsdp, self.tensor)
    if sizes.count(-1) > 1:
      raise UserError(f'mesh {sizes}: at most one axis is -1 (the rest)')


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Schedule:
  """The learning rate over a run, as fractions of its peak: warm-up, a shape, and where it ends."""

  shape: Literal['constant', 'cosine', 'wsd'] = 'cosine'
  warmup: ranges.Whole = 0  # steps of linear warm-up
  decay: ranges.Fraction = 0.2  # wsd only: the last fraction of the run, in which the rate falls
  end: ranges.Fraction = 0.1  # fraction of the peak at the last step


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class AdamW:
  lr: ranges.Rate = 1e-5
  b1: ranges.Momentum = 0.9
  b2: ranges.Momentum = 0.95
  eps: ranges.Tiny = 1e-8
  weight_decay: ranges.Decay = 0.0
  decayed: tuple[str, ...] = ('*', '!*norm*', '!*bias*')  # shell patterns over weights' names
  frozen: tuple[str, ...] = ()  # the same: these weights stay as they are
  factors: tuple[tuple[str, ranges.Factor], ...] = ()  # on the rate, by name: (('embed*', 4.0),)
  clip: ranges.Bound | None = 1.0  # global norm of the gradient
  schedule: Schedule = dataclasses.field(default_factory=Schedule)


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Adafactor:
  """Factored second moments: for models whose Adam moments do not fit."""

  lr: ranges.Rate = 1e-5
  decay: ranges.Share = 0.8  # exponent of the second moment's growing memory
  momentum: ranges.Momentum | None = None
  weight_decay: ranges.Decay = 0.0
  decayed: tuple[str, ...] = ('*', '!*norm*', '!*bias*')  # shell patterns over weights' names
  frozen: tuple[str, ...] = ()  # the same: these weights stay as they are
  clip: ranges.Bound | None = 1.0  # global norm of the gradient
  schedule: Schedule = dataclasses.field(default_factory=Schedule)


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Muon:
  """Momentum made orthogonal, for the matrices of the blocks; Adam for what is left.

  An update has the root mean square `rms` x lr, as Adam's has late in a run; Adam's first ones are
  five times as large, so a short run, as an adapter's, wants a higher rate here.
  """

  lr: ranges.Rate = 1e-5
  momentum: ranges.Momentum = 0.95
  rms: ranges.Share = 0.2
  adam: tuple[str, ...] = ('embed*', 'head*')  # matrices that Adam moves; vectors it moves anyway
  b1: ranges.Momentum = 0.9  # of Adam, as eps and b2
  b2: ranges.Momentum = 0.95
  eps: ranges.Tiny = 1e-8
  weight_decay: ranges.Decay = 0.0
  decayed: tuple[str, ...] = ('*', '!*norm*', '!*bias*')  # shell patterns over weights' names
  frozen: tuple[str, ...] = ()  # the same: these weights stay as they are
  factors: tuple[tuple[str, ranges.Factor], ...] = ()  # on the rate, by name: (('embed*', 4.0),)
  clip: ranges.Bound | None = 1.0  # global norm of the gradient
  schedule: Schedule = dataclasses.field(default_factory=Schedule)


Optimizer = AdamW | Adafactor | Muon


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Saving:
  every: ranges.Count = 500  # steps
  keep: ranges.Count = 2  # the newest so many
  milestone: ranges.Count | None = None  # besides, every multiple of it is kept for good
  best: str | None = None  # besides, the one with the lowest value of this evaluation metric


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Logging:
  every: ranges.Count = 10  # steps; metrics.jsonl has all, event files and W&B these and the last
  tensorboard: bool = False  # event files in the workdir
  wandb: str | None = None  # the project's name
  profile: tuple[ranges.Count, ranges.Count] | None = None  # steps of a trace: first and last

  def check(self) -> None:
    if self.profile and self.profile[0] >= self.profile[1]:
      raise UserError(f'logging.profile={self.profile}: a first and a later last step')
