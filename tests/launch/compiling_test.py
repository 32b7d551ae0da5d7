"""Slices of one chip, which the TPU's compiler takes for four unless it is told; and meshes."""

import os
import pathlib
import subprocess
import sys

import pytest

from launch import preflight
from tests.launch.far import NEEDS_COMPILER

ROOT = pathlib.Path(__file__).resolve().parents[2]
pytestmark = NEEDS_COMPILER
CODE = """
import sys
from launch import compiling, slices
print([[*device.coords] for device in compiling.devices_of(slices.parse(sys.argv[1]))])
"""


@pytest.mark.parametrize('name', ['v5e-1', 'v6e-1'])
def test_a_machine_with_one_chip(name):
  command = [sys.executable, '-c', CODE, name]
  env = os.environ | preflight.ENVIRONMENT
  done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  assert done.stdout.split('\n')[0].replace(' ', '') == '[[0,0,0]]'


MESH = """
import sys
from jaxalign.sharding.meshes import make_mesh
from launch import compiling, slices
mesh = make_mesh(2, -1, devices=compiling.devices_of(slices.parse(sys.argv[1])))
print(dict(mesh.shape), len({device.id for device in mesh.devices.flat}))
"""


@pytest.mark.parametrize('name, count', [('v5p-512', 256), ('v5e-256', 256)])
def test_two_copies_on_a_torus_of_any_shape(name, count):
  """No side of 4 x 8 x 8 is 2: one is divided."""
  command = [sys.executable, '-c', MESH, name]
  env = os.environ | preflight.ENVIRONMENT
  done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  assert done.stdout.split('\n')[-2] == f"{{'data': 2, 'fsdp': {count // 2}, 'tensor': 1}} {count}"
