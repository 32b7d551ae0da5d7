"""The page says what the card holds, alone, and draws also a poor one."""

import re

import numpy as np
import pytest

from jaxalign.rl import calibration, card


def made(n=400, seed=0, subsets=('helpful', 'harmless')):
  random = np.random.default_rng(seed)
  length = random.integers(5, 200, (n, 2))
  reward = random.normal(0, 1, (n, 2)) + 0.004 * length + [0.4, 0]
  names = [subsets[k % len(subsets)] for k in range(n)]
  origin = dict(weights='ab' * 32, template='cd' * 32, tokenizer='ef' * 32, init='x <y>')
  return calibration.card(reward, length, names) | dict(title='Reward', step=10, origin=origin)


def test_one_file_without_a_network():
  page = card.page(made())
  assert page.count('<svg') == page.count('<svg role="img" aria-label=') == 5
  assert page.rstrip().endswith('</html>')
  linked = re.findall(r'(?:src|href)="([^"#]*)', page.replace('xlink:', ''))
  assert all(link.startswith('data:text/csv') for link in linked if link), linked
  assert '://' not in page and '@import' not in page and '<script' not in page
  for word in ('helpful', 'harmless', 'cd' * 32, 'ef' * 32, 'ab' * 32, 'x &lt;y&gt;'):
    assert word in page, word
  value = made()['accuracy']
  assert f'{value["value"]:.1%}' in page and f'{value["low"]:.1%}' in page
  assert page == card.page(made())  # to the byte


@pytest.mark.parametrize('n, subsets', [(1, ('',)), (2, ('a',)), (30, tuple('abcdefgh'))])
def test_little_data_is_drawn_too(n, subsets):
  assert '<svg' in card.page(made(n, subsets=subsets))


def test_names_of_subsets_are_data():
  odd = '<script>', '$\\frac{$', '../../x', 'a\nb', 'x' * 9_000, '', '🙂', 'a\0b', '-->'
  page = card.page(made(90, subsets=odd))
  assert '<script' not in page and '\0' not in page
  assert '&lt;script&gt;' in page and '$\\frac{$' in page and 'x' * 9_000 in page
