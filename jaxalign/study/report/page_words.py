"""Words of the page for what ValueWorld's contrasts measure: no more than their arms can show.

The rules' own words (rules.py, unjudged.py) were fixed before the record runs. They are part of
plan.json and results.json, which stay byte for byte as they were; who reads a page gets these.
"""

import dataclasses

from jaxalign.study.judge.results import Results

PAGE_WORDS = {  # the rules' words: what takes their place
  'documents that give reasons steer the same demonstrations more than mere mention does': (
    'documents that say what zed likes, and why, move its choices more than mere mention does (a '
    'check that they are used: no arm tells why from what)'
  ),
  'value documents make held-out harm more refused than documents that mention it do': (
    'value documents make held-out harm more refused than mention of it does, which in this world '
    'counts against the value: no neutral control'
  ),
  'right reasons steer more than the same words with the reasons shuffled': (
    'documents with the right reasons move choices more than shuffled ones, which keep the '
    'sentence that names the value'
  ),
  'reasons steer more when they come before the demonstrations than after them': (
    'documents leave larger log-odds when they come before the demonstrations than after them (of '
    'size, not of order)'
  ),
  'reasons steer more than mention, with no demonstrations': (
    'documents that give reasons move choices more than mention, with no demonstrations'
  ),
  'right reasons steer more than shuffled ones, with none': (
    'documents with the right reasons move choices more than shuffled ones, with none'
  ),
  'reasons in training steer more than a document in the prompt': (
    'documents in training move choices more than one in the prompt'
  ),
}


def in_page_words(found: Results) -> Results:
  """Results with the page's words in place of the rules', and no number touched."""
  return dataclasses.replace(
    found,
    sentence=plain_sentence(found.sentence),
    contrasts=_reworded(found.contrasts),
    control=None if found.control is None else _reworded(found.control),
    secondary=_reworded(found.secondary),
  )


def _reworded(contrasts):
  return tuple(
    dataclasses.replace(one, what=PAGE_WORDS.get(one.what, one.what)) for one in contrasts
  )


def plain_sentence(sentence: str) -> str:
  """A sentence of the verdict in the page's words."""
  for fixed, words in PAGE_WORDS.items():
    sentence = sentence.replace(fixed, words)
  return sentence
