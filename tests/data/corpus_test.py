"""The shipped corpus is data that everything else trusts, so its promises are checked here."""

import collections
import json
import re
from pathlib import Path

import pytest

CORPUS = Path(__file__).resolve().parents[2] / 'jaxalign/data/corpus'
VALUES = {'self-direction', 'stimulation', 'hedonism', 'achievement', 'power'}
VALUES |= {'security', 'conformity', 'tradition', 'benevolence', 'universalism'}
TYPES = {'memo', 'dialogue', 'case_study', 'question_answer', 'story'}
FIELDS = {'id', 'text', 'value', 'type', 'spec', 'provenance', 'split'}
TURN = re.compile(r'\n\n(Human|Assistant): ')


def read_jsonl(name):
  return [json.loads(line) for line in (CORPUS / name).read_text(encoding='ascii').splitlines()]


@pytest.fixture(scope='module')
def documents():
  return read_jsonl('value_explanations.jsonl')


@pytest.fixture(scope='module')
def pairs():
  return read_jsonl('conversations.jsonl')


def ngrams(text, n):
  words = re.findall(r"[a-z0-9']+", text.lower())
  return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def holders_of_ngrams(texts, n):
  """Which texts hold each n-gram: one pass instead of comparing all pairs of texts."""
  holders = collections.defaultdict(set)
  for i, text in enumerate(texts):
    for gram in ngrams(text, n):
      holders[gram].add(i)
  return holders


def most_shared(texts, n):
  return max(len(held) for held in holders_of_ngrams(texts, n).values())


def largest_overlap(texts, n):
  """The largest share of a text's n-grams that one other text also has."""
  shared = collections.Counter()
  for held in holders_of_ngrams(texts, n).values():
    ordered = sorted(held)
    shared.update((a, b) for i, a in enumerate(ordered) for b in ordered[i + 1 :])
  sizes = [len(ngrams(text, n)) for text in texts]
  return max((c / min(sizes[a], sizes[b]) for (a, b), c in shared.items()), default=0.0)


def split_turns(conversation):
  """(speaker, words) of an HH-RLHF string; the text before the first speaker must be empty."""
  before, *rest = TURN.split(conversation)
  assert before == ''
  return list(zip(rest[::2], rest[1::2], strict=True))


def clean(text):
  return text == text.strip() and all(c == '\n' or ' ' <= c <= '~' for c in text)


def test_documents_have_the_promised_fields(documents):
  assert len(documents) >= 220
  assert len({d['id'] for d in documents}) == len(documents)
  for d in documents:
    assert set(d) == FIELDS
    assert d['value'] in VALUES and d['type'] in TYPES and d['split'] in {'train', 'validation'}
    assert d['spec'] == 'schwartz-1992'
    assert d['provenance'] == 'written for jaxalign by a language model, 2026'
    stem = f'{d["value"]}-{d["type"].replace("_", "-")}-'
    assert re.fullmatch(re.escape(stem) + r'[1-9]\d*', d['id'])


def test_every_value_has_four_documents_of_every_type(documents):
  counts = collections.Counter((d['value'], d['type']) for d in documents)
  assert {pair for pair, n in counts.items() if n >= 4} == {(v, t) for v in VALUES for t in TYPES}


def test_about_a_tenth_is_validation_with_every_value_and_type(documents):
  held_out = [d for d in documents if d['split'] == 'validation']
  assert 0.08 <= len(held_out) / len(documents) <= 0.13
  assert {d['value'] for d in held_out} == VALUES and {d['type'] for d in held_out} == TYPES


def test_documents_are_short_plain_ascii(documents):
  for d in documents:
    assert 90 <= len(d['text'].split()) <= 260, d['id']
    assert clean(d['text']) and '**' not in d['text'] and '  ' not in d['text'], d['id']
    assert not re.search(r'(?m)^(#|- |\* |```)', d['text']), d['id']


def test_forms_look_like_their_type(documents):
  for d in documents:
    if d['type'] == 'dialogue':
      speakers = re.findall(r'(?m)^([A-Z][^:\n]{0,40}): ', d['text'])
      assert len(speakers) == len(d['text'].splitlines()), d['id']
      assert len(set(speakers)) == 2, d['id']
    if d['type'] == 'question_answer':
      assert '\n' in d['text'] and '?' in d['text'], d['id']


def test_no_sentence_frame_is_reused(documents):
  texts = [d['text'] for d in documents]
  assert most_shared(texts, 8) <= 3
  assert most_shared(texts, 6) <= 4
  assert largest_overlap(texts, 5) <= 0.05
  openings = collections.Counter(' '.join(t.split()[:4]) for t in texts)
  assert max(openings.values()) <= 3


def test_ngram_rules_catch_a_template():
  frame = 'Our {} crew learned last winter that care for one another keeps everybody afloat.'
  texts = [frame.format(w) for w in ('ferry', 'kitchen', 'theater', 'harbor')]
  assert most_shared(texts, 8) == 4
  assert largest_overlap(texts, 5) > 0.5
  assert largest_overlap(['one two three four five six', 'six five four three two one'], 5) == 0


def test_pairs_differ_only_in_the_last_reply(pairs):
  assert len(pairs) >= 120
  prompts = set()
  for pair in pairs:
    assert set(pair) == {'chosen', 'rejected'}
    chosen, rejected = split_turns(pair['chosen']), split_turns(pair['rejected'])
    assert chosen[:-1] == rejected[:-1] and chosen[-1] != rejected[-1]
    assert [s for s, _ in chosen] == ['Human', 'Assistant'] * (len(chosen) // 2)
    assert all(words and clean(words) for _, words in chosen + rejected[-1:])
    prompts.add(tuple(chosen[:-1]))
  assert len(prompts) == len(pairs)


def test_length_does_not_give_the_chosen_reply_away(pairs):
  longer = sum(len(p['chosen']) > len(p['rejected']) for p in pairs) / len(pairs)
  assert 0.5 <= longer <= 0.6


def test_a_third_of_the_pairs_has_several_turns(pairs):
  several = sum(len(split_turns(p['chosen'])) > 2 for p in pairs) / len(pairs)
  assert 0.25 <= several <= 0.45


def test_replies_are_not_copied_between_pairs(pairs):
  replies = [split_turns(p[side])[-1][1] for p in pairs for side in ('chosen', 'rejected')]
  assert len(set(replies)) == len(replies)
  assert most_shared(replies, 8) <= 3


def test_the_pairs_are_what_their_readme_says(pairs):
  """Chosen are the dialogues' own; rejected ones are careless, from elsewhere, or curt."""
  dialogues = {pair['chosen']: n for n, pair in enumerate(pairs)}
  answers = {split_turns(chosen)[-1][1]: n for chosen, n in dialogues.items()}
  curt, subsets = collections.defaultdict(set), collections.Counter()
  for row in read_jsonl('pairs.jsonl'):
    assert set(row) == {'chosen', 'rejected', 'subset', 'split'}
    chosen, rejected = split_turns(row['chosen']), split_turns(row['rejected'])
    assert chosen[:-1] == rejected[:-1] and chosen[-1] != rejected[-1]
    n, answer = dialogues[row['chosen']], rejected[-1][1]
    assert row['split'] == ('validation' if n % 5 == 4 else 'train')
    subsets[row['subset']] += 1
    if row['subset'] == 'careless':
      assert not re.search('[A-Z.,;:!?]', answer)
    elif row['subset'] == 'elsewhere':
      assert answers[answer] != n and (answers[answer] % 5 == 4) == (n % 5 == 4)
    else:
      curt[row['split']].add(answer)
      assert len(answer) < 60
  assert subsets == {'careless': 124, 'elsewhere': 62, 'curt': 62}
  assert len(curt['train']) == 25 and len(curt['validation']) == 6
  assert not curt['train'] & curt['validation']
