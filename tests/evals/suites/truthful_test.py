"""TruthfulQA: its counts and baselines, and models that know nothing, everything, or are broken."""

import math

import pytest

from jaxalign.config import UserError
from jaxalign.evals.suites import truthful
from tests.evals.suites.simulated import judged, mean, scored, unasked


@pytest.fixture(scope='module')
def path(shared):
  return str(shared('truthfulqa/TruthfulQA.csv'))


def test_what_the_file_of_2025_holds(path):
  suite = truthful.Binary(path=path)
  assert suite.counts() == {
    'rows': 790,
    'categories': 37,
    'true answers': 2777,
    'false answers': 3251,
    'best incorrect not among the false': 3,
    'best incorrect not among the false without dot and case': 2,
  }
  items = suite.items()
  assert len(items) == 3 * 790 and len({item.unit for item in items}) == 790
  first, second, plain = items[:3]
  best, worst = plain.choices
  assert first.turns[0].text.index(best) < first.turns[0].text.index(worst)
  assert second.turns[0].text.index(worst) < second.turns[0].text.index(best)
  assert (first.right, second.right) == (('A',), ('B',))


def test_baselines_of_2025(path):
  binary, binary_ll, *_ = truthful.Binary(path=path).measures()
  assert dict(binary.baselines)['longest'] == 489 / 790 and binary_ll.baselines == binary.baselines
  assert dict(binary.baselines)['shortest'] == (790 - 489 - 43) / 790
  mc1 = truthful.MC(path=path).measures()[0]
  rates = {rule: round(rate, 3) for rule, rate in mc1.baselines}
  assert rates == dict(longest=0.387, shortest=0.187)
  assert 0.2 < mc1.chance < 0.25


@pytest.mark.parametrize('sign, rule', [(1, 'longest'), (-1, 'shortest')])
def test_a_model_that_goes_by_length_gets_its_baseline(path, sign, rule):
  suite = truthful.MC(path=path)
  _, mc2, mc3, *_ = suite.measures()
  asked = scored(suite.items(), lambda item, choice: 1000.0 * sign * len(choice))
  rows = suite.rows(asked)
  for one in (mc2, mc3):
    assert mean(rows, one.name) == pytest.approx(dict(one.baselines)[rule], abs=0.01)
  flat = suite.rows(scored(suite.items(), lambda item, choice: -3.0))
  assert mean(flat, 'truthful_mc/mc2') == pytest.approx(mc2.chance, abs=1e-9)
  assert 0.15 < mc3.chance < 0.25


def test_the_file_of_2021(shared):
  path = str(shared('truthfulqa/TruthfulQA_2021_817.csv'))
  assert len(truthful.MC(path=path).items()) == 817
  with pytest.raises(UserError, match="no column 'Best Incorrect Answer'"):
    truthful.Binary(path=path).items()


def test_always_a_is_half_exactly_and_a_constant_too(path):
  suite = truthful.Binary(path=path)
  items = suite.items()
  rows = suite.rows(scored(items, lambda item, choice: float(choice == 'A')))
  assert mean(rows, 'truthful/binary') == 0.5 and mean(rows, 'truthful/first') == 1
  assert sum(row.measure == 'truthful/binary' for row in rows) == 790
  rows = suite.rows(scored(items, lambda item, choice: -3.0))
  assert mean(rows, 'truthful/binary') == mean(rows, 'truthful/binary_ll') == 0.5
  rows = suite.rows(scored(items, lambda item, choice: float(choice == item.right[0])))
  assert mean(rows, 'truthful/binary') == mean(rows, 'truthful/binary_ll') == 1


def test_picking_the_longest_gives_the_baseline(path):
  suite = truthful.Binary(path=path)
  rows = suite.rows(scored(suite.items(), lambda item, choice: float(len(choice))))
  assert mean(rows, 'truthful/binary_ll') == pytest.approx((489 + 43 / 2) / 790, abs=1e-12)


def test_multiple_choice_of_models_that_know_nothing_or_all(path):
  suite = truthful.MC(path=path)
  items = suite.items()
  rows = suite.rows(scored(items, lambda item, choice: -5.0))
  assert mean(rows, 'truthful_mc/mc1') == mean(rows, 'truthful_mc/mc3') == 0
  parts = [len(x.right) / (len(x.right) + len(x.wrong)) for x in items]
  assert mean(rows, 'truthful_mc/mc2') == pytest.approx(sum(parts) / 790, abs=1e-9)
  low = suite.rows(scored(items, lambda item, choice: -1000.0))
  assert mean(low, 'truthful_mc/mc2') == pytest.approx(sum(parts) / 790, abs=1e-9)


def test_multiple_choice_by_hand():
  (item, *_) = truthful.MC(limit=8).items()
  assert (len(item.right), len(item.wrong)) == (2, 2) and item.choices[0] == item.right[0]
  numbers = dict(zip((*item.right, *item.wrong), map(math.log, (0.4, 0.1, 0.3, 0.2))))
  rows = truthful.MC().rows(scored([item], lambda item, choice: numbers[choice]))
  assert mean(rows, 'truthful_mc/mc1') == 1
  assert mean(rows, 'truthful_mc/mc2') == pytest.approx(0.5)
  assert mean(rows, 'truthful_mc/mc3') == 0.5


@pytest.mark.parametrize('form', [truthful.Binary(limit=8), truthful.MC(limit=8)])
def test_a_model_that_gives_nan_is_one_line_and_one_unasked_counts(form):
  items = form.items()
  with pytest.raises(UserError, match='was scored nan') as error:
    form.rows(scored(items, lambda item, choice: math.nan))
  assert '\n' not in str(error.value)
  asked = scored(items, lambda item, choice: float(choice == item.right[0]))
  whole = {row.measure: row.value for row in form.rows(asked)}
  rows = form.rows([unasked(items[0]), *asked[1:]])
  name = f'{form.name}/unasked'
  assert mean(rows, name) == 1 / len(items) and whole[name] == 0
  assert sum(row.measure == name for row in rows) == len(items)
  mc1 = 'truthful/binary' if form.name == 'truthful' else 'truthful_mc/mc1'
  assert mean(rows, mc1) < mean(form.rows(asked), mc1)


def test_scores_that_lack_are_named():
  suite = truthful.MC(limit=8)
  items = suite.items()
  (asked, *_) = scored([items[0]], lambda item, choice: -1.0)
  said = asked.said[0]
  short = type(said)(key='k', item=said.item, scores=said.scores[:1])
  with pytest.raises(UserError, match='1 scores for 4 choices'):
    suite.rows([type(asked)(item=asked.item, said=(short,), verdicts={})])


def test_generation_is_judged_for_truth_and_for_saying_something():
  suite = truthful.Generation(limit=8)
  items = suite.items()
  assert items[0].text.startswith(truthful.PRIMER) and items[0].text.endswith('?\nA:')
  assert truthful.PRIMER.count('Q: ') == 6 and items[0].wants in items[0].text
  assert suite.decode.stop == ('\n\n',) and 'I have no comment.' in items[0].right
  chat = truthful.Generation(limit=8, primer=False).items()[0]
  assert chat.turns[0].text == chat.wants and not chat.text and not chat.choices
  kinds = dict(t='truth', i='info', o='overlap', w='refusal')
  given = dict(t='true', i='uninformative', o='false', w='refusal')
  rows = suite.rows(judged(items, kinds, lambda item, judge, draw: given[judge]))
  name = 'truthful_generation'
  assert mean(rows, f'{name}/true', 't') == 1
  assert mean(rows, f'{name}/informative', 'i') == mean(rows, f'{name}/answered', 'w') == 0
  assert mean(rows, f'{name}/overlap', 'o') == 0
  assert mean(rows, f'{name}/length') == 7
  both = f'{name}/true_and_informative'
  assert mean(rows, both, 't+i') == 0
  said = dict(t=('true', 'false', 'true', 'true'), i=('informative', 'informative', 'abstain', ''))
  kinds = dict(t='truth', i='info')
  apart = suite.rows(judged(items, kinds, lambda item, judge, draw: said[judge][draw], draws=4))
  assert mean(apart, f'{name}/true', 't') == 0.75
  assert mean(apart, f'{name}/informative', 'i') == 0.5
  assert mean(apart, both, 't+i') == 0.25  # in one draw of four both hold
  rows = suite.rows(judged(items, dict(o='overlap'), lambda item, judge, draw: draw - 2.5, draws=2))
  assert mean(rows, f'{name}/overlap_diff', 'o') == -2


def test_other_files_are_refused_by_their_counts(tmp_path, path):
  cut = tmp_path / 'cut.csv'
  text = open(path, encoding='utf-8').read()
  cut.write_text(text[: text.rstrip('\n').rindex('\n') + 1], encoding='utf-8')
  with pytest.raises(UserError, match='789 rows.*790 rows') as error:
    truthful.Binary(path=str(cut)).items()
  assert '\n' not in str(error.value)
  assert len(truthful.Binary(path=str(cut), published=False).items()) == 3 * 789
  assert truthful.Binary(path=str(cut)).source() != truthful.Binary(path=path).source()


def test_eight_that_ship():
  for form in (truthful.Binary, truthful.MC, truthful.Generation):
    items = form(limit=8).items()
    assert len({item.cluster for item in items}) == 8
    assert all(item.slice('category') for item in items)


def test_a_question_with_one_side_is_named(tmp_path):
  path = tmp_path / 'one.csv'
  columns = 'Type,Category,Question,Best Answer,Best Incorrect Answer,Correct Answers'
  path.write_text(f'{columns},Incorrect Answers\nx,y,Why?,because,,because,\n')
  for form in (truthful.Binary, truthful.MC):
    with pytest.raises(UserError, match="'Why\\?' needs a true answer and a false one"):
      form(path=str(path), published=False).items()
