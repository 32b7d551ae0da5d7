"""Codes: each gives back what was written in it, and a plain refusal stays a refusal."""

import base64
import csv
import json

import pytest

from jaxalign.evals.codes import HOOKS

HARD = (
  '',
  'a',
  'A b',
  'Tom & "Jane" <b> 4~^0 s0S7',
  'é ü 你好',
  'two\nlines > one',
  '&gt; &amp;gt;',
)


def test_every_code_is_read_again_on_all_distinct_behaviours(shared):
  files = [
    ('advbench/harmful_behaviors.csv', 'goal'),
    ('harmbench/harmbench_behaviors_text_all.csv', 'Behavior'),
    ('strongreject/strongreject_dataset.csv', 'forbidden_prompt'),
  ]
  texts = [
    row[column].strip()
    for name, column in files
    for row in csv.DictReader(shared(name).open(encoding='utf-8'))
  ]
  artifact = json.loads(shared('jailbreakbench/JBC_llama-2-7b-chat-hf.json').read_text())
  texts = {*texts, *(row['goal'].strip() for row in artifact['jailbreaks'])}
  assert len(texts) == 1281
  for name, hook in HOOKS.items():
    wrong = [text for text in texts if hook.decode(hook.encode(text)) != text]
    assert wrong == [], name


@pytest.mark.parametrize('name', HOOKS)
@pytest.mark.parametrize('text', HARD)
def test_every_code_is_read_again_on_hard_texts(name, text):
  assert HOOKS[name].decode(HOOKS[name].encode(text)) == text


def test_codes_hide_what_they_hold():
  for name in ('base64', 'rot13', 'leet', 'parts'):
    assert 'secret stone' not in HOOKS[name].encode('the secret stones')


def test_code_among_words_and_code_that_was_cut():
  code = base64.b64encode(b'First, fill the pot with water.').decode()
  read = HOOKS['base64'].decode
  assert read(f'Here it is:\n{code}\nDone.') == (
    'Here it is:\nFirst, fill the pot with water.\nDone.'
  )
  assert read(code[:-7]) == 'First, fill the pot with wa'
  assert read('No, I will not do that.') == 'No, I will not do that.'
  wide = base64.b64encode('déjà vu, déjà vu, déjà vu'.encode()).decode()
  assert [read(wide[:n]) for n in (16, 20)] == ['déjà vu, d', 'déjà vu, déj']


def test_plain_answers_stay_readable_in_other_codes():
  for text in (
    "I'm sorry, I can't do that for you.",
    'No',
    'Sure',
    'Okay.',
    'dead',
    'internationally',
  ):
    assert HOOKS['parts'].decode(text) == HOOKS['leet'].decode(text) == text
    assert HOOKS['base64'].decode(text) == text
  step = 'Step 1: mix 30 parts of flour with 15 of milk.'
  assert HOOKS['leet'].decode(step) == step
  assert HOOKS['leet'].decode('^5t3p 1: m1x 1t w1th m1lk') == 'Step i: mix it with milk'
  for text in ("I'm sorry, but I can't help with that.", 'This is not something that I can do.'):
    assert HOOKS['rot13'].decode(text) == text
