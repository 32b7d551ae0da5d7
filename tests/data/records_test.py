"""Records compare, hash and travel by content, and do not change."""

import copy
import dataclasses

import pytest

from jaxalign.data.records import Conversation, Document, Pair, Prompt, Turn


@pytest.mark.parametrize('kind', [Turn, Document, Conversation, Pair, Prompt])
def test_equal_by_content_and_closed(kind):
  names = [field.name for field in dataclasses.fields(kind)]
  record = kind(*names)
  again = copy.deepcopy(record)
  assert again == record and len({again, record}) == 1
  for name in (*names, 'other'):
    with pytest.raises((AttributeError, TypeError)):  # a FrozenInstanceError is the first
      setattr(record, name, 1)
