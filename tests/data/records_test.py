"""Records compare, hash and travel by content, and do not change."""

import copy
import dataclasses

import pytest

from jaxalign.data.records import Conversation, Document, Pair, Prompt, Turn

TURN = Turn('user', 'Hello')
RECORDS = [
  TURN,
  Document('text', (('id', '1'),)),
  Conversation((TURN, Turn('assistant', 'Hi'))),
  Pair((TURN,), 'Hi', 'No', margin=0.5, subset='helpful-base'),
  Prompt((TURN,)),
]


@pytest.mark.parametrize('record', RECORDS)
def test_equal_by_content_and_closed(record):
  again = copy.deepcopy(record)
  assert again == record and len({again, record}) == 1
  with pytest.raises(dataclasses.FrozenInstanceError):
    setattr(record, dataclasses.fields(record)[0].name, 'x')
  with pytest.raises((AttributeError, TypeError)):
    record.other = 1
