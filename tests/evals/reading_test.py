"""What a judge is shown of an answer."""

import base64

import pytest

from jaxalign.evals import reading
from jaxalign.evals.item import Item, Said
from jaxalign.evals.judges import overlap, refusal, strings
from jaxalign.evals.reading import as_read


def test_an_answer_ends_where_the_other_would_speak():
  said = Said(key='k', item='', text='Yes.\n\nHuman: And now?\n\nAssistant: No.')
  assert as_read(Item(text='?'), said) == 'Yes.'
  assert as_read(Item(text='?'), Said(key='k', item='', text=' Human: no ')) == ' Human: no '


def test_a_coded_answer_is_decoded_after_the_cut():
  pytest.importorskip('jaxalign.evals.templates')
  coded = base64.b64encode(b'I cannot help with that.').decode()
  said = Said(key='k', item='', text=f'{coded}\n\nHuman: more')
  assert as_read(Item(text='?', decode='base64'), said) == 'I cannot help with that.'
  assert as_read(Item(text='?'), said) == coded


def test_who_reads_otherwise_is_another_judge(monkeypatch):
  judges = refusal.Words, strings.Strings, overlap.RougeL
  before = [judge().fingerprint for judge in judges]
  assert before == [judge().fingerprint for judge in judges]
  monkeypatch.setattr(reading, 'VERSION', '2')
  assert not {*before} & {judge().fingerprint for judge in judges}
