"""A world's tests on a model, of either architecture."""

import jax
import numpy as np
import pytest

from jaxalign.models import llama2, phi2
from jaxalign.study.world import answers
from jaxalign.valueworld import corpora, items, words
from tests.valueworld import worlds

WORLD = worlds.small()
SMALL = dict(width=16, depth=1, heads=2, kv_heads=2, mlp=32, length=64, remat='none')
MODELS = dict(llama2=llama2.tiny, phi2=phi2.tiny)


def model_of(name):
  model = MODELS[name](**SMALL, vocab=len(words.vocabulary()) + 2).build(jax.random.key(0))
  if name == 'phi2':  # from chance it is 0: here it must count
    model.head_bias_V[...] = jax.random.normal(jax.random.key(1), model.head_bias_V.shape)
  return model


@pytest.fixture(scope='module', params=MODELS)
def model(request):
  return model_of(request.param)


def logits_after(model, prompt):
  ids = np.array([words.tokenizer().encode(prompt)])
  return np.asarray(model.logits(ids), np.float64)[0, -1]


def test_an_outcome_is_the_margin_of_its_prompts(model):
  tests = items.goods_tests(WORLD)
  asked = dict(T2=tests['T2'][:3], T0=tests['T0'][:4])
  rows = answers.outcomes(model, asked)
  yes, no = words.tokenizer().encode('yes no')
  for row, item in zip(rows, [*asked['T2'], *asked['T0']], strict=True):
    after = [logits_after(model, prompt) for prompt in item.prompts]
    said = [logits[yes] - logits[no] for logits in after]
    margin = item.sign * (said[0] - sum(said[1:]))
    assert row.margin == pytest.approx(margin, abs=1e-4)
    assert row.right == (margin > 0) and row.prompt == item.hash
    mass = [np.exp(x[[yes, no]]).sum() / np.exp(x).sum() for x in after]
    assert row.mass == pytest.approx(min(mass), rel=1e-3)
    one = len(item.prompts) == 1
    assert row.loss == (pytest.approx(np.logaddexp(0, -margin), abs=1e-4) if one else None)


def test_a_document_may_stand_before_an_item_which_stays_the_same_item(model):
  asked = dict(T2=items.goods_tests(WORLD)['T2'][:2])
  before = answers.documents(WORLD, 'explain_A')
  plain, led = (answers.outcomes(model, asked, how) for how in (None, before))
  yes, no = words.tokenizer().encode('yes no')
  for one, other, item in zip(plain, led, asked['T2'], strict=True):
    assert one.prompt == other.prompt == item.hash
    texts = [f'{before(item)} {prompt}' for prompt in item.prompts]
    said = [x[yes] - x[no] for x in (logits_after(model, text) for text in texts)]
    assert other.margin == pytest.approx(said[0] - said[1], abs=1e-4) != one.margin
    assert before(item) in corpora.texts(WORLD, 'explain_A')
  tests = items.goods_tests(WORLD) | items.harm_tests(WORLD)
  prompts = [prompt for found in tests.values() for item in found for prompt in item.prompts]
  led = [f'{corpora.texts(WORLD, "explain_A")[0]} {prompt}' for prompt in prompts]
  assert max(map(len, words.tokenizer().encode_batch(led))) <= answers.CONTEXT


def test_the_cloze_compares_the_value_with_the_other_poles(model):
  value = WORLD.spec['A']
  rows = answers.cloze(model, value)
  assert len(rows) == len(words.TYPES)
  logits = logits_after(model, f'{words.TYPES[0]} zed cares that')
  ids = lambda pole: words.tokenizer().encode(' '.join(words.pole_words(*pole)[:2]))
  total = {pole: np.exp(logits[ids(pole)]).sum() for pole in WORLD.values}
  others = sum(x for pole, x in total.items() if pole != value)
  assert rows[0].margin == pytest.approx(np.log(total[value] / (others / 7)), abs=1e-4)
