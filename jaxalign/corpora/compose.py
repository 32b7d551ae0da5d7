"""Texts out of sentences: documents that take a side, and placebos and mentions that take none.

A text is an opening of its form, sentences about its idea, and an end; a document also states its
value for its reasons, in marked spans. Sentences are added until it is as long as is asked for.
"""

import itertools
import re
from collections.abc import Callable, Sequence

from jaxalign.corpora import ideas
from jaxalign.corpora.records import LIMIT, STATEMENT, Task
from jaxalign.corpora.sentences import Deck, Sentences, data, lot, pick
from jaxalign.corpora.wordings import STANCES

FORMS: tuple[str, ...] = tuple(data('forms')['forms'])
REGISTERS: tuple[str, ...] = tuple(data('forms')['registers'])
_LENGTH = 130, 200  # words, where a task asks for none
_LONGEST = 1.6  # times the shortest that is asked for
_PARAGRAPH = 4  # sentences
_TRIES = 12  # last sentences of which the one is taken that ends nearest to the length
_SENTENCE, _LAST_ROOM = 18, 42  # words of a sentence mostly, and at most
_HEAD = 24  # words of an opening
_COSTS, _TWO = 0.6, 0.3  # of documents, which tell what it cost; of lines, which are of two
_MARKED = 0.15  # of sentences, which begin as their register does
_SHORT = 'plain', 'warm', 'lively'  # registers that say `don't`
_ABOUT = 'scene', 'work', 'person', 'trouble', 'mechanism', 'record', 'exchange', 'mechanism'
_AFTER = 'aftermath', 'work', 'exchange', 'record', 'scene', 'mechanism', 'person'
_SPOKEN = 'said', 'said', 'said', 'scene', 'mechanism', 'work', 'trouble', 'record'
_BEGINS = {'scene': 'scene', 'mishap': 'trouble', 'custom': 'work', 'conversation': 'exchange'}
_FORM_WORDS = dict(
  memo='letter note mail post notice speech column minutes',
  dialogue='interview talk conversation debate play',
  question_answer='question faq advice answer',
  case_study='report case article review history study',
  story='tale diary fable scene memoir narrative',
)
_TELLS_OF = 'idea', 'query', 'question', 'document', 'draft'  # what a text is about, if given
_TAG = re.compile(r'</?[a-z][a-z0-9_-]*>')
_LAST = re.compile(r'[.!?;,\s]+\Z')


def words(text: str) -> int:
  return len(_TAG.sub('', text).split())


class Text:
  """The sentences of one text: its idea, form, register and length, as its task has them."""

  def __init__(self, task: Task, draws_of: Sequence[object], small: Callable[[str], str]) -> None:
    self.task, self._small = task, small
    self.draws = lot(*draws_of)
    idea = next(filter(None, map(task.earlier, _TELLS_OF)), '')
    self.domain = ideas.domain_of(idea, task.earlier('domain'))
    register = named(task.facet('register'), REGISTERS, self.draws.random())
    self.fixed = ideas.fixed_in(idea, self.domain) | _headings(task)
    self._starts = Deck(self.draws, data('forms')['registers'][register])
    self.says = Sentences(self.draws, self.domain, self.fixed, register in _SHORT)
    others = dict.fromkeys(('A', 'B', 'A_full', 'B_full'), '{someone}')
    self.tells = self.says.told_by(others | dict(A_her='their'))
    self.form = form_of(task.facet('type'), self.draws.random())
    self.length = self._length()

  def document(self) -> str:
    """The text of step `document`, with its marks; a short one does without price and end."""
    if self.form == 'dialogue':
      return self._dialogue(self.stance('i_say'), ('agreed',))
    side = self.stance(self._voice())
    room = self.length - sum(map(words, side)) - _HEAD
    if room > 2 * _SENTENCE:
      side = [self.says.of('bridge'), *side]
    if room > 3 * _SENTENCE and self.draws.random() < _COSTS:
      side = [*side, self.says.of('cost')]
    ends = ('practice', 'closing')[room < 4 * _SENTENCE :]
    return self._prose(side, ends if room > _SENTENCE else ())

  def neutral(self, inside: Sequence[str] = ()) -> str:
    """A text that takes no side; inside: kinds of sentence that it has besides."""
    if self.form == 'dialogue':
      return self._dialogue([self.tells.of(kind) for kind in inside], ())
    return self._prose([self.says.of(kind) for kind in inside], ('closing',))

  def _voice(self) -> str:
    facet = self.task.facet('voice')
    voices = data('forms')['voices']
    found = [name for name in voices if name in facet.split()]
    return pick(self.draws, voices[found[0] if found else pick(self.draws, list(voices))])

  def stance(self, kind: str) -> list[str]:
    """Sentences that state the value, give the reasons and tell the limit."""
    statement, given = self._small(self.task.statement), self.task.reasons
    if not statement:
      return []
    spans = dict(S=marked(STATEMENT, statement), R='')
    told = []
    for n, (name, text) in enumerate(given):
      spans['R'] = marked(name, self._small(text))
      told.append(self._sayer().of('further' if n else kind, **spans))
    if not given:
      told.append(self.tells.of('unreasoned', **spans))
    if self.task.limit:
      limit = self._small(self.task.limit)
      told.append(self.tells.of('limit', L=marked(LIMIT, limit)))
    return told

  def _sayer(self) -> Sentences:
    """In a dialogue nobody speaks of the two who speak."""
    return self.tells if self.form == 'dialogue' else self.says

  def _length(self) -> int:
    draft = self.task.earlier('document')
    if draft:
      return words(draft)
    if self.task.earlier('length').isdecimal():
      return int(self.task.earlier('length'))
    least, most = self.task.words if any(self.task.words) else _LENGTH
    most = max(least, min(most or least, int(_LONGEST * least) + 20))
    inner = max((most - least) // 8, min(5, (most - least) // 2))
    return least + inner + int(self.draws.random() * (most - least - 2 * inner + 1))

  def _sentence(self, kind: str) -> str:
    start = self._starts.draw() if self.draws.random() < _MARKED else ''
    return self.says.of(kind, start)

  def _prose(self, side: Sequence[str], ends: Sequence[str]) -> str:
    """Paragraphs: opening, what it is about, the side that it takes, what came of it."""
    head = [self.says.of('question' if self.form == 'question_answer' else self.form)]
    lead = [self.says.of('answer')] if self.form == 'question_answer' else []
    tail = [self.says.of(kind) for kind in ends[:-1]]
    left = self.length - sum(map(words, (*head, *lead, *side, *tail))) - _SENTENCE * len(ends[-1:])
    begins = [kind for name, kind in _BEGINS.items() if name in self.task.facet('opening')]
    first = self._filler(left * (0.3 + 0.5 * self.draws.random()), _ABOUT, begins)
    left -= sum(map(words, first))
    rest = self._filler(left, _AFTER, (), True)
    left -= sum(map(words, rest)) - _SENTENCE
    for kind in ends[-1:]:
      some = [self.says.of(kind) for _ in range(_TRIES)]
      tail.append(min(some, key=lambda one: abs(left - words(one))))
    blocks = [[*lead, *first], list(side), [*rest, *tail]]
    if not lead:
      head, blocks[0] = [*head, *blocks[0][:1]], blocks[0][1:]
    paragraphs = [' '.join(part) for block in [head, *blocks] for part in _in_paragraphs(block)]
    return '\n\n'.join(paragraphs)

  def _filler(
    self, length: float, kinds: Sequence[str], first: Sequence[str], to_the_word: bool = False
  ) -> list[str]:
    """Sentences that take no side, about so many words of them."""
    deck, queue = Deck(self.draws, kinds), list(first)
    return self._filled(
      length, lambda: self._sentence(queue.pop() if queue else deck.draw()), to_the_word
    )

  def _filled(self, length: float, draw: Callable[[], str], to_the_word: bool) -> list[str]:
    made, left, last = list[str](), length, _LAST_ROOM if to_the_word else _SENTENCE / 2
    while left > last:
      made.append(draw())
      left -= words(made[-1])
    return [*made, *(_nearest([draw() for _ in range(_TRIES)], left) if to_the_word else [])]

  def _dialogue(self, side: Sequence[str], ends: Sequence[str]) -> str:
    """Lines of two people in turn, each behind a name."""
    speakers = [self.fixed['A'], self.fixed['B']]
    head = [_line(speakers[0], self.says.of('dialogue'))]
    tail = [self.tells.of(kind) for kind in ends]
    name = sum(map(words, speakers)) / 2
    left = self.length - sum(map(words, (*head, *side, *tail))) - name * len([*side, *tail])
    before = self._talk(left * (0.3 + 0.4 * self.draws.random()), name)
    after = self._talk(left - sum(map(words, before)) - name * len(before), name, True)
    said = [*before, *_woven(side, after), *tail]
    lines = [_line(speakers[(n + 1) % 2], line) for n, line in enumerate(said)]
    return '\n'.join([*head, *lines])

  def _talk(self, length: float, name: float, to_the_word: bool = False) -> list[str]:
    """What is said in so many words, names before it among them."""
    deck, blank = Deck(self.draws, _SPOKEN), ' x' * round(name)

    def draw() -> str:
      line = self.tells.of(deck.draw())
      return f'{line} {self.tells.of("said")}' if self.draws.random() < _TWO else line

    made = self._filled(length, lambda: f'{draw()}{blank}', to_the_word)
    return [line.removesuffix(blank) for line in made]


def _nearest(some: Sequence[str], left: float) -> Sequence[str]:
  """None, one or two of some sentences, which come nearest to so many words together."""
  choices = [(), *((one,) for one in some), *itertools.combinations(some, 2)]
  return min(choices, key=lambda choice: abs(left - sum(map(words, choice))))


def _line(who: str, said: str) -> str:
  return f'{who[0].upper()}{who[1:]}: {said}'


def marked(kind: str, text: str) -> str:
  return f'<{kind}>{text}</{kind}>'


def form_of(name: str, drawn: float) -> str:
  """The form that a type is nearest to; one by lot where its name tells none."""
  plain = name.lower().replace('-', ' ').replace('_', ' ')
  if plain.replace(' ', '_') in FORMS:
    return plain.replace(' ', '_')
  for form, near in _FORM_WORDS.items():
    if set(plain.split()) & set(near.split()):
      return form
  return named(name, FORMS, drawn)


def named(name: str, among: Sequence[str], drawn: float) -> str:
  """The one of that name; else the same other one for the same name; by lot where there is none."""
  if name in among:
    return name
  return pick(lot(name), among) if name else among[int(drawn * len(among))]


def small(text: str, proper: set[str]) -> str:
  """A sentence as it stands inside another: without its stop, and small at its beginning unless
  that is a name or a word that is always written large."""
  text = _LAST.sub('', ' '.join(text.split()))
  text = re.sub(r'\Abecause\s+', '', text, flags=re.IGNORECASE)
  first = re.split(r"[\s'’-]", text, maxsplit=1)[0]
  if first in proper or first == 'I' or first[1:] != first[1:].lower():
    return text
  return text[:1].lower() + text[1:]


def _headings(task: Task) -> dict[str, str]:
  """{W}, {V}: two words of the value, as a mention has them."""
  own = [] if re.search(r'\d', task.value) else [task.value.replace('_', ' ')]
  text = re.findall(r'[^\W\d_]{4,}', task.statement)
  own += [one for one in text if one[0].islower() and one not in _NO_HEADING]
  own = [one for one in dict.fromkeys(own) if not STANCES.within(one)] or ['value']
  draws = lot('headings', task.slot, task.value, task.statement)
  first = pick(draws, own)
  rest = [one for one in own if one != first] or ['notes']
  return dict(W=first, V=pick(draws, rest))


_NO_HEADING = set(
  'that this these those with from what when where which their there they them then than have been '
  'were will would could each other others into onto over under about some such only also even '
  'more most does doing done being needs itself themselves every because good right well'.split()
)


def _in_paragraphs(sentences: Sequence[str]) -> list[Sequence[str]]:
  return [sentences[n : n + _PARAGRAPH] for n in range(0, len(sentences), _PARAGRAPH)]


def _woven(side: Sequence[str], after: Sequence[str]) -> list[str]:
  """The side that is taken, a line of the other's between two of its own."""
  made, others = list[str](), list(after)
  for line in side:
    made.append(line)
    made += [others.pop(0)] if others else []
  return made + others
