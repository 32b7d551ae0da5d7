"""Tiny tokenizers in the files of Llama-2 and of Phi-2."""

import json

import pytest
import tokenizers

from tests.data.written import SENTENCES, trained


@pytest.fixture(scope='module')
def llama_dir(tmp_path_factory):
  """A directory as Llama-2's: tokenizer.model alone."""
  place = tmp_path_factory.mktemp('llama')
  (place / 'tokenizer.model').write_bytes(trained(SENTENCES * 5, vocab_size=400))
  return place


@pytest.fixture(scope='module')
def phi_dir(tmp_path_factory):
  """A directory as Phi-2's: vocab.json, merges.txt, added_tokens.json."""
  place = tmp_path_factory.mktemp('phi')
  made = tokenizers.ByteLevelBPETokenizer()
  made.train_from_iterator(SENTENCES, 330, special_tokens=['<|endoftext|>'], show_progress=False)
  made.save_model(str(place))
  first = made.get_vocab_size()
  runs = [' ' * n for n in range(31, 1, -1)] + ['\t' * n for n in range(9, 1, -1)]
  added = {run: first + i for i, run in enumerate(runs)}
  (place / 'added_tokens.json').write_text(json.dumps(added))
  return place
