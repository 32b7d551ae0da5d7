"""What tests of corpora make by hand: files of JSON lines, turns, a model of sentencepiece."""

import gzip
import io
import json

import sentencepiece

from jaxalign.data.records import Turn

SENTENCES = [
  'Once upon a time there was a little girl named Lily.',
  '  def f(x):\n\t\treturn x  # two tabs\n\n    indented   words',
  "It's the 3rd day; they'll say \u201chello\u201d \u2014 na\u00efve caf\u00e9.",
]


def jsonl(path, rows):
  """The path of a file with a JSON object a line, as text; gzipped where it ends in .gz."""
  text = ''.join(json.dumps(row, ensure_ascii=False) + '\n' for row in rows).encode()
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(gzip.compress(text) if path.suffix == '.gz' else text)
  return str(path)


def U(text):
  return Turn('user', text)


def A(text):
  return Turn('assistant', text)


def S(text):
  return Turn('system', text)


def trained(sentences, **options):
  """The bytes of a sentencepiece model of Llama-2's kind; `options` make it another."""
  out = io.BytesIO()
  kind = dict(model_type='bpe', byte_fallback=True, normalization_rule_name='identity')
  kind |= dict(remove_extra_whitespaces=False, vocab_size=420, hard_vocab_limit=False)
  how = dict(sentence_iterator=iter(sentences), model_writer=out, minloglevel=2)
  sentencepiece.SentencePieceTrainer.train(**how, **kind | options)
  return out.getvalue()
