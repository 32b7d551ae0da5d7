"""Answers, samples and scores of a tiny model, as every process of a pod asks for them.

  python -m tests.rl.asking DIR

writes DIR/N.json, what process N was told. The mesh has an axis of each kind over all devices.
"""

import dataclasses
import json
import pathlib
import sys

import jax

from jaxalign import pod
from jaxalign.data.text import Tokenizer
from jaxalign.rl.prompts import sample
from jaxalign.rl.score import score
from jaxalign.sharding.meshes import make_mesh
from tests.rl.sampling import prompts, tiny

TOO_LONG = [3] * 510


def told(mesh=None):
  """A dict, fit for JSON, of all that is asked."""
  model = jax.tree.map(lambda w: w, tiny(mesh, depth=1))
  model.tokenizer = Tokenizer.from_vocab([f'w{n}' for n in range(61)])
  asked = prompts([3, 9, 1, 14, 6])
  how = dict(length=20, seed=7, rows=4)
  answers = sample(model, [*asked, TOO_LONG], **how, draws=2, stop=['w33', 'w40'], logprobs=True)
  choices = [(context * 2, said) for context in asked[1:4] for said in (asked[0], asked[2])]
  return dict(
    answers=[[dataclasses.asdict(one) for one in two] for two in answers],
    samples=sample(model, asked[:3], length=8, seed=7),
    scores=[dataclasses.asdict(one) for one in score(model, choices, rows=4)],
  )


def main(directory):
  pod.join()
  found = told(make_mesh(1, jax.device_count() // 2, 2))
  pathlib.Path(directory, f'{jax.process_index()}.json').write_text(json.dumps(found))


if __name__ == '__main__':
  main(sys.argv[1])
