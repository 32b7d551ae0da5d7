"""A schedule is read as the compiler wrote it: loops, what goes over the wire, what waits."""

import pathlib

import pytest

from launch import replica_groups, schedule

# Programs as the TPU's compiler writes them, cut down. two_slices.hlo is as libtpu 0.0.52 writes it
# for two slices: the first sum waits, the second does not.
SCHEDULES = pathlib.Path(__file__).parent / 'schedules'


def test_what_crosses_the_network_is_a_send():
  summed, gathered = schedule.read((SCHEDULES / 'two_slices.hlo').read_text()).collectives
  assert (summed.kind, summed.bytes, summed.ways) == ('all-reduce', 256 * 128 * 2, 2)
  assert summed.far and not summed.hidden and summed.wire == 256 * 128 * 2
  assert (gathered.kind, gathered.bytes, gathered.ways) == ('all-gather', 2 * 64 * 128 * 2, 2)
  assert gathered.far and gathered.hidden and gathered.wire == 64 * 128 * 2


@pytest.fixture(scope='module')
def read():
  return schedule.read((SCHEDULES / 'loops.hlo').read_text(), turns=100, per_slice=4)


def test_cycles_count_every_turn(read):
  """3 layers of 1000, and in each 4 turns (0, 2, 4, 6 of 7) of 10; 100 of 7 where data decide."""
  assert read.cycles == 3 * (1000 + 4 * 10) + 100 * 7


def of(read, kind, times=None):
  return [c for c in read.collectives if c.kind == kind and times in (None, c.times)]


def test_a_fused_gather_counts_once(read):
  (one,) = of(read, 'all-gather')
  assert (one.times, one.ways, one.hidden, one.bytes) == (3, 16, True, 2 * 4 * 128)
  assert one.wire == 3 * 2 * 4 * 128 * 15 / 16


def test_work_between_start_and_end_hides(read):
  near, far = sorted(of(read, 'collective-permute'), key=lambda c: c.far)
  assert (near.times, near.hidden, near.bytes, near.wire) == (12, True, 64, 12 * 64)
  assert (far.times, far.hidden, far.bytes, far.far) == (1, False, 32, True)


def test_reductions(read):
  inside, last = of(read, 'all-reduce', times=3), of(read, 'all-reduce', times=1)
  assert [(c.ways, c.far, c.bytes, c.wire) for c in inside] == [(4, False, 400, 3 * 2 * 300)]
  assert [(c.ways, c.far, c.bytes) for c in last] == [(2, True, 120)]
  scattered, fused = sorted(of(read, 'reduce-scatter'), key=lambda c: c.ways)
  assert (fused.ways, fused.hidden, fused.bytes, fused.wire) == (16, False, 256, 240)
  assert (scattered.ways, scattered.far, scattered.bytes, scattered.wire) == (4, True, 64, 48)


def test_copies_are_those_inside_loops(read):
  assert read.copies == {'jit(step)/swap': 12 * 2 * 64}


def test_json_puts_the_same_together(read):
  told = read.as_json()
  assert told['wire_bytes'] == round(read.wire) == sum(c['bytes'] for c in told['collectives'])
  first = [c['source'] for c in told['collectives'][:2]]
  assert first == ['all-gather.1', 'backward transpose(jvp())/add_any']
  assert [(loop['turns'], loop['depth']) for loop in told['loops']] == [(4, 1), (3, 0), (100, 0)]


@pytest.mark.parametrize(
  'text, listed',
  [
    ('replica_groups={{0,2},{1,3}}', [[0, 2], [1, 3]]),
    ('replica_groups=[2,2]<=[4]', [[0, 1], [2, 3]]),
    ('replica_groups=[2,2]<=[2,2]T(1,0)', [[0, 2], [1, 3]]),
    ("replica_groups=mesh['axis_0'=4] {'axis_0'}", [[0, 1, 2, 3]]),
    ("replica_groups=mesh['a'=2,'b'=2] {'b'}", [[0, 1], [2, 3]]),
    ("replica_groups=mesh['a'=2,'b'=2] {'a'}", [[0, 2], [1, 3]]),
    ('dimensions={0}', []),
  ],
)
def test_groups(text, listed):
  assert replica_groups.groups(text) == listed


CACHE = 'bf16[32,2,4,256,80]{4,3,2,1,0}'
GIVEN = f'operand_layout_constraints={{s32[1]{{0}}, {CACHE}, {CACHE}}}, metadata={{}}'
KERNEL = f"""
ENTRY %main (a: s32[1]) -> bf16[2,2,1,80] {{
  %decode_attention.1 = bf16[2,2,1,80]{{3,2,1,0}} custom-call(%a, %b), \
custom_call_target="tpu_custom_call", {GIVEN}
  ROOT %other.2 = bf16[2]{{0}} custom-call(%a), {GIVEN}
}}
"""


def test_what_a_kernel_of_one_token_reads():
  """One layer's keys and values, whose heads of 80 lie in 128 lanes; of other kernels nothing."""
  assert schedule.read(KERNEL).cache_bytes == 2 * 2 * 4 * 256 * 128 * 2


def test_sizes():
  assert schedule.size('(bf16[2,3]{1,0:T(8,128)(2,1)S(1)}, f32[], /*index=2*/pred[4])') == 20
  assert schedule.size('s4[8]') == 4 and schedule.size('f8e4m3fn[8]') == 8
