"""A slice of one chip: the TPU's compiler takes a machine for one with four unless it is told."""

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
