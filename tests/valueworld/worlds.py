"""Small worlds, which keep all the rules of large ones."""

from jaxalign.valueworld import corpora
from jaxalign.valueworld.world import World

SMALL = dict(
  both=2, silent=1, unseen=1, unknown=4, background_documents=600, background_choices=600,
  target_documents=240, demonstrations=120,
)  # fmt: skip
TARGET = (
  *(f'{how}_{letter}' for how in corpora.GOODS for letter in 'ABC'), *corpora.HARMS,
  'demonstrations', 'refusals', 'more', 'more_refusals',
)  # fmt: skip
BASE = ('background', 'choices', 'lore')
KINDS = (*TARGET, *BASE)


def small(seed=0, **changes):
  return World(seed=seed, **SMALL | changes)


def said(world, kind):
  """Each row as one text."""
  return [' '.join(row.values()) for row in corpora.rows(world, kind)]
