"""Ideas: who is where and what has happened, drawn by the grammar and read again from their text.

A document knows of its idea only what its task says, as any teacher does: names, place, object and
trouble are found in the text of the idea, and people without a name in it are called by what they
do. So no text names anybody that its idea does not.
"""

import random
import re

from jaxalign.corpora.sentences import article, below, lot, people, pick, places, singular

_Fixed = dict[str, str]
_NAMED = re.compile(r'([A-Z][a-z]+) ([A-Z][a-z]+)(, an? [a-z ]+)?')
SITES = {domain: domain.replace('_', ' ') for domain in places()}


def written(draws: random.Random, domain: str) -> str:
  """An idea that plays in a domain."""
  own, names = places()[domain], people()
  pair = []
  for _ in range(2):
    first = pick(draws, names[pick(draws, ('she', 'he'))])
    pair.append(f'{first} {pick(draws, names["family"])}')
  roles = own['role']
  at = below(draws, len(roles))
  other = (at + 1 + below(draws, len(roles) - 1)) % len(roles)
  fixed = dict(A_full=pair[0], B_full=pair[1], A_role=roles[at], B_role=roles[other])
  fixed |= dict(site=SITES[domain], town=pick(draws, names['town']))
  for name, slot in dict(object='machine', trouble='trouble', event='event').items():
    fixed[name] = singular(pick(draws, own[slot]))
  fixed |= {f'a_{name}': article(fixed[name]) for name in ('trouble', 'A_role', 'B_role')}
  return re.sub(r'\{(\w+)\}', lambda found: fixed[found[1]], pick(draws, people()['idea']))


def domain_of(text: str, name: str = '') -> str:
  """The domain that a name or a text tells; one by lot where nothing in them does."""
  plain = name.lower().replace('_', ' ')
  for domain, site in SITES.items():
    if site in plain:
      return domain
  found = [(text.find(site), domain) for domain, site in SITES.items() if site in text]
  return min(found)[1] if found else _nearest(text or name)


def _nearest(text: str) -> str:
  """The domain most of whose words a text holds."""
  if ' ' in text:
    hits = {
      domain: sum(singular(entry) in text for words in lists.values() for entry in words)
      for domain, lists in places().items()
    }
    best = max(hits, key=lambda domain: hits[domain])
    if hits[best] > 1:
      return best
  return pick(lot('domain', text), list(SITES))


def fixed_in(text: str, domain: str) -> _Fixed:
  """{slot: text} of an idea: its people, place, object, trouble and event."""
  own, draws = places()[domain], lot('idea', text)
  fixed = dict(site=SITES[domain], town=_first(text, people()['town']) or 'our town')
  for name, slot in dict(object='machine', trouble='trouble', event='event').items():
    entries = [singular(entry) for entry in own[slot]]
    fixed[name] = _first(text, entries) or pick(draws, entries)
  people_of = _named(text, own['role'])
  for n, letter in enumerate('AB'):
    full, role, she, her = people_of[n] if n < len(people_of) else ('', '', 'they', 'their')
    role = role or own['role'][4 * n + below(draws, 4)]
    fixed |= {f'{letter}_role': role, f'{letter}_she': she, f'{letter}_her': her}
    fixed |= {f'{letter}_full': full or f'the {role}', letter: full or f'the {role}'}
  if len(people_of) > 1 and people_of[0][0].split()[0] != people_of[1][0].split()[0]:
    fixed |= {letter: fixed[letter].split()[0] for letter in 'AB'}
  return fixed


def _named(text: str, roles: list[str]) -> list[tuple[str, str, str, str]]:
  """(name, role, pronouns) of the first two people whom the grammar could have named."""
  found: dict[str, tuple[str, str, str, str]] = {}
  she, he = set(people()['she']), set(people()['he'])
  for match in _NAMED.finditer(text):
    first, family, behind = match[1], match[2], match[3] or ''
    if family in people()['family'] and first in she | he:
      role = _first(behind, [singular(one) for one in roles])
      pronouns = ('she', 'her') if first in she else ('he', 'his')
      found.setdefault(f'{first} {family}', (f'{first} {family}', role, *pronouns))
  return list(found.values())[:2]


def _first(text: str, entries: list[str]) -> str:
  """The longest of the entries that a text holds."""
  return max((entry for entry in entries if entry in text), key=len, default='')
