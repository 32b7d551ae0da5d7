"""Text <-> ids: the one tokenizer of a run, read from any form in which a checkpoint carries it.

Plain text cannot become a control token: '</s>' typed by a user is four characters, unless
`specials=True` is asked for. `decode(encode(text)) == text` (but sentencepiece reads U+2581 as a
space, words are joined by single spaces, and a foreign tokenizer.json has its own rule). Equal are
tokenizers of one vocabulary, merges, splitting rule and control tokens, from whatever format.
"""

import dataclasses
import functools
import hashlib
import importlib.resources
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tokenizers
from etils import epath

from jaxalign.config import UserError
from jaxalign.data import forms, llama2c, specs
from jaxalign.data.own_template import OwnTemplate


class Tokenizer:
  """Immutable, hashed and pickled by content (the library's pickle forgets the safety switch)."""

  def __init__(self, form: forms.Form):
    self._form = form
    self.family, self.add_bos = form.family, form.add_bos
    self._plain = _backend(form.spec, specials=False)
    self._special = {t['id']: t['content'] for t in form.spec['added_tokens'] if t['special']}
    ids = {name: index for index, name in self._special.items()}
    self.bos: int | None = ids.get(form.bos)
    self.eos: int | None = ids.get(form.eos)
    self.pad: int | None = ids.get(form.pad)
    self.vocab: int = 1 + max(self._plain.get_vocab(with_added_tokens=True).values())
    self._check_control_tokens()

  @staticmethod
  def load(path: epath.PathLike) -> 'Tokenizer':
    """A Hugging Face directory, a sentencepiece .model or a llama2.c .bin; local or gs://."""
    try:
      return _of_form(forms.read(path))
    except _Unbuildable as error:
      raise UserError(f'{path}: {error}; copy it again') from error

  @classmethod
  def from_vocab(
    cls,
    words: Sequence[str],
    *,
    bos: str | None = '<bos>',
    eos: str | None = '<eos>',
    pad: str | None = '<pad>',
  ) -> 'Tokenizer':
    """One id a word, in order, then bos, eos and pad: for a world whose every word is known."""
    return cls(forms.of_words(list(words), bos, eos, pad))

  def save(self, directory: epath.PathLike) -> None:
    """Files from which `load` gives an equal tokenizer, and AutoTokenizer the same ids."""
    forms.write(self._form, directory)

  def encode(
    self, text: str, bos: bool | None = None, eos: bool = False, *, specials: bool = False
  ) -> list[int]:
    """`bos=None`: as the model was trained; `specials=True`: trust control tokens in the text."""
    return self.encode_batch([text], bos, eos, specials=specials)[0]

  def encode_batch(
    self,
    texts: Sequence[str],
    bos: bool | None = None,
    eos: bool = False,
    *,
    specials: bool = False,
  ) -> list[list[int]]:
    """As `encode`, on all cores; hand a corpus over in slices: the whole answer is held."""
    head = self._control('bos', self.bos) if (self.add_bos if bos is None else bos) else []
    tail = self._control('eos', self.eos) if eos else []
    backend = self._trusting if specials else self._plain
    texts = list(texts)
    try:
      rows = backend.encode_batch_fast(texts, add_special_tokens=False)
    except Exception as error:  # the library raises bare Exception and TypeError
      raise UserError(self._why_not(texts, error)) from error
    if head or tail:
      return [head + row.ids + tail for row in rows]
    return [row.ids for row in rows]

  def decode(self, ids: Iterable[int], skip_special: bool = True) -> str:
    """The text of these ids. Ids past the vocabulary (a padded head samples them) give none."""
    ids, pieces = [int(index) for index in ids], self._pieces
    if pieces is None:
      return self._plain.decode(ids, skip_special_tokens=skip_special)
    return self._join(ids, pieces, skip_special)

  def decode_continuation(self, prompt: Iterable[int], ids: Iterable[int]) -> str:
    """What `ids` add to the text of `prompt`: with its leading space, and with the whole of a
    character that the border cuts in two."""
    prompt = [int(index) for index in prompt]
    head, whole = self.decode(prompt), self.decode(prompt + [int(index) for index in ids])
    while not whole.startswith(head):  # the prompt's last bytes were half a character
      head = head[:-1]
    return whole[len(head) :]

  @functools.cached_property
  def hash(self) -> str:
    """sha256 of what decides the ids; defaults left out, so a library's new field is no change."""
    form, spec = self._form, self._form.spec
    parts = 'model', 'added_tokens', 'normalizer', 'pre_tokenizer'
    decides = {key: spec.get(key) for key in parts}
    decides |= {'bos': form.bos, 'eos': form.eos, 'pad': form.pad, 'add_bos': form.add_bos}
    text = json.dumps(_without_defaults(decides), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()

  def __eq__(self, other: object) -> bool:
    return self is other or (isinstance(other, Tokenizer) and self.hash == other.hash)

  def __hash__(self) -> int:
    return hash(self.hash)

  def __reduce__(self) -> tuple[Callable[..., 'Tokenizer'], tuple[forms.Form]]:
    return Tokenizer, (self._form,)

  def __repr__(self) -> str:
    return f'Tokenizer({self.family}, {self.vocab} ids, {self.hash[:12]})'

  @functools.cached_property
  def _trusting(self) -> tokenizers.Tokenizer:
    return _backend(self._form.spec, specials=True)

  @functools.cached_property
  def _pieces(self) -> dict[int, bytes] | None:
    """Each id's bytes under Llama-2's rule. The library's decoder would turn a whole run of byte
    tokens into U+FFFD for one cut character at its end, which sampling makes every day."""
    if not specs.is_sentencepiece(self._form.spec):
      return None
    raw = {name: bytes([byte]) for byte, name in enumerate(llama2c.BYTES)}
    names = self._plain.get_vocab(with_added_tokens=True).items()
    return {i: raw.get(name) or name.replace(specs.SPACE, ' ').encode() for name, i in names}

  def _join(self, ids: list[int], pieces: dict[int, bytes], skip_special: bool) -> str:
    """Every document begins with a space that nobody wrote: it is taken off again."""
    text, begins = bytearray(), True
    for index in ids:
      if index in self._special:
        begins = begins or index in (self.bos, self.eos)
        text += b'' if skip_special else self._special[index].encode()
        continue
      piece = pieces.get(index, b'')
      text += piece.removeprefix(b' ') if begins else piece
      begins = False
    return text.decode('utf-8', errors='replace')

  @property
  def controls(self) -> tuple[str, ...]:
    """The texts of all control tokens."""
    return tuple(self._special.values())

  @property
  def template(self) -> OwnTemplate | None:
    """The chat template that came with the checkpoint, if one did."""
    source = forms.template_of(self._form)
    return OwnTemplate(source=source, bos=self._form.bos, eos=self._form.eos) if source else None

  def with_template(self, source: str) -> 'Tokenizer':
    """The same tokenizer with another chat template, which it is saved with."""
    files = self._form.files | {'chat_template.jinja': source.encode()}
    return Tokenizer(dataclasses.replace(self._form, files=files))

  def control(self, name: str) -> int:
    """The id of a control token by its text."""
    found = next((index for index, content in self._special.items() if content == name), None)
    if found is None:
      raise UserError(f'{name!r} is no control token of {self}: take the format of its own model')
    return found

  def _control(self, role: str, index: int | None) -> list[int]:
    if index is None:
      raise UserError(
        f'this tokenizer has no {role} token: add {role}_token to tokenizer_config.json'
      )
    return [index]

  def _why_not(self, texts: list[str], error: Exception) -> str:
    for row, text in enumerate(texts):
      if not isinstance(text, str):
        return f'text {row} is a {type(text).__name__}, not a string'
      lone = next((i for i, c in enumerate(text) if '\ud800' <= c <= '\udfff'), None)
      if lone is not None:
        return f'text {row} holds half a surrogate pair at character {lone}: read the file as utf-8'
      if self._form.spec['model'].get('type') == 'WordLevel':
        words = self._form.spec['model']['vocab']
        strange = next((word for word in text.split() if word not in words), None)
        if strange is not None:
          return f'text {row} holds {strange!r}, which is not a word of this vocabulary'
    return f'the tokenizer cannot encode these texts ({error})'

  def _check_control_tokens(self) -> None:
    """Holds by construction for the known families; a foreign tokenizer.json may break it."""
    in_model = self._plain.get_vocab(with_added_tokens=False)
    for index, name in self._special.items():
      roles = index in (self.bos, self.eos, self.pad)
      if roles and name in in_model and index in self.encode(name, bos=False):
        raise UserError(
          f'plain text {name!r} would become the control token {index}: take {name!r} out of the '
          'model part of tokenizer.json, leaving it in added_tokens'
        )


@functools.lru_cache(maxsize=4)
def _of_form(form: forms.Form) -> Tokenizer:
  return Tokenizer(form)


class _Unbuildable(ValueError):
  """The library refuses the content; `load` adds which file."""


def _backend(spec: dict, *, specials: bool) -> tokenizers.Tokenizer:
  try:
    backend = tokenizers.Tokenizer.from_str(json.dumps(spec | {'post_processor': None}))
  except Exception as error:  # the library raises bare Exception
    raise _Unbuildable(f'corrupt tokenizer ({error})') from error
  for token in spec['added_tokens']:
    if backend.token_to_id(token['content']) != token['id']:
      raise _Unbuildable(f'added token {token["content"]!r} cannot have id {token["id"]}')
  backend.encode_special_tokens = not specials
  return backend


def _without_defaults(content: Any) -> Any:
  if isinstance(content, dict):
    inner = {key: _without_defaults(value) for key, value in content.items()}
    return {k: v for k, v in inner.items() if v is not None and v is not False and v != ''}
  return [_without_defaults(item) for item in content] if isinstance(content, list) else content


def shipped() -> Tokenizer:
  """The small tokenizer (1,024 ids) made from the corpora that ship with the package."""
  place = importlib.resources.files('jaxalign') / 'data' / 'corpus' / 'tokenizer'
  with importlib.resources.as_file(place) as directory:
    return Tokenizer.load(str(directory))
