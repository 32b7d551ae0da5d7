"""Whether a text is an answer at all: what repeats itself, and what no language is written in.

A few words are hard to tell. "Paris." takes up no word of its question, and neither does "dkfj sla
qwpe": so the letters are looked at, pair by pair, and whether a run of words could stand in a
sentence. Made-up words that can be spoken, and one or two real words that answer something else,
are taken for an answer: no rule without a dictionary finds them.
"""

import collections
import re

_LONG, _LETTERS = 60, 10  # of a word that is none; Chinese has no spaces, and many letters
_LOOPS = 24  # words from which repetition is told by runs of three
_FRESH = 0.5  # of all runs of three words, so many are new at least; of all words, no one is more
_DISTINCT = 0.4  # of the words of a short text, at least, from _SOME on
_SOME = 6
_OFTEN = 5  # words from which one word may be too often there
_SAME = 3  # words from which one word over and over is nothing said
_ODD, _ODD_FEW = 0.15, 0.2  # of the pairs of letters, from which it is no language; of few pairs
_PAIRS = 12  # from which they are not few
_SPELLED = 5  # letters, at most, of what is spelled out: UK, HTTP
_SIGNS = 0.5  # of the characters that are neither letters nor digits
_BARE = 3  # words without one that holds a sentence together, from which they are a heap
_CLAIMS = frozenset(('yes', 'no'))  # may stand alone, again and again
# The letters that follow a letter, or begin a word, in 30 English words or more, of the 26,000 that
# occur twice in public answers, and the letters that end one.
_FOLLOW = {
  '': 'abcdefghijklmnopqrstuvwyz',
  'a': 'bcdefghiklmnoprstuvwxyz',
  'b': 'abeilorsuy',
  'c': 'acehiklorstuy',
  'd': 'adegilmnorsuvwy',
  'e': 'abcdefghiklmnopqrstuvwxyz',
  'f': 'aefilortuy',
  'g': 'aeghilnorstuy',
  'h': 'aeilmnorstuwy',
  'i': 'abcdefgklmnopqrstuvxz',
  'j': 'aeou',
  'k': 'aeilnorsuy',
  'l': 'abcdefgiklmopstuvy',
  'm': 'abceimopsuy',
  'n': 'abcdefghijklmnorstuvy',
  'o': 'abcdefghiklmnoprstuvwxy',
  'p': 'aehiloprstuy',
  'q': 'u',
  'r': 'abcdefghiklmnoprstuvwy',
  's': 'abcefhiklmnopqstuwy',
  't': 'abcefhilmnorstuwyz',
  'u': 'abcdefgilmnprst',
  'v': 'aeio',
  'w': 'aehinors',
  'x': 'aceipt',
  'y': 'abcdeilmnoprst',
  'z': 'aeio',
}
_LAST = frozenset('abcdefghiklmnoprstuvwxyz')
_NARROW = frozenset('the an of to in and for with by at on from or but as'.split())
_BROKEN = re.compile(  # what follows no article in any sentence
  r'\b(?:the|an) (?:the|an?|of|and|to|in|for|with|but|or|is|are|was|were|he|she|they|it)\b'
)
_HELD = frozenset(
  'a an the is are was were be been am do does did done has have had having can could will would '
  'may might must shall should not no never none yes i you he she it we they me him her us them my '
  'your his its our their mine this that these those there here who whom what which when where why '
  'how of to in on at by for with from as about into onto over under after before between through '
  'during without within near and or nor but if because so than then though although while until '
  'unless very too only just also always often up out off down all any some most more less many '
  'much few both each every other one two three four five six seven eight nine ten nothing '
  'everything something anything nobody everybody somebody anybody sure thanks please let get '
  'getting make use using try today now still yet again'.split()
)
_MARKS = re.compile(r'<[^<>\s]{1,20}>|\[/?[A-Z]{2,9}\]')  # of a chat template, and no words
_LISTED = re.compile(r'[,;:/\n|]')
RULES = (
  (_LONG, _LETTERS, _LOOPS, _FRESH, _DISTINCT, _SOME, _OFTEN, _SAME, _ODD, _ODD_FEW, _PAIRS),
  (_SPELLED, _SIGNS, _BARE, _MARKS.pattern, _LISTED.pattern),
  (sorted(_CLAIMS), _FOLLOW, sorted(_LAST), sorted(_NARROW), _BROKEN.pattern, sorted(_HELD)),
)


def words(text: str) -> list[str]:
  return re.findall(r"[^\W_]+(?:'[^\W_]+)?", text)


def degenerate(question: str, answer: str) -> str:
  """Why this is no answer; '' where it may be one."""
  answer = _MARKS.sub(' ', answer)
  said, question = words(answer.lower()), question.lower()
  if not said:
    return 'no words'
  if said == words(question):
    return 'the question again'
  if len(said) == 1 and len(said[0]) > _LONG and len(set(said[0])) < _LETTERS:
    return 'one long word'
  return _again(said) or _broken(said, answer)


def _again(said: list[str]) -> str:
  """How a text repeats itself; '' where it does not."""
  word, often = collections.Counter(said).most_common(1)[0]
  if often == len(said) >= _SAME and word not in _CLAIMS:
    return f'one word, {often} times'
  if len(said) >= _OFTEN and word not in _CLAIMS and often > _FRESH * len(said):
    return f'one word is {often} of {len(said)}'
  if _SOME <= len(said) < _LOOPS and len(set(said)) <= _DISTINCT * len(said):
    return f'{len(set(said))} of {len(said)} words are new'
  runs = list(zip(said, said[1:], said[2:]))
  if len(said) >= _LOOPS and len(set(runs)) < _FRESH * len(runs):
    return f'{len(set(runs))} of {len(runs)} runs of three words are new'
  return ''


def _broken(said: list[str], answer: str) -> str:
  """What shows that no language is written here; '' where nothing does."""
  if len(said) >= _BARE and all(len(word) == 1 for word in said) and not _LISTED.search(answer):
    return 'single letters'
  dense = ''.join(answer.split())
  if len(dense) > _LETTERS and sum(not c.isalnum() for c in dense) > _SIGNS * len(dense):
    return 'signs, and few letters'
  if len(said) == 1 and len(said[0]) >= _SAME and len(set(said[0])) == 1 and not dense.isdigit():
    return 'one letter'
  odd, pairs = _odd([word for word in words(answer) if not _named_by_letters(word)])
  if odd >= (_ODD if pairs >= _PAIRS else _ODD_FEW) * max(pairs, 1):
    return f'{odd} of {pairs} pairs of letters are of no language'
  return ''


def _named_by_letters(word: str) -> bool:
  """Whether a word is spelled, as UK and HTTP are, or a letter."""
  return len(word) <= _SPELLED and (word.isupper() or len(word) == 1)


def _odd(said: list[str]) -> tuple[int, int]:
  """(pairs of letters that English words do not have, all pairs); none of words in other letters,
  in which nothing can be told."""
  plain = [word for word in (w.split("'")[0].lower() for w in said) if word.isascii()]
  plain = [word for word in plain if word.isalpha()]
  if 2 * len(plain) < len(said):
    return 0, 0
  pairs = [b in _FOLLOW[a] for word in plain for a, b in zip(('', *word), word)]
  pairs += [word[-1] in _LAST for word in plain]
  return len(pairs) - sum(pairs), len(pairs)


def unjoined(answer: str) -> str:
  """Why a few words can be no sentence; '' where they may be one."""
  said = words(answer.lower())
  if all(word in _NARROW for word in said):
    return 'words that only join others'
  found = _BROKEN.search(' '.join(said))
  return f'"{found[0]}" stands in no sentence' if found else ''


def heap(answer: str) -> str:
  """Why a few words only lie side by side; '' where they may say something. `answer` has its
  capitals, by which names are known."""
  said = words(answer.lower())
  if len(said) < _BARE or _LISTED.search(answer.strip()) or not answer.isascii():
    return ''
  named = any(not word[:1].islower() for word in words(answer)[1:])
  held = any(word in _HELD or "'" in word or word.endswith('ly') for word in said)
  return '' if held or named else f'{len(said)} words that nothing holds together'
