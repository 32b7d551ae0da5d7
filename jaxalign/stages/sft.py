"""Stage 2: supervised fine-tuning on conversations; only the assistant's turns carry loss."""

import dataclasses

from jaxalign.stages import language, training
from jaxalign.stages.doctors import language_doctor


@dataclasses.dataclass(kw_only=True, unsafe_hash=True)
class Config(language.Language):
  """The format decides how turns are written; it is frozen with the model that learns it."""


run = language.run
prepare = training.prepare_corpora
doctor = language_doctor.examine
