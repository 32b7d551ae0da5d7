"""The families of models: which file has the config and the dialect of a config.json."""

import types
from collections.abc import Mapping
from typing import Any

from jaxalign.config import UserError
from jaxalign.models import hf_config, llama2, llama3, mistral, phi2, qwen2, qwen3

# A family's model_type -> the file of its Config and HUGGING_FACE; theirs says 'llama' for llama3.
MODELS = dict(llama=llama2, llama3=llama3, mistral=mistral, qwen2=qwen2, qwen3=qwen3, phi=phi2)


def module_of(raw: Mapping[str, Any]) -> types.ModuleType:
  """The file of a config.json's family: a 'llama' with scaled positions is llama3."""
  kind = raw.get('model_type') if isinstance(raw, dict) else None
  if not isinstance(kind, str) or kind not in MODELS:
    known = ', '.join(MODELS)
    raise UserError(f'config.json: model_type={kind!r} is not one jaxalign has: {known}')
  scaled = kind == 'llama' and hf_config.rope_type(raw)[1] == 'llama3'
  return llama3 if scaled else MODELS[kind]
