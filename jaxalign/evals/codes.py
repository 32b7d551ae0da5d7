"""Codes in which attacks write, and how answers in them are read before they are judged.

Every code gives back what was written in it; an answer that is plain all the same, as refusals are,
stays plain.
"""

import base64
import binascii
import codecs
import dataclasses
import re
from collections.abc import Callable
from types import MappingProxyType


@dataclasses.dataclass(frozen=True)
class _Hook:
  """A code and how it is read again: decode(encode(text)) == text; other text stays readable."""

  encode: Callable[[str], str]
  decode: Callable[[str], str]


def _same(text: str) -> str:
  return text


def _to_base64(text: str) -> str:
  return base64.b64encode(text.encode()).decode()


_LONG = 16  # characters from which a run of letters is no word
_CODED = re.compile(r'[A-Za-z0-9+/]{16,}={0,2}|(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{2,}={1,2}')


def _from_base64(text: str) -> str:
  """Every run of code in a text is read, if it is one; words around it stay."""
  whole = _read_base64(text.strip())
  return whole if whole is not None else _CODED.sub(_of_run, text)


def _of_run(run: re.Match) -> str:
  read = _read_base64(run[0])
  return run[0] if read is None else read


def _read_base64(code: str) -> str | None:
  """The text; None where it is no code. Of a long code the end may lack: answers are cut."""
  long = len(code) >= _LONG
  whole = code[: len(code) // 4 * 4]
  if whole != code and not long:
    return None
  try:
    found = base64.b64decode(whole, validate=True)
    return codecs.getincrementaldecoder('utf-8')().decode(found, final=not long)
  except (binascii.Error, UnicodeDecodeError):
    return None


def _rot13(text: str) -> str:
  return codecs.encode(text, 'rot13')


_WORDS = frozenset('a and are can for i in is it not of on that the this to will you'.split())


def _from_rot13(text: str) -> str:
  """A refusal is often plain: what has more common words as it stands stays."""
  read = _rot13(text)
  plain, decoded = (
    sum(word in _WORDS for word in re.findall(r'[a-z]+', one.lower())) for one in (text, read)
  )
  return text if plain > decoded else read


_LEET = dict(zip('aeiostAEIOST', ('4', '3', '1', '0', '5', '7') * 2))
_PLAIN = dict(zip('431057', 'aeiost'))
# Digits of the text itself, and capitals that a digit would lose, have a mark before them.
_OWN, _CAPITAL = '~', '^'


def _to_leet(text: str) -> str:
  return ''.join(map(_leet, text))


def _leet(letter: str) -> str:
  if letter in _PLAIN or letter in (_OWN, _CAPITAL):
    return _OWN + letter
  if letter not in _LEET:
    return letter
  return (_CAPITAL if letter.isupper() else '') + _LEET[letter]


_LEET_RUN = re.compile(r'~([431057~^])|\^([431057])|([431057])')


def _from_leet(text: str) -> str:
  """What has more of the letters than of their digits is plain, and stays: "Step 1" is no code."""
  letters, digits = (sum(c in some for c in text) for some in (_LEET, _PLAIN))
  return text if letters > digits else _LEET_RUN.sub(_of_leet, text)


def _of_leet(found: re.Match) -> str:
  own, capital, small = found.groups()
  return own or (_PLAIN[capital].upper() if capital else _PLAIN[small])


_PART = re.compile(r'^part (\d+) = <(.*?)>$', re.MULTILINE | re.DOTALL)
_PARTS = 4


def _to_parts(text: str) -> str:
  """The text in pieces, in an order that is not theirs; '>' and '&' are written as HTML does."""
  safe = text.replace('&', '&amp;').replace('>', '&gt;')
  size = max(1, -(-len(safe) // _PARTS))
  pieces = [safe[at : at + size] for at in range(0, len(safe), size)] or ['']
  numbered = [f'part {n} = <{piece}>' for n, piece in enumerate(pieces, 1)]
  return '\n'.join([*numbered[1::2], *numbered[::2]])


def _from_parts(text: str) -> str:
  """Pieces put together; a text that has none stays as it is."""
  pieces = {int(number): piece for number, piece in _PART.findall(text)}
  joined = ''.join(pieces[number] for number in sorted(pieces))
  return joined.replace('&gt;', '>').replace('&amp;', '&') if pieces else text


HOOKS = MappingProxyType(
  dict(
    plain=_Hook(_same, _same),
    base64=_Hook(_to_base64, _from_base64),
    rot13=_Hook(_rot13, _from_rot13),
    leet=_Hook(_to_leet, _from_leet),
    parts=_Hook(_to_parts, _from_parts),
  )
)
