"""A tokenizer's files -> one `Form`: in whatever way they store it, the same content comes out.

Only data is read: no code of a checkpoint runs, `.py` files are neither read nor copied, and an
`auto_map` that asks for tokenizer code is refused.
"""

import dataclasses
import functools
import json

from etils import epath

from jaxalign.config import UserError
from jaxalign.data import gguf_tokenizer, llama2c, specs
from jaxalign.files import content as content_of
from jaxalign.files import parsed, refuse_irregular, refuse_scheme, replacing
from jaxalign.gguf_file import opened

_FILES = (
  *('tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json', 'tokenizer.model'),
  *('vocab.json', 'merges.txt', 'added_tokens.json', 'chat_template.jinja'),
)
_WANTED = 'tokenizer.json, or tokenizer.model, or vocab.json + merges.txt'
_AGAIN = 'copy it again'
_END = '<|endoftext|>'
_KEPT = 4  # forms of one place and its bytes: a study's doctor reads its tokenizer in every arm
_BYTE_LEVEL_ENDS = {'bos': _END, 'eos': _END}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Form:
  """What a tokenizer is: `spec` is the content of a tokenizer.json, the rest what that leaves open.

  `files` are the originals, kept byte for byte so that saving gives back what was loaded.
  """

  spec: specs.Spec
  bos: str | None
  eos: str | None
  pad: str | None
  add_bos: bool
  family: str
  files: dict[str, bytes]


def read(path: epath.PathLike) -> Form:
  """A directory, a sentencepiece .model, a llama2.c .bin or a .gguf; local or gs://."""
  refuse_scheme(path)
  refuse_irregular(path)
  place = epath.Path(path)
  if place.is_dir():
    try:
      return _of_directory(place)
    except UserError:
      raise
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
      why = f'{type(error).__name__}: {error}'[:200]  # of JSON that is whole, and no tokenizer
      raise UserError(f'{path}: its tokenizer files are corrupt ({why}); {_AGAIN}') from error
  if not path or not place.exists():
    raise UserError(
      f'{path} does not exist: give a directory with {_WANTED}, a .model, .gguf or .bin'
    )
  if place.suffix == '.gguf':
    spec, config, files = gguf_tokenizer.read(opened(path))
    return _with_roles(specs.canonical(spec, path), config, None, files, place)
  if place.suffix in ('.bin', '.model'):
    return _of_file(str(path), content_of(place, _AGAIN))
  raise UserError(
    f'{path} is no tokenizer: give a directory with {_WANTED}, a .model, .gguf or .bin'
  )


@functools.lru_cache(maxsize=_KEPT)
def _of_file(path: str, content: bytes) -> Form:
  if path.endswith('.bin'):
    return _of_pieces(llama2c.read_export(content, path), {})
  return _of_pieces(llama2c.read_sentencepiece(content, path), {'tokenizer.model': content})


def _of_pieces(pieces: llama2c.Pieces, files: dict[str, bytes]) -> Form:
  roles = dict(bos=pieces.bos, eos=pieces.eos, pad=pieces.pad)
  spec, add_bos = llama2c.as_spec(pieces), pieces.bos is not None
  return Form(spec=spec, **roles, add_bos=add_bos, family='llama2', files=files)


def of_words(words: list[str], bos: str | None, eos: str | None, pad: str | None) -> Form:
  """Word-level. Specials come last and outside the vocabulary, so no text can reach them."""
  specials = [name for name in (bos, eos, pad) if name is not None]
  seen: set[str] = set(specials)
  if len(seen) < len(specials):
    raise UserError(f'bos, eos and pad must differ, not {specials}')
  for word in words:
    if word in seen or word.split() != [word]:
      raise UserError(f'{word!r} cannot be a word: unique, without spaces, and no special token')
    seen.add(word)
  vocab = {word: index for index, word in enumerate(words)}
  numbered = enumerate(specials, len(words))
  added = [specs.added_token(index, name, special=True) for index, name in numbered]
  spec = specs.words(vocab, added)
  add_bos = bos is not None
  return Form(spec=spec, bos=bos, eos=eos, pad=pad, add_bos=add_bos, family='other', files={})


def template_of(form: Form) -> str | None:
  """The Jinja text of a checkpoint's chat template: in a file of its own, or in the config."""
  if 'chat_template.jinja' in form.files:
    return form.files['chat_template.jinja'].decode()
  given = _json(form.files, 'tokenizer_config.json', epath.Path('.')).get('chat_template')
  if isinstance(given, list):  # several, by name
    given = next((t.get('template') for t in given if t.get('name') == 'default'), None)
  return given if isinstance(given, str) else None


def write(form: Form, directory: epath.PathLike) -> None:
  """The originals as they were, and beside them what AutoTokenizer needs to give the same ids."""
  place = epath.Path(directory)
  place.mkdir(parents=True, exist_ok=True)
  roles = {'bos_token': form.bos, 'eos_token': form.eos, 'pad_token': form.pad}
  config = {
    'tokenizer_class': 'PreTrainedTokenizerFast',  # reads tokenizer.json as it stands
    'add_bos_token': form.add_bos,
    'clean_up_tokenization_spaces': False,
  } | {role: token for role, token in roles.items() if token is not None}
  spec = form.spec | {'post_processor': _bos_template(form)}
  made = {
    'tokenizer.json': json.dumps(spec, ensure_ascii=False),
    'tokenizer_config.json': json.dumps(config, ensure_ascii=False, indent=2),
  }
  for name, content in ({name: text.encode() for name, text in made.items()} | form.files).items():
    with replacing(place / name) as temporary:
      temporary.write_bytes(content)


def _of_directory(place: epath.Path) -> Form:
  names = [name for name in (*_FILES, 'config.json') if (place / name).exists()]
  return _of_files(place, tuple((name, content_of(place / name, _AGAIN)) for name in names))


@functools.lru_cache(maxsize=_KEPT)
def _of_files(place: epath.Path, content: tuple[tuple[str, bytes], ...]) -> Form:
  files = dict(content)
  model_type = _json(files, 'config.json', place).get('model_type')
  files.pop('config.json', None)  # the model's, and no part of a tokenizer
  config = _json(files, 'special_tokens_map.json', place)
  config |= _json(files, 'tokenizer_config.json', place)
  _refuse_code(config, place)
  if 'tokenizer.json' in files:
    spec = specs.canonical(_json(files, 'tokenizer.json', place), f'{place}/tokenizer.json')
  elif 'tokenizer.model' in files:
    pieces = llama2c.read_sentencepiece(files['tokenizer.model'], f'{place}/tokenizer.model')
    config = {'bos_token': pieces.bos, 'eos_token': pieces.eos, 'pad_token': pieces.pad} | config
    spec = llama2c.as_spec(pieces)
  elif 'vocab.json' in files and 'merges.txt' in files:
    spec = _of_merges(files, place)
  else:
    raise UserError(f'{place} holds no tokenizer: looked for {_WANTED}')
  return _with_roles(spec, config, model_type, files, place)


def _with_roles(
  spec: specs.Spec, config: dict, model_type: str | None, files: dict[str, bytes], place: epath.Path
) -> Form:
  """BOS, EOS and PAD: as the config names them, else by the custom of the format."""
  bos, eos, pad = (_role(role, spec, config, place) for role in ('bos', 'eos', 'pad'))
  given = config.get('add_bos_token')
  usual = specs.is_sentencepiece(spec) or _starts_with(spec.get('post_processor'), bos)
  add_bos = (given if isinstance(given, bool) else usual) and bos is not None
  family = _family(spec, eos, model_type)
  added = _marked(spec, [name for name in (bos, eos, pad) if name is not None])
  spec = spec | {'added_tokens': added, 'post_processor': None}
  return Form(spec=spec, bos=bos, eos=eos, pad=pad, add_bos=add_bos, family=family, files=files)


def _role(role: str, spec: specs.Spec, config: dict, place: epath.Path) -> str | None:
  known = {token['content'] for token in spec['added_tokens']} | set(spec['model']['vocab'])
  key = f'{role}_token'
  if key not in config:
    ends = {'bos': '<s>', 'eos': '</s>'} if specs.is_sentencepiece(spec) else _BYTE_LEVEL_ENDS
    return ends[role] if ends.get(role) in known else None
  name = config[key]['content'] if isinstance(config[key], dict) else config[key]
  if name is not None and name not in known:
    raise UserError(f'{place}: {key} {name!r} is not in the vocabulary; mend tokenizer_config.json')
  return name


def _marked(spec: specs.Spec, names: list[str]) -> list[dict]:
  """The added tokens by id, those of a role marked special: text must never be read as one."""
  tokens = {token['content']: token for token in spec['added_tokens']}
  for name in names:
    if name not in tokens:
      tokens[name] = specs.added_token(spec['model']['vocab'][name], name, special=True)
    tokens[name] = tokens[name] | {'special': True}
  return sorted(tokens.values(), key=lambda token: token['id'])


def _of_merges(files: dict[str, bytes], place: epath.Path) -> specs.Spec:
  """GPT-2's two files, with the added tokens beside them (Phi-2's runs of spaces and tabs)."""
  vocab = _json(files, 'vocab.json', place)
  lines = files['merges.txt'].decode('utf-8').split('\n')
  merges = [line.split(' ') for line in lines if line and not line.startswith('#version')]
  added = _json(files, 'added_tokens.json', place)
  if _END in vocab:
    added = {_END: vocab[_END]} | added
  tokens = [specs.added_token(i, name, special=name == _END) for name, i in added.items()]
  return specs.byte_level(vocab, merges, tokens, prefix=False)


def _family(spec: specs.Spec, eos: str | None, model_type: str | None) -> str:
  """What the tokenizer shows; config.json only narrows it (Mistral too has Llama-2's rule)."""
  if specs.is_sentencepiece(spec):
    return 'llama2' if model_type in (None, 'llama') else 'other'
  runs = any(not token['content'].strip() for token in spec['added_tokens'])
  if specs.is_byte_level(spec) and eos == _END and (runs or model_type == 'phi'):
    return 'phi2' if model_type in (None, 'phi') else 'other'
  return 'other'


def _bos_template(form: Form) -> dict | None:
  if not form.add_bos:
    return None
  index = next(t['id'] for t in form.spec['added_tokens'] if t['content'] == form.bos)
  start = {'SpecialToken': {'id': form.bos, 'type_id': 0}}
  first, second = ({'Sequence': {'id': name, 'type_id': 0}} for name in 'AB')
  known = {form.bos: {'id': form.bos, 'ids': [index], 'tokens': [form.bos]}}
  return {
    'type': 'TemplateProcessing',
    'single': [start, first],
    'pair': [start, first, start, second],
    'special_tokens': known,
  }


def _starts_with(post_processor: dict | None, bos: str | None) -> bool:
  """Whether a tokenizer.json puts BOS first by itself, alone or as one step of a sequence."""
  step = post_processor or {}
  if any(_starts_with(inner, bos) for inner in step.get('processors', [])):
    return True
  first = step.get('single', [])[:1]
  return bool(bos) and [bos] == [item.get('SpecialToken', {}).get('id') for item in first]


def _refuse_code(config: dict, place: epath.Path) -> None:
  wanted = config.get('auto_map')
  if isinstance(wanted, list) or (isinstance(wanted, dict) and 'AutoTokenizer' in wanted):
    raise UserError(
      f'{place}/tokenizer_config.json asks to run code of its own (auto_map {wanted}), '
      'which is never done; save this tokenizer as a plain tokenizer.json, without auto_map'
    )


def _json(files: dict[str, bytes], name: str, place: epath.Path) -> dict:
  if name not in files:
    return {}
  found = parsed(files[name], f'{place}/{name}', _AGAIN)
  if not isinstance(found, dict):
    raise UserError(f'{place}/{name} is corrupt: not a JSON object; {_AGAIN}')
  return found
