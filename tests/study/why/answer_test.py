"""What study 3 says of an outcome: no more than its plan allows, and a null with its power."""

import dataclasses
import re

import pytest

from jaxalign.study.plan.rules import Claim
from jaxalign.study.why import answer
from tests.study.why import planted
from tests.study.why.planted import CARRIES_NOWHERE, NAMED, SISTER

NUMBER = r'[+-]\d+\.\d\d of V \[-?\d+\.\d\d, -?\d+\.\d\d\]'
CLAIMS = 'mechanism that suffices', 'carried to what no document names'


@pytest.fixture(scope='module')
def supported():
  found = planted.planted()
  assert found.verdict == 'SUPPORTED', found.sentence
  return found


def test_supported_by_what_no_document_names(supported):
  said = answer.answer(supported)
  assert said.startswith(
    'Yes, in this world, on 16 seeds: reasons carried to what no document names'
  )
  assert re.search(rf'\(P2 {NUMBER}, p [=<] \S+ after Holm; 16 such seeds find an effect of', said)
  named = answer.named(supported)
  assert re.search(
    rf'not shown: that reasons add anything on what documents name \(P1 {NUMBER}', named
  )
  mean = next(one for one in supported.contrasts if one.name == 'P2').primary.mean
  assert f'P2 {mean:+.2f} of V' in said and said.count('. ') == 0, 'one sentence'


def test_how_much_of_what_is_carried_is_more_than_the_lead_on_what_is_named(supported):
  by_name = {one.name: one for one in supported.contrasts}
  further = [by_name['P2'].seeds[seed] - by_name['P1'].seeds[seed] for seed in supported.seeds]
  said = answer.beyond(supported)
  assert re.search(rf'P2 less P1, seed by seed, is {NUMBER} \(p [=<] [\d.]+, two-sided', said)
  assert f'is {sum(further) / len(further):+.2f} of V' in said and 'not judged' in said
  assert answer.beyond(planted.without(supported, 'P1')) == ''


def test_what_supported_means_and_does_not(supported):
  said = answer.meaning(supported)
  assert CLAIMS[0] in said and '(kappa = 0) it is less' in said
  assert 'documents without reasons weigh less there is a part of it' in said
  assert 'It says nothing of how language models come to have such a regularity' in said


def test_reasons_of_another_pair_that_carry_as_far_are_said_in_the_answer(supported):
  assert 'another pair' not in answer.answer(supported) + answer.meaning(supported)
  assert re.match(
    r'Whether the reason itself is read: the right reasons carried further .* \(S1 \+',
    answer.read(supported),
  )
  alike = planted.planted(range(24), sister=SISTER | dict(wrong=SISTER['why']), spread=0.1)
  assert alike.verdict == 'SUPPORTED'
  tail = '; not shown: that the right reasons carry further than those of another pair.'
  assert answer.answer(alike).endswith(tail)
  assert 'and not only that some are given, is not shown' in answer.meaning(alike)
  said = answer.read(alike)
  assert 'read: not shown: that the right reasons' in said and 'within 0.2 of none' in said
  assert answer.read(planted.without(supported, 'S1')).endswith('not measured.')


def test_rates_that_do_not_move_are_said_beside_log_odds_that_do(supported):
  contrasts = []
  for one in supported.contrasts:
    rate = dataclasses.replace(one.scales['rate'], low=-0.05)
    contrasts.append(dataclasses.replace(one, scales={**one.scales, 'rate': rate}))
  unsure = dataclasses.replace(supported, contrasts=tuple(contrasts))
  assert re.match(
    r'Log-odds move, and answers are not shown to: in rates P2 is \+0\.\d\d \[-0\.05, ',
    answer.answers(unsure),
  )
  assert supported.contrasts[1].scales['rate'].low > 0 and answer.answers(supported) == ''


def test_a_null_is_a_null_with_its_power():
  found = planted.planted(named=NAMED | dict(what=NAMED['why']), sister=CARRIES_NOWHERE)
  assert found.verdict == 'NOT SUPPORTED'
  said = answer.answer(found)
  assert said.startswith('Not shown on 16 seeds: that reasons carry further')
  assert 'not shown: that reasons add anything' in answer.named(found)
  both = said + answer.named(found)
  assert len(re.findall(r'16 such seeds find an effect of [\d.]+ in 4 studies of 5', both)) == 2
  assert not any(claim in said + answer.meaning(found) for claim in CLAIMS)
  assert 'Yes' not in said and 'no effect' not in said


def test_only_equivalence_says_that_nothing_is_added():
  alike = planted.planted(range(24), named=NAMED | dict(what=NAMED['why']), spread=0.1)
  assert 'why adds nothing that would matter' in answer.meaning(alike)
  assert 'and it is within 0.2 of none' in answer.named(alike)
  few = planted.planted(range(8), named=NAMED | dict(what=NAMED['why']), spread=0.1)
  assert 'why adds nothing' not in answer.meaning(few), 'fewer seeds than such a claim takes'


def test_where_the_instrument_fails_nothing_is_said():
  found = planted.planted(gate=0.5)
  said = answer.answer(found)
  assert said.startswith(
    'This run of 16 seeds cannot tell, since checks of the instrument failed: '
  )
  assert 'background choices right (0 of 16 seeds)' in said and len(said) < 700
  assert answer.meaning(found) == '' and not any(claim in said for claim in CLAIMS)
  assert answer.order(found).endswith('for the record, since this run cannot tell.')


def test_too_few_seeds_are_said():
  found = planted.planted(range(2))
  assert 'P2 has 2 of the 6 seeds' in answer.answer(found)
  one = planted.planted(range(1))
  assert 'nan' not in ' '.join([answer.answer(one), answer.order(one), *dict(answer.controls(one))])


def test_without_controls_what_it_comes_from_is_not_shown():
  found = planted.planted(controls=())
  assert found.verdict == 'PARTIAL'
  said = answer.answer(found)
  assert said.startswith('In part, on 16 seeds: reasons carried')
  assert 'worlds with kappa = 0 were not run, so what it comes from is not shown' in said
  assert CLAIMS[0] not in answer.meaning(found)
  assert [words.split(':')[0] for _, words in answer.controls(found)] == ['not run', 'not run']


def test_a_control_that_shows_as_much_takes_the_claim_back():
  found = planted.planted(control=dict.fromkeys(('kappa', 'rho'), (NAMED, SISTER | dict(why=2.4))))
  assert found.verdict == 'PARTIAL'
  assert 'P2 is not shown to be more than with kappa = 0' in answer.answer(found)
  assert all('is not shown' in words for _, words in answer.controls(found))


def test_controls_are_rows_in_words(supported):
  rows = dict(answer.controls(supported))
  assert [*rows] == [
    'Where documents say nothing about what their agent chooses (rho = 0)',
    'Where reasons predict nothing beyond what they name (kappa = 0)',
  ]
  kappa = rows['Where reasons predict nothing beyond what they name (kappa = 0)']
  pattern = rf'the lead of reasons on what no document names \(P2\) is {NUMBER} there'
  assert re.match(pattern, kappa) and 'one-sided p < 0.001' in kappa


def test_the_other_way_is_said_so():
  found = planted.planted(sister=SISTER | dict(why=0.1, what=2.5))
  said = answer.answer(found)
  assert said.startswith('No, on 16 seeds: on what no document names, reasons carried less')
  assert 'that reasons carry' not in said


@pytest.mark.parametrize(
  'late, says',
  [
    (
      0.1,
      r'Order: reasons steered more before all demonstrations than after the first of them \(P3 \+',
    ),
    (2.3, r'Order: not shown: that reasons steer more before .* 16 such seeds find'),
    (
      4.0,
      r'Order: reasons steered less before all demonstrations than after the first of them \(P3 -',
    ),
  ],
)
def test_the_order_has_its_own_sentence(late, says):
  found = planted.planted(named=NAMED | dict(late=late))
  assert re.match(says, answer.order(found)) and 'Order' not in answer.answer(found)


def test_what_was_not_measured_is_said(supported):
  less = planted.without(supported, 'P3')
  assert answer.order(less) == 'Order: not measured.'
  rules = dataclasses.replace(supported.rules, contrasts=(), family=(), secondary=(), claim=None)
  bare = dataclasses.replace(supported, contrasts=(), rules=rules)
  assert answer.order(bare) == '' and answer.controls(bare) == []


def test_a_plan_of_other_contrasts_has_their_words(supported):
  """Whoever judges something else is not said to have found P1 or P2."""
  named = {'P1': 'Q1', 'P2': 'Q2'}
  rename = lambda every: tuple(
    dataclasses.replace(one, name=named.get(one.name, one.name)) for one in every
  )
  rules = dataclasses.replace(
    supported.rules, contrasts=rename(supported.rules.contrasts), family=('Q1', 'Q2', 'P3'),
    claim=Claim(any_of=('Q1', 'Q2')),
  )  # fmt: skip
  found = dataclasses.replace(supported, rules=rules, contrasts=rename(supported.contrasts))
  said = answer.answer(found)
  assert 'to what no document names (Q2 +' in said and 'P2' not in said
  assert CLAIMS[0] not in answer.meaning(found)
