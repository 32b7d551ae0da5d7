"""MaxText's own ahead-of-time compile of a training step, read as ours is: a process of its own.

  python -m benchmarks.maxtext_theirs ANSWER.json SLICE MODEL REMAT ROWS [FIELD=VALUE ...]

MODEL and REMAT are MaxText's names (llama2-7b, save_qkv_proj); ROWS are sequences a device.
"""

import importlib.metadata
import json
import pathlib
import sys

import jax
import maxtext
from maxtext.trainers.pre_train import train_compile

from launch import compiling, schedule

SEQUENCE = 4096
FIELDS = dict(
  max_target_length=SEQUENCE,
  attention='flash',
  weight_dtype='float32',
  dtype='bfloat16',
  opt_type='adamw',
  ici_fsdp_parallelism=-1,
  compile_topology_num_slices=1,
  dataset_type='synthetic',
  enable_checkpointing='false',
  skip_jax_distributed_system='true',
  run_name='compiled',
  steps=10,
)


def found(compiled):
  """What is said of the program, under the names that preflight's answers have."""
  read = schedule.read(compiled.as_text()).as_json()
  versions = {name: importlib.metadata.version(name) for name in ('jax', 'libtpu', 'maxtext')}
  return read | compiling.memory_of(compiled, beside=0) | dict(versions=versions)


def main(answer, where, model, remat, rows, *more):
  place = pathlib.Path(answer).parent
  fields = FIELDS | dict(
    model_name=model,
    remat_policy=remat,
    per_device_batch_size=rows,
    compile_topology=where,
    base_output_directory=place,
    compiled_trainstep_file=place / 'step',
  )
  made = []
  train_compile.save_compiled = lambda compiled, _: made.append(compiled)  # read, not stored
  base = pathlib.Path(maxtext.__file__).parent / 'configs' / 'base.yml'
  given = [f'{name}={value}' for name, value in fields.items()]
  try:
    train_compile.main(['train_compile', str(base), *given, *more])
  except jax.errors.JaxRuntimeError as error:
    if 'RESOURCE_EXHAUSTED' not in str(error):
      raise
    said = compiling.refused(str(error), beside=0)
  else:
    said = found(made[0])
  pathlib.Path(answer).write_text(json.dumps(said))


if __name__ == '__main__':
  main(*sys.argv[1:])
