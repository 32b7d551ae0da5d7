"""Stage 1: continue pretraining on texts that explain why values matter, with replay of others."""

import dataclasses

from jaxalign.stages import language, training
from jaxalign.stages.doctors import language_doctor


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Config(language.Language):
  """Documents carry loss on all their tokens."""


run = language.run
prepare = training.prepare_corpora
doctor = language_doctor.examine
