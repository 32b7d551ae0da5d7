"""The benchmark of a server under load, small: who leaves midway takes nothing from the others."""

import pytest

for _name in ('starlette', 'uvicorn', 'httpx'):
  pytest.importorskip(_name, reason=f'serving is an extra, jaxalign[serve]: {_name}')

import jaxalign  # noqa: E402
from benchmarks import serve_load  # noqa: E402
from tests.doors.server import Server  # noqa: E402


def test_none_is_lost_none_mixed_and_rows_of_leavers_are_free(directory):
  server = Server(directory, rows=4)
  try:
    asks = serve_load.planned(60, longest=40)
    wanted = serve_load.greedy(jaxalign.load(directory), asks)
    assert len(set(wanted.values())) > 50 and 2 <= sum(ask.leaves for ask in asks) <= 10
    assert {ask.stream for ask in asks if ask.leaves} == {True, False}
    found = serve_load.crowd(f'{server.url}/v1', asks, 8)
    assert serve_load.faults(asks, found, wanted) == []
    assert serve_load.left_over(server.url) == []
    assert server.engine.counts.left + server.engine.counts.answered == server.engine.counts.asked
  finally:
    assert server.close()  # no request hangs on, either


def test_what_is_wrong_is_called_wrong():
  asks = [serve_load.Ask('a', 8, False, leaves) for leaves in (False, False, False, True)]
  wanted = dict.fromkeys(range(4), 'b')
  found = {1: None, 2: ('c', 1), 3: None}
  assert serve_load.faults(asks, found, wanted) == [
    'request 0 is lost', 'request 1 has no answer', "request 2: 'c' and not 'b'",
  ]  # fmt: skip
