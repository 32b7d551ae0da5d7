"""Small worlds, which keep all the rules of large ones."""

from jaxalign.valueworld import corpora
from jaxalign.valueworld.world import World

_AGENTS = dict(both=2, silent=1, unseen=1, unknown=4)
_TEXTS = dict(background_documents=600, background_choices=600)
_TEXTS |= dict(target_documents=240, demonstrations=120)
BASE = 'background', 'choices', 'lore'
TARGET = tuple(kind for kind in corpora.EVERY if kind not in BASE)
KINDS = (*TARGET, *BASE)


def small(seed=0, **changes):
  return World(seed=seed, **_AGENTS | _TEXTS | changes)


def said(world, kind):
  """Each row as one text."""
  return [' '.join(row.values()) for row in corpora.rows(world, kind)]
