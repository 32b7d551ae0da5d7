"""The legacy .bin files of llama2.c: small trained Llamas for tests and demonstrations."""

import math
import os
import struct

import numpy as np
from etils import epath

from jaxalign.config import UserError
from jaxalign.models.llama2 import Config
from jaxalign.models.tensor_files import refuse_pickle

HEADER = 'dim hidden layers heads kv_heads vocab length'.split()
_START = 4 * len(HEADER)  # bytes


def read(path: epath.PathLike) -> tuple[Config, dict[str, np.ndarray]]:
  """(config, {our weight: fp32 array}) of a version-0 export."""
  path = epath.Path(path)
  with path.open('rb') as f:
    head = f.read(_START)
    cfg = _config(path, head)
    shapes = _shapes(cfg)
    f.seek(0, os.SEEK_END)
    size, needed = f.tell(), _START + 4 * sum(map(math.prod, shapes.values()))
    if size != needed:
      raise UserError(
        f'{path}: {size:,} bytes where its header asks for {needed:,}; fetch it again'
      )
    f.seek(0)
    raw = f.read(needed)
  arrays, at = {}, _START
  for name, shape in shapes.items():
    arrays[name] = np.frombuffer(raw, '<f4', math.prod(shape), at).reshape(shape)
    at += arrays[name].nbytes
  del arrays['cos'], arrays['sin']
  for name in ('blocks.q_HKD', 'blocks.k_GKD'):
    arrays[name] = _halves(arrays[name])
  return cfg, arrays


def _config(path, head):
  if head[:2] in (b'PK', b'\x80\x02', b'\x80\x03', b'\x80\x04', b'\x80\x05'):
    refuse_pickle(path.with_suffix('.bin'))
  if head[:4] == b'24ka':
    raise UserError(f'{path}: a llama2.c export of version 1 or later; export it with --version 0')
  if len(head) < _START:
    raise UserError(f'{path}: too short to be a llama2.c file ({len(head)} bytes)')
  sizes = dict(zip(HEADER, struct.unpack('<7i', head)))
  if not all(0 < abs(n) < 1 << 20 and (n > 0 or name == 'vocab') for name, n in sizes.items()):
    raise UserError(f'{path}: not a llama2.c file: its header says {sizes}')
  width, mlp, depth, heads, kv_heads, vocab, length = sizes.values()
  shape = dict(depth=depth, width=width, heads=heads, kv_heads=kv_heads, mlp=mlp, length=length)
  cfg = Config(**shape, vocab=abs(vocab), tied=vocab > 0)
  try:
    cfg.check()
  except UserError as e:
    raise UserError(f'{path}: not a llama2.c file: {e}') from e
  return cfg


def _shapes(cfg):
  """In the order of the file."""
  s, N = cfg.sizes, cfg.depth
  D, F, H, G, K, V = (s[letter] for letter in 'DFHGKV')
  shapes = {
    'embed_VD': (V, D),
    'blocks.norm1_D': (N, D),
    'blocks.q_HKD': (N, H, K, D),
    'blocks.k_GKD': (N, G, K, D),
    'blocks.v_GKD': (N, G, K, D),
    'blocks.o_DHK': (N, D, H, K),
    'blocks.norm2_D': (N, D),
    'blocks.gate_FD': (N, F, D),
    'blocks.down_DF': (N, D, F),
    'blocks.up_FD': (N, F, D),
    'norm_D': (D,),
    'cos': (cfg.length, K // 2),
    'sin': (cfg.length, K // 2),
  }
  return shapes if cfg.tied else shapes | {'head_VD': (V, D)}


def _halves(w):
  """llama2.c rotates neighbouring pairs, we rotate the two halves of a head: reorder its rows."""
  N, H, K, D = w.shape
  return w.reshape(N, H, K // 2, 2, D).swapaxes(2, 3).reshape(N, H, K, D)
