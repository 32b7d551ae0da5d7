import pytest

from jaxalign import chips


@pytest.mark.parametrize(
  'device, kind',
  [
    ('TPU v4', 'v4'),
    ('TPU v5 lite', 'v5e'),
    ('TPU v5e', 'v5e'),
    ('TPU v5', 'v5p'),
    ('TPU v5p', 'v5p'),
    ('TPU v6 lite', 'v6e'),
    ('NVIDIA A100-SXM4-80GB', 'a100'),
    ('NVIDIA H100 80GB HBM3', 'h100'),
    ('NVIDIA H200', 'h200'),
  ],
)
def test_a_device_is_known_by_what_jax_calls_it(device, kind):
  assert chips.of_device(device) is chips.CHIPS[kind]


def test_of_others_nothing_is_claimed():
  assert chips.of_device('cpu') is None
