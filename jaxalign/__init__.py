"""jaxalign: train models to know why their values matter, and find out whether it helps.

model = jaxalign.load('path/to/hf_dir', dtype='bfloat16')
texts = jaxalign.sample(model, ['Once upon a time'], length=64, temperature=0.0)
scores = jaxalign.score(model, [('Once upon a', ' time'), ('Once upon a', ' table')])
jaxalign.export(model, 'out_dir')
"""

import importlib

__all__ = ['export', 'load', 'sample', 'score']


def __getattr__(name):
  """Late, so that `jaxalign --help` and a mistyped flag answer before jax is imported."""
  if name == '__version__':
    return importlib.import_module('importlib.metadata').version('jaxalign')
  if name not in __all__:
    raise AttributeError(f'module jaxalign has no attribute {name}: it has {", ".join(__all__)}')
  return getattr(importlib.import_module('jaxalign.api'), name)


def __dir__():
  return __all__
