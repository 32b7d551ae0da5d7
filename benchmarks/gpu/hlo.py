"""What XLA compiles for a GPU that is not there: memory, kernels, bytes, and the time they bound.

  python -m benchmarks.gpu.hlo [--card=h100] [--what=train,decode,ppo] [--models=llama2_7b,phi2]
      [--remat=full,qkv,dots] [--rows=8] [--microbatches=1] [--attention=auto] [--tiny]
      [--keep=DIR] [--json=FILE]

Needs the CUDA plugin of jax (`pip install 'jax[cuda13]'`), no GPU and no driver. Each program is
the stage's own, compiled ahead of time for the card; its kernels are read from the HLO (reading.py)
and at best take the longer of their arithmetic and their bytes, at the rates that RATES holds.

What it does not show: cuDNN is not asked (no workspace, and whether it takes the graph), products
are cuBLAS' (on a card XLA may find Triton's faster), nothing is said of launches or of how near a
kernel comes to its bound.
"""

import argparse
import json
import os
import pathlib
import sys
import time

os.environ['JAX_PLATFORMS'] = 'cpu'  # before jax: no driver is looked for
FLAGS = '--xla_gpu_enable_triton_gemm=false --xla_gpu_autotune_level=0'
os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {FLAGS}'

import jax  # noqa: E402
from jax._src.cudnn import fused_attention_stablehlo as fused  # noqa: E402
from jax.experimental import topologies  # noqa: E402
from jax.sharding import NamedSharding, PartitionSpec  # noqa: E402

from benchmarks.gpu import reading, work  # noqa: E402
from jaxalign.chips import CHIPS  # noqa: E402
from jaxalign.rl.sample import Sampling, generate  # noqa: E402
from jaxalign.sharding.layout import layout  # noqa: E402
from jaxalign.sharding.meshes import make_mesh  # noqa: E402
from launch import compiling, programs  # noqa: E402
from launch.program import Program  # noqa: E402

# A second's work of one H100 (measured, docs/performance.md): a bf16 product, cuDNN's attention of
# packed rows by a mask (causal, without one: 304e12), bytes of a copy, read and written.
RATES = dict(matmul=802e12, attention=186e12, bytes=2542e9)
SHARE = 0.94  # of the card's memory that benchmarks.gpu takes
CARDS = ('h100', 'h200')  # alike but for memory: what the compiler is told of a Hopper
HOPPER = """
gpu_device_info {{
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152
  shared_memory_per_core: 233472 shared_memory_per_block_optin: 232448 threads_per_core_limit: 2048
  core_count: 132 fpus_per_core: 128
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  thread_dim_limit_x: 1024 thread_dim_limit_y: 1024 thread_dim_limit_z: 64
  cuda_compute_capability {{ major: 9 feature_extension: ACCELERATED_FEATURES }}
  clock_rate_ghz: 1.98 l2_cache_size: 52428800 device_address_bits: 64
  memory_bandwidth: {bandwidth} device_memory_size: {memory}
  name: "{name}" device_vendor: "NVIDIA Corporation" driver_version: "13.0.0"
  runtime_version: "13.0.0" compile_time_toolkit_version: "13.0.0" dnn_version: "9.12.0"
}}
platform_name: "CUDA" dnn_version_info {{ major: 9 minor: 12 }} device_description_str: "{name}"
"""


def devices(card: str) -> list[jax.Device]:
  """One card, as the compiler sees it."""
  chip = CHIPS[card]
  # Of this size XLA lets a program have four fifths before it computes things again to save memory;
  # on a card it takes what the process may have.
  told = int(chip.gib * 2**30 * SHARE / 0.8)
  said = HOPPER.format(bandwidth=int(chip.bandwidth), memory=told, name=chip.devices[0])
  try:
    found = topologies.get_topology_desc(platform='cuda', target_config=said, topology='1x1x1')
  except (NotImplementedError, RuntimeError) as error:
    sys.exit(f"error: no compiler for a GPU here ({error}): pip install 'jax[cuda13]'")
  fused.check_compute_capability = lambda _: True  # there is no device that could be asked
  return list(found.devices)


def sampling(cfg, sizes, mesh):
  """The program of generate; its loop turns once for each token after the first."""
  cfg = work.changed(cfg, weights='bfloat16', eos=())
  shapes = jax.eval_shape(cfg.build, jax.eval_shape(lambda: jax.random.key(0)))
  twin = jax.tree.map(_at, shapes, layout(shapes, mesh))
  home = NamedSharding(mesh, PartitionSpec())
  ids = jax.ShapeDtypeStruct((sizes.batch, sizes.prompt), 'int32', sharding=home)
  keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), sizes.batch))
  args = twin, ids, ids, _at(keys, home), Sampling(slots=sizes.new)
  return Program('decode', generate, args, turns=sizes.new - 1)


def _at(shape, home):
  return jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=home)


def wanted(args, cfg, sizes, mesh):
  """The programs that are asked for, each with a name."""
  cfg = work.changed(cfg, attention=args.attention)
  room = int(CHIPS[args.card].gib * 2**30 * SHARE)
  if 'train' in args.what:
    for remat in args.remat.split(','):
      kept, _ = work.stored(cfg, room)
      stage = work.training(kept, sizes, args.microbatches, remat)
      name = f'train, {remat}, {sizes.rows // args.microbatches} rows at a time'
      yield name, next(programs.language(stage, mesh))
  if 'decode' in args.what:
    yield 'decode', sampling(cfg, sizes, mesh)
  if 'ppo' in args.what:
    kept, _ = work.stored(work.changed(cfg, eos=()), room, copies=2, share=0.6)
    for program in programs.rounds(work.rounds(kept, sizes), mesh):
      yield f'ppo, {program.name}', program


def examine(name, program, mesh, keep):
  """A dict of what is said of one program."""
  begun = time.monotonic()
  with jax.set_mesh(mesh):
    compiled = program.lower().compile()
  text = compiled.as_text()
  if keep:
    keep.mkdir(parents=True, exist_ok=True)
    (keep / f'{name.replace(", ", "_").replace(" ", "_")}.txt').write_text(text)
  found = reading.kernels(text, program.turns)
  said = compiling.memory_of(compiled, program.beside)
  said |= dict(program=name, kinds=reading.totals(found, RATES), flops=program.flops)
  said |= dict(seconds=sum(kind['seconds'] for kind in said['kinds'].values()))
  each = program.turns > 1
  if each:  # of a token: what the loop over tokens turns around
    inner = [one for one in found if one.times >= program.turns]
    kinds = reading.totals(inner, RATES)
    said |= dict(token=dict(kinds=kinds, seconds=sum(k['seconds'] for k in kinds.values())))
    said['token']['seconds'] /= program.turns
  moves = sorted((one for one in found if one.kind == 'move'), key=lambda k: -k.seconds(RATES))
  said |= dict(moves=[(m.source, m.shape, m.times, m.bytes) for m in moves[:6]])
  return said | dict(compile_seconds=round(time.monotonic() - begun, 1))


def lines(said):
  """What is printed of a program."""
  peak = f'{said["peak_bytes"] / 2**30:.1f} GiB'
  share = f', {said["flops"] / RATES["matmul"] / said["seconds"]:.3f} of the product'
  mfu = share if said['flops'] else ''
  yield f'{said["program"]}: {peak}, {1e3 * said["seconds"]:.0f} ms at best{mfu}'
  for kind, row in said['kinds'].items():
    yield (
      f'  {kind:10} {row["launches"]:8} launches {row["bytes"] / 1e9:9.1f} GB'
      f' {row["flops"] / 1e12:8.1f} TFLOP {1e3 * row["seconds"]:8.1f} ms'
    )
  if 'token' in said:
    yield f'  a token: {1e3 * said["token"]["seconds"]:.2f} ms at best'
  for source, shape, times, moved in said['moves']:
    if times * moved > 2**30:
      yield f'  moved {times * moved / 1e9:8.1f} GB: {shape} x {times}, {source}'


def main(argv=None):
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--card', choices=CARDS, default='h100')
  parser.add_argument('--what', default='train,decode,ppo')
  parser.add_argument('--models')
  parser.add_argument('--remat', default='full,qkv')
  parser.add_argument('--rows', type=int)
  parser.add_argument('--microbatches', type=int, default=1)
  parser.add_argument('--attention', default='auto')
  parser.add_argument('--tiny', action='store_true')
  parser.add_argument('--keep', type=pathlib.Path)
  parser.add_argument('--json', type=pathlib.Path)
  args = parser.parse_args(argv)
  sizes, models = work.of(args.tiny)
  sizes = sizes if args.rows is None else work.changed(sizes, rows=args.rows)
  mesh, found = make_mesh(1, 1, 1, devices=devices(args.card)), []
  for name in args.models.split(',') if args.models else models:
    cfg = models[name]
    for what, program in wanted(args, cfg, sizes, mesh):
      if what.startswith('ppo') and cfg is not list(models.values())[-1]:
        continue  # four players of the larger one do not fit
      found.append(dict(examine(f'{name}, {what}', program, mesh, args.keep), jax=jax.__version__))
      print('\n'.join(lines(found[-1])), flush=True)
  if args.json:
    args.json.write_text(
      json.dumps(dict(card=args.card, rates=RATES, found=found), indent=1) + '\n'
    )
  return 0


if __name__ == '__main__':
  sys.exit(main())
