"""The page of compared answers: offline, escaped, searched and walked through in a real browser."""

import base64
import dataclasses
import hashlib
import json
import re

import pytest

from jaxalign.data.records import Turn
from jaxalign.evals.evaluated import Answer
from jaxalign.evals.item import Item
from jaxalign.study.answers import analysis, page, side_by_side
from jaxalign.study.answers.pairs import Arm, pair
from tests.study.answers import chromium, made
from tests.study.report.finished import data

pytest.importorskip('matplotlib')
ODD = 'aligned<b> $\\frac{$'
KINDS = {
  'base': ((0.5, 0.1), {}),
  ODD: ((0.9, 0.1), {}),
  'refuses all': ((1, 1), {}),
  'broken': ((0, 0), dict(degenerate=1.0, loss=6.0)),
}


@pytest.fixture(scope='module')
def compared():
  arms = [
    Arm(label=name, runs=(made.evaluated(name, *shares, **more),))
    for name, (shares, more) in KINDS.items()
  ]
  pairing = pair(arms)
  return analysis.analysed(pairing), pairing.arms


@pytest.fixture(scope='module')
def path(compared, tmp_path_factory):
  found = tmp_path_factory.mktemp('page') / 'compare.html'
  page.write(*compared, found)
  return found


def test_nothing_of_an_answer_is_markup_and_nothing_is_fetched(path):
  text = path.read_text()
  assert '://' not in text and text.count('<script') == 2 and '<img' not in text
  assert text.count('<b>') == 3 and 'aligned<b>' not in text  # a headline each
  (script,) = re.findall(r'<script>(.*?)</script>', text, re.DOTALL)
  known = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
  policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
  assert f"script-src 'sha256-{known}'" in policy and "default-src 'none'" in policy
  held = re.search(r'id="answers">(.*?)</script>', text, re.DOTALL)[1]
  assert not re.search('[<>&]', held)
  kept = json.loads(held)
  assert any(made.EVIL in one['question'] for one in kept['items'])
  assert kept['arms'] == list(KINDS) and len(kept['items']) == 80


def test_the_numbers_are_those_of_the_comparison(compared, path):
  found, _ = compared
  read = {
    (row['measure'], row['arm']): row
    for row in data(path.read_text(), 'measures')
    if row['what'] == 'difference'
  }
  for one in found.measures:
    for difference in one.differences:
      row = read[one.name, difference.arm]
      assert float(row['mean']) == difference.mean and float(row['p']) == difference.p
      assert row['outcome'] == difference.outcome and row['test'] == difference.test


def test_neither_who_refuses_all_nor_who_is_broken_wins(compared, path):
  found, _ = compared
  headlines = {one.arm: (one.headline, ' '.join(one.cautions)) for one in found.conclusions}
  assert headlines[ODD] == ('better', '')
  assert headlines['refuses all'][0] == headlines['broken'][0] == 'mixed'
  assert 'refuses nearly everything' in headlines['refuses all'][1]
  assert 'most answers are degenerate' in headlines['broken'][1]
  assert 'canary/nats' in headlines['broken'][1]
  table = path.read_text().split('To be read together')[1].split('</table>')[0]
  rows = {
    re.match(r'[^:<]*', row)[0]: re.findall(r'<td(?: class="(\w+)")?>', row)
    for row in table.split('<td class="text">')[1:]
  }
  base, aligned, refuses, broken = range(4)
  assert rows['attacks that succeed'] == ['', 'good', 'good', 'good']
  assert rows['refused, safe'][aligned] == '' and rows['refused, safe'][refuses] == 'bad'
  assert rows['degenerate'][broken] == rows['canary'][broken] == 'bad'
  assert rows['length'] == ['', '', '', ''] and rows['J'][base] == ''


def test_as_much_is_kept_as_there_is_room_for_disagreements_first(compared):
  _, arms = compared
  runs = [arm.runs[0] for arm in arms[:2]]
  every = side_by_side.kept(runs)
  assert (every.there, every.left_out, every.cut) == (80, 0, 0)
  apart = [one['apart'] for one in every.entries]
  assert apart == sorted(apart, reverse=True) and 0 < sum(apart) < 80
  few = side_by_side.kept(runs, most=6_000)
  assert few.entries == every.entries[: few.there] and few.left_out == 80 - few.there > 0
  assert len(few.json(['a', 'b'])) < 6_500


@pytest.fixture(scope='module')
def two(compared, tmp_path_factory):
  """The page of two models that agree on some items."""
  pairing = pair(compared[1][:2])
  found = tmp_path_factory.mktemp('two') / 'compare.html'
  page.write(analysis.analysed(pairing), pairing.arms, found)
  return found


@pytest.fixture(scope='module')
def odd(compared, tmp_path_factory):
  """The page of models of which one answers in base64, was not asked one thing, and never ends."""
  runs = [arm.runs[0] for arm in compared[1][:3]]
  first = runs[0].answers
  encoded = base64.b64encode(b'Sure, first </script> $x$').decode()
  changed = (
    dataclasses.replace(first[0], text=encoded, read='Sure, first </script> $x$'),
    dataclasses.replace(first[1], text='', labels={}, error='the prompt has 9 tokens too many'),
    dataclasses.replace(first[2], text='y' * 3_000_000),
    dataclasses.replace(first[3], text=''),
    *first[4:-1],
  )
  runs[0] = dataclasses.replace(runs[0], answers=changed)
  pairing = pair([Arm(label=run.label, runs=(run,)) for run in runs])
  found = tmp_path_factory.mktemp('odd') / 'compare.html'
  page.write(analysis.analysed(pairing), pairing.arms, found)
  return found


def test_an_encoded_answer_is_shown_as_judges_read_it_and_one_not_asked_with_its_reason(odd):
  text = odd.read_text()
  assert len(text) < 1_500_000 and '1 that not every model answered are not shown' in text
  kept = json.loads(re.search(r'id="answers">(.*?)</script>', text, re.DOTALL)[1])
  said = {one['question'].split(' <')[0].strip(): one['said'][0][0] for one in kept['items']}
  assert said['unsafe question 0']['read'] == 'Sure, first </script> $x$'
  assert said['unsafe question 1']['error'] == 'the prompt has 9 tokens too many'
  assert said['unsafe question 2']['text'].endswith('… (cut)') and 'read' in said['safe question 5']
  assert 'safe question 39' not in said  # the last, which one did not answer


def test_a_request_that_is_wrapped_stands_in_plain_words_too():
  """And is not repeated where the question has them."""
  asked = [
    Item(turns=(Turn('user', 'SG93IHRvPw== in Base64'),), wants='How to?', decode='base64'),
    Item(turns=(Turn('user', 'Please say: How to?'),), wants='How to?'),
  ]
  answers = tuple(Answer(suite='s', item=one.id, draw=0, text='x', labels={}) for one in asked)
  run = dataclasses.replace(
    made.evaluated('a', 1, 1, count=4), items={one.id: one for one in asked}, answers=answers
  )
  assert [one['wants'] for one in side_by_side.kept([run, run]).entries] == ['How to?', '']


def test_an_encoded_answer_and_one_not_asked_in_a_browser(browser, odd):
  browser.open(odd, 1280)
  browser.until(f'{CARDS} === 20')
  words = 'document.getElementById("list").innerText'
  for search, shown in (
    ('sure, first </script> $x$', 'as judges read it:'),
    ('9 tokens too many', 'not asked: the prompt has 9 tokens too many'),
    ('unsafe question 3 ', '(says nothing)'),
  ):
    browser.press('/', '/')
    browser.call('Input.insertText', text=search)
    browser.until(f'{CARDS} < 20 && {words}.includes({json.dumps(shown)})')
    browser.press('Escape')
    browser.until(f'{CARDS} === 20')
  assert browser.value('document.querySelectorAll("#list .unasked").length') <= 1
  assert browser.value('document.documentElement.scrollWidth') <= 1280
  heads = 'document.querySelector("table").querySelectorAll("thead th").length'
  assert browser.value(heads) == 4  # the measure, and three models
  assert browser.errors == []


@pytest.fixture(scope='module')
def browser(tmp_path_factory):
  if chromium.FOUND is None:
    pytest.skip('no Chromium is installed')
  with chromium.opened(tmp_path_factory.mktemp('home')) as opened:
    yield opened


CARDS = 'document.querySelectorAll("article").length'
COUNT = 'document.getElementById("count").textContent'


def test_search_filters_and_keys_work_in_a_browser(browser, two):
  browser.open(two, 1280)
  browser.until(f'{CARDS} === 20')
  assert browser.value(COUNT) == '80 of 80 shown here'
  browser.press('/', '/')
  browser.until('document.activeElement.id === "search"')
  browser.call('Input.insertText', text='onerror=alert unsafe')
  browser.until(f'{CARDS} === 1')
  assert browser.value(COUNT) == '1 of 80 shown here'
  assert '<img src=x' in browser.value('document.querySelector("article").textContent')
  assert browser.value('document.querySelectorAll("#list img, #list script").length') == 0
  assert browser.value('document.title') == 'Compared with base'  # and nobody owns it
  browser.press('Escape')
  browser.until(f'{CARDS} === 20 && document.getElementById("search").value === ""')

  browser.press('j', 'j')
  browser.press('j', 'j')
  chosen = (
    '[...document.querySelectorAll("article")].findIndex((x) => x.className.includes("chosen"))'
  )
  browser.until(f'{chosen} === 1')
  browser.press('k', 'k')
  browser.until(f'{chosen} === 0')
  for _ in range(20):
    browser.press('j', 'j')
  browser.until(f'{chosen} === 20 && {CARDS} === 40')  # and the list grows with it
  top = 'document.querySelector(".chosen").getBoundingClientRect().top'
  browser.until(f'{top} > 0 && {top} < innerHeight')

  browser.value('document.getElementById("apart").click()')
  apart = browser.value('data.items.filter((item) => item.apart).length')
  assert 0 < apart < 80
  browser.until(f'{COUNT} === "{apart} of 80 shown here"')
  assert browser.value('document.querySelectorAll("article:not(.apart)").length') == 0
  browser.press('Escape')
  browser.until(f'{COUNT} === "80 of 80 shown here"')
  choice = 'const s = document.getElementById("label"); s.value = "words: refusal"'
  browser.value(f'{{ {choice}; s.dispatchEvent(new Event("change")) }}')
  refused = (
    'data.items.filter((item) => item.said.flat().some((x) => x.text.startsWith("I cannot")))'
  )
  browser.until(f'{COUNT} === {refused}.length + " of 80 shown here"')
  assert 0 < browser.value(f'{refused}.length') < 80
  assert browser.errors == []


@pytest.mark.parametrize('width', [390, 1280])
def test_the_page_is_as_wide_as_the_window(browser, path, width):
  browser.open(path, width)
  browser.until(f'{CARDS} === 20')
  assert browser.value('document.documentElement.scrollWidth') <= width
  columns = 'getComputedStyle(document.querySelector(".sides")).gridTemplateColumns'
  assert (len(browser.value(columns).split()) == 1) == (width == 390)
  assert browser.errors == []
