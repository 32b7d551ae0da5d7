"""What probes need of an arm, stored once: hidden states and answers. No judging trains again.

NAME.probes.safetensors beside an arm's outcomes: states [L, N, D] float16 of the battery's prompts
at their last token, log-odds and mass [N] of those that are questions; and in its header the key of
what it was measured on.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable

import numpy as np
from etils import epath
from safetensors import SafetensorError
from safetensors.numpy import load, save

from jaxalign import pod
from jaxalign.config import UserError
from jaxalign.files import replacing
from jaxalign.models.decoder import Decoder
from jaxalign.probes import states
from jaxalign.study.world import answers
from jaxalign.valueworld import battery, words
from jaxalign.valueworld.world import World

SUFFIX = '.probes.safetensors'


@dataclasses.dataclass(frozen=True)
class Kept:
  """Of one arm and seed, float32."""

  states_LND: np.ndarray  # of battery.PARTS
  logodds_N: np.ndarray  # of battery.ASKED
  mass_N: np.ndarray

  def part(self, asked: battery.Battery, name: str) -> np.ndarray:
    return self.states_LND[:, asked.rows(name)]

  def answers(self, asked: battery.Battery, name: str) -> np.ndarray:
    return self.logodds_N[asked.rows(name)]  # what is asked stands first


def keep(
  store: epath.Path, name: str, key: str, world: World, model: Callable[[], Decoder]
) -> None:
  """Measures an arm where that was not done; model() gives it. key: what its outcomes hang on."""
  asked, path = battery.of(world), store / f'{name}{SUFFIX}'
  key = hashlib.sha256(f'{key} {asked.hash}'.encode()).hexdigest()
  if pod.agreed(path.exists()):
    if read(path)[1] != key:
      raise UserError(
        f'{path} was measured on another base, other corpora, steps or questions than this plan '
        'has: take a new --workdir'
      )
    return
  content = save(measured(model(), asked), metadata=dict(key=key))
  if pod.writes():
    with replacing(path) as temporary:
      temporary.write_bytes(content)
  pod.meet(f'probes of {name} are kept')


def measured(model: Decoder, asked: battery.Battery) -> dict[str, np.ndarray]:
  """The tensors. Two programs serve every arm: one for states, and the one of all outcomes."""
  tokenizer = words.tokenizer()
  (yes,), (no,) = (tokenizer.encode(word) for word in (words.YES, words.NO))
  every, questions = (answers.encoded(asked.texts(p)) for p in (battery.PARTS, battery.ASKED))
  x_LND = states.states(model, every, length=battery.LENGTH, batch=answers.BATCH, at=states.last)
  logodds_N, mass_N = states.answers(
    model, questions, yes, no, length=answers.LENGTH, batch=answers.BATCH
  )
  return dict(states=x_LND.astype(np.float16), logodds=logodds_N, mass=mass_N)


def read(path: epath.Path) -> tuple[Kept, str]:
  """(Kept, the key it was measured under)."""
  content = path.read_bytes()
  try:
    tensors = load(content)
    size = int.from_bytes(content[:8], 'little')
    key = json.loads(content[8 : 8 + size])['__metadata__']['key']
    found = [tensors[name].astype(np.float32) for name in ('states', 'logodds', 'mass')]
  except (SafetensorError, KeyError, ValueError) as error:
    raise UserError(
      f'{path} cannot be read ({error}): delete it, and run the study again'
    ) from error
  return Kept(*found), key


def stored(store: epath.Path) -> dict[str, Kept]:
  """{arm: Kept} of one world."""
  paths = sorted(store.glob(f'*{SUFFIX}'))
  return {path.name.removesuffix(SUFFIX): read(path)[0] for path in paths}
