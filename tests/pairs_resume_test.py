"""The stages of pairs on two hosts: either one is killed, and nothing is lost but time."""

import json

import pytest

from launch.rehearse_chain import last_state, metrics
from tests.breaking import broken_pod
from tests.train import running

pytestmark = pytest.mark.campaign
FIELDS = dict(steps=30, eval_every=15, saving_every=3, length=160, batch=4)


def two_hosts(stage, workdir):
  config = f'{running.ROOT}/configs/{stage}_llama2_7b.py:smoke'
  return running.pod(running.command(workdir, config, **FIELDS), hosts=2, devices=1)


@pytest.mark.parametrize('stage', ['reward', 'dpo'])
def test_either_host_is_killed_and_the_run_is_the_unbroken_one(stage, tmp_path, cache):
  one, other = tmp_path / 'broken', tmp_path / 'unbroken'
  for host in range(2):
    broken_pod(two_hosts(stage, one), one, cache, host)
    assert not (one / 'card.json').exists()
  for workdir in (one, other):
    running.run(two_hosts(stage, workdir), cache)
  assert metrics(one) == metrics(other)
  assert [line['step'] for line in metrics(one)] == list(range(1, FIELDS['steps'] + 1))
  assert last_state(one) == last_state(other)
  cards = [json.loads((w / 'card.json').read_text()) for w in (one, other)]
  assert cards[0] == cards[1]
  assert (one / 'evals.jsonl').read_text() == (other / 'evals.jsonl').read_text()
