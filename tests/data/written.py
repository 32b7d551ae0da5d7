"""What tests of corpora write by hand: files of JSON lines, and turns."""

import gzip
import json

from jaxalign.data.records import Turn


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
