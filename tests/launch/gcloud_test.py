"""What Google says, read."""

from launch import gcloud


def test_what_waiting_may_help():
  assert gcloud.is_capacity('RESOURCE_EXHAUSTED: no more capacity')
  assert not gcloud.is_capacity('RESOURCE_EXHAUSTED: Quota exceeded')
  assert not gcloud.is_capacity('INVALID_ARGUMENT: accelerator type')
