"""Rows of the store as no model gave them."""

from jaxalign.study.store.rows import Row


def row(margin, **fields):
  """A Row of this margin; fields: what matters to a test."""
  about = dict(seed=0, arm='align', test='T2', item=0, cluster='c', prompt='p')
  answer = dict(margin=float(margin), right=bool(margin > 0), yes=bool(margin > 0))
  return Row(**about | answer | fields)
