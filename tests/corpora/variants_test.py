"""Variants: a teacher sees a projection, and what is compared is equally long."""

import dataclasses

import pytest

from jaxalign.config import UserError
from jaxalign.corpora import spec, variants
from jaxalign.data import text

SHIPPED = spec.read('schwartz')
TOKENIZER = text.shipped()


def tokens(words):
  return len(TOKENIZER.encode(words, bos=False))


def parts(value):
  """Every text of a value by what it is."""
  yield from (('reason', reason.text) for reason in value.reasons)
  yield from (('rule', rule.text) for rule in value.rules)
  yield from (('finer', finer) for rule in value.rules for finer in rule.finer)
  yield from (('preference', one.prefer) for one in value.preferences)
  yield 'statement', value.statement


@pytest.mark.parametrize(
  'variant, held',
  [
    ('rules', {'rule'}),
    ('value_augmented', {'rule', 'reason'}),
    ('rule_augmented', {'rule', 'finer'}),
    ('value_only', {'statement', 'reason'}),
    ('why', {'statement', 'reason'}),
    ('what', {'statement', 'preference'}),
    ('wrong_why', {'statement', 'reason'}),
  ],
)
def test_a_projection_holds_what_it_should_and_nothing_else(variant, held):
  projected = variants.project(SHIPPED, variant)
  told = variants.told(projected)
  for value in SHIPPED.values:
    here = {kind for kind, part in parts(value) if part in told}
    assert here == held, value.id
  left = {
    text for value in projected.values for reason in value.reasons for text in reason.wordings
  }
  assert bool(left) == ('reason' in held)  # not even where nobody is told


PAIRS = ('why', 'what'), ('value_augmented', 'rule_augmented')
# The specs of the study on a real model have no rules, and the one against both no preferences.
LESS = dict(adviser_a=PAIRS[:1], adviser_b=PAIRS[:1], adviser_anti=())
COMPARED = [(name, pair) for name in spec.shipped() for pair in LESS.get(name, PAIRS)]


@pytest.mark.parametrize('name', LESS)
def test_what_a_spec_does_not_have_is_refused(name):
  for pair in PAIRS:
    if pair not in LESS[name]:
      with pytest.raises(UserError, match=f'{name}.* has no (rule|preference), and variant'):
        variants.project(spec.read(name), pair[1])


@pytest.mark.parametrize('name, pair', COMPARED)
@pytest.mark.parametrize('size', [variants.words, tokens, len])
def test_what_is_compared_is_equally_long(name, size, pair):
  read = spec.read(name)
  first, second = (size(variants.told(variants.project(read, one, size))) for one in pair)
  assert abs(first - second) <= 0.02 * max(first, second)
  assert f'{first:,}' in variants.refuse_unequal(read, pair[0], size)


@pytest.mark.parametrize('name, pair', COMPARED)
@pytest.mark.parametrize('of', ['llama2', 'phi2'])
def test_what_ships_is_equally_long_for_models_that_people_have(name, of, pair, shared):
  tokenizer, read = text.Tokenizer.load(str(shared(f'tokenizers/{of}'))), spec.read(name)

  def size(said: str) -> int:
    return len(tokenizer.encode(said, bos=False))

  first, second = (size(variants.told(variants.project(read, one, size))) for one in pair)
  assert abs(first - second) <= max(2, 0.005 * first)  # two tokens, of the shortest


def test_what_is_not_equally_long_is_refused_with_its_figures():
  short = tuple(dataclasses.replace(v, preferences=v.preferences[:1]) for v in SHIPPED.values)
  read = dataclasses.replace(SHIPPED, values=short)
  for variant in ('why', 'what'):
    with pytest.raises(UserError, match=r'why 1,\d\d\d and what 1,\d\d\d tokens: over 2% apart'):
      variants.refuse_unequal(read, variant, tokens)
  variants.refuse_unequal(read, 'rules', tokens)


def test_wrong_reasons_are_anothers():
  wrong = variants.project(SHIPPED, 'wrong_why')
  given = {}
  for value, own in zip(wrong.values, SHIPPED.values):
    assert value.statement == own.statement and not {*value.reasons} & {*own.reasons}
    donor = next(one for one in SHIPPED.values if one.reasons == value.reasons)
    given[value.id] = donor.id
  assert len({*given.values()}) == len(given)


def test_a_projection_of_nothing_is_refused():
  bare = dataclasses.replace(
    SHIPPED, values=tuple(dataclasses.replace(v, reasons=(), rules=()) for v in SHIPPED.values)
  )
  with pytest.raises(UserError, match='self-direction has no reason'):
    variants.project(bare, 'why')
  with pytest.raises(UserError, match='self-direction has no rule'):
    variants.project(bare, 'rules')
  lone = dataclasses.replace(SHIPPED, values=SHIPPED.values[:1])
  with pytest.raises(UserError, match='wrong_why takes the reasons of another'):
    variants.project(lone, 'wrong_why')
