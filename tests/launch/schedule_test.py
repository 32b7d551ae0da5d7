"""A schedule is read as the compiler wrote it: loops, what goes over the wire, what waits."""

import pytest

from launch import schedule

FAR = 'channel_id=2, is_host_transfer=true, frontend_attributes={'
FAR += '_xla_host_transfer_handler_name="xla_megascale_runtime",'
TO = '_xla_megascale_reduce_operation="SUM",_xla_megascale_target="{1,2}x{0:3}",'
SUM, ALL = (f'_xla_megascale_transfer_type="{kind}"}}' for kind in ('ALL_REDUCE', 'ALL_GATHER'))
# As libtpu 0.0.52 writes a program for two slices: the first sum waits, the second does not.
TWO_SLICES = f"""HloModule jit_step, is_scheduled=true

ENTRY %main (p.1: bf16[256,128]) -> bf16[256,128] {{
  %p.1 = bf16[256,128]{{1,0}} parameter(0)
  %after-all.1 = token[] after-all()
  %send.1 = (bf16[256,128]{{1,0:T(8,128)(2,1)}}, u32[], token[]) send(%p.1, %after-all.1), {FAR}_xla_host_transfer_rendezvous="all-reduce.1_0",{TO}{SUM}
  %recv.1 = (bf16[256,128]{{1,0:T(8,128)(2,1)}}, u32[], token[]) recv(%after-all.1), {FAR}_xla_host_transfer_rendezvous="all-reduce.1_0",{TO}{SUM}
  %send-done.1 = token[] send-done(%send.1), {FAR}}}
  %recv-done.1 = (bf16[256,128]{{1,0}}, token[]) recv-done(%recv.1), {FAR}}}
  %send.2 = (bf16[64,128]{{1,0}}, u32[], token[]) send(%p.1, %after-all.1), {FAR}_xla_host_transfer_rendezvous="all-gather.2_0",{TO}{ALL}
  %recv.2 = (bf16[128,128]{{1,0}}, u32[], token[]) recv(%after-all.1), {FAR}_xla_host_transfer_rendezvous="all-gather.2_0",{TO}{ALL}
  %fusion.1 = bf16[256,128] fusion(%p.1), kind=kLoop, calls=%sum, backend_config={{"estimated_cycles":"10"}}
  %recv-done.2 = (bf16[128,128]{{1,0}}, token[]) recv-done(%recv.2), {FAR}}}
  ROOT %copy.1 = bf16[256,128] copy(%fusion.1)
}}

%sum (a.1: bf16[256,128]) -> bf16[256,128] {{
  ROOT %a.1 = bf16[256,128] parameter(0)
}}
"""  # noqa: E501


def test_what_crosses_the_network_is_a_send():
  summed, gathered = schedule.read(TWO_SLICES).collectives
  assert (summed.kind, summed.bytes, summed.ways) == ('all-reduce', 256 * 128 * 2, 2)
  assert summed.far and not summed.hidden and summed.wire == 256 * 128 * 2
  assert (gathered.kind, gathered.bytes, gathered.ways) == ('all-gather', 2 * 64 * 128 * 2, 2)
  assert gathered.far and gathered.hidden and gathered.wire == 64 * 128 * 2


TEXT = """HloModule jit_step, is_scheduled=true

%sum (a.1: f32[], b.1: f32[]) -> f32[] {
  %a.1 = f32[] parameter(0)
  %b.1 = f32[] parameter(1)
  ROOT %add.9 = f32[] add(%a.1, %b.1)
}

%begin (p.1: bf16[4,8]) -> (bf16[4,8], bf16[4,128]) {
  %p.1 = bf16[4,8]{1,0} parameter(0)
  %all-gather.1 = bf16[4,128]{1,0} all-gather(%p.1), channel_id=1, replica_groups=[1,16]<=[16], dimensions={1}
  ROOT %custom-call.1 = (bf16[4,8], bf16[4,128]) custom-call(%all-gather.1, %p.1), custom_call_target="AsyncCollectiveStart"
}

%async_collective_fusion.2 (p.2: bf16[4,8]) -> bf16[4,128] {
  %p.2 = bf16[4,8]{1,0} parameter(0)
  ROOT %all-gather.2 = bf16[4,128]{1,0} all-gather(%p.2), channel_id=1, replica_groups=[1,16]<=[16], dimensions={1}
}

%end (p.3: bf16[4,8]) -> bf16[4,128] {
  %p.3 = bf16[4,8]{1,0} parameter(0)
  %all-gather.3 = bf16[4,128]{1,0} all-gather(%p.3), channel_id=1, replica_groups=[1,16]<=[16], dimensions={1}
  ROOT %custom-call.3 = bf16[4,128] custom-call(%p.3, %all-gather.3), custom_call_target="AsyncCollectiveDone"
}

%scattered (p.4: f32[64]) -> f32[4] {
  %p.4 = f32[64]{0} parameter(0)
  %all-reduce.4 = f32[64]{0} all-reduce(%p.4), replica_groups=[1,16]<=[16], to_apply=%sum, backend_config={"collective_algorithm_config":{"emitter":"SingleInputAllReduceScatterFusion"}}
  ROOT %ds.4 = f32[4]{0} dynamic-slice(%all-reduce.4, %p.4), dynamic_slice_sizes={4}
}

%inner (t.1: (u32[], bf16[4,8])) -> (u32[], bf16[4,8]) {
  %t.1 = (u32[], bf16[4,8]) parameter(0)
  %two = u32[] constant(2)
  %n.1 = u32[] get-tuple-element(%t.1), index=0
  %x.1 = bf16[4,8] get-tuple-element(%t.1), index=1
  %collective-permute-start.1 = (bf16[4,8], bf16[4,8], u32[], u32[]) collective-permute-start(%x.1), channel_id=2, source_target_pairs={{0,1},{1,0}}
  %fusion.5 = bf16[4,8] fusion(%x.1), kind=kLoop, calls=%sum, backend_config={"window_config":{"estimated_cycles":"10"}}
  %collective-permute-done.1 = bf16[4,8] collective-permute-done(%collective-permute-start.1)
  %copy.4 = bf16[4,8] copy(%collective-permute-done.1), metadata={op_name="jit(step)/swap"}
  %add.2 = u32[] add(%n.1, %two)
  ROOT %tuple.1 = (u32[], bf16[4,8]) tuple(%add.2, %copy.4)
}

%inner_end (t.2: (u32[], bf16[4,8])) -> pred[] {
  %seven = u32[] constant(7)
  %t.2 = (u32[], bf16[4,8]) parameter(0)
  %n.2 = u32[] get-tuple-element(%t.2), index=0
  ROOT %lt.2 = pred[] compare(%n.2, %seven), direction=LT
}

%layer (t.3: (s32[], bf16[4,8])) -> (s32[], bf16[4,8]) {
  %t.3 = (s32[], bf16[4,8]) parameter(0)
  %x.3 = bf16[4,8] get-tuple-element(%t.3), index=1
  %n.3 = s32[] get-tuple-element(%t.3), index=0
  %one = s32[] constant(1)
  %async-collective-start.1 = (bf16[4,8], bf16[4,128]) fusion(%x.3), kind=kCustom, calls=%begin
  %fusion.6 = bf16[4,128] fusion(%x.3), kind=kOutput, calls=%async_collective_fusion.2, backend_config={"window_config":{"estimated_cycles":"1000"}}
  %async-collective-done.1 = bf16[4,128] fusion(%x.3), kind=kCustom, calls=%end
  %while.1 = (u32[], bf16[4,8]) while(%t.3), condition=%inner_end, body=%inner
  %all-reduce.7 = f32[100]{0} all-reduce(%x.3), channel_id=5, replica_groups={{0,1,2,3},{4,5,6,7}}, to_apply=%sum, metadata={op_name="jit(step)/transpose(jvp())/while/body/add_any"}
  %add.3 = s32[] add(%n.3, %one)
  ROOT %tuple.3 = (s32[], bf16[4,8]) tuple(%add.3, %x.3)
}

%layer_end (t.4: (s32[], bf16[4,8])) -> pred[] {
  %depth = s32[] constant(3)
  %t.4 = (s32[], bf16[4,8]) parameter(0)
  %n.4 = s32[] get-tuple-element(%t.4), index=0
  ROOT %lt.4 = pred[] compare(%n.4, %depth), direction=LT
}

%sampled (t.5: (s32[], bf16[4,8])) -> (s32[], bf16[4,8]) {
  %t.5 = (s32[], bf16[4,8]) parameter(0)
  ROOT %fusion.8 = (s32[], bf16[4,8]) fusion(%t.5), kind=kLoop, calls=%sum, backend_config={"window_config":{"estimated_cycles":"7"}}
}

%sampled_end (t.6: (s32[], bf16[4,8])) -> pred[] {
  %t.6 = (s32[], bf16[4,8]) parameter(0)
  %n.6 = s32[] get-tuple-element(%t.6), index=0
  ROOT %and.1 = pred[] and(%n.6, %n.6)
}

ENTRY %main (w: bf16[4,8]) -> bf16[4,8] {
  %w = bf16[4,8]{1,0} parameter(0)
  %while.2 = (s32[], bf16[4,8]) while(%w), condition=%layer_end, body=%layer
  %while.3 = (s32[], bf16[4,8]) while(%w), condition=%sampled_end, body=%sampled
  %all-reduce.8 = (f32[10], f32[20]) all-reduce(%w), replica_groups=mesh['a'=2,'b'=4] {'a'}, to_apply=%sum
  %reduce-scatter.1 = f32[4]{0} reduce-scatter(%w), replica_groups=[2,4]<=[4,2]T(1,0), dimensions={0}, to_apply=%sum
  %fusion.9 = f32[4]{0} fusion(%w), kind=kCustom, calls=%scattered
  %collective-permute-start.2 = (f32[8], f32[8], u32[], u32[]) collective-permute-start(%w), source_target_pairs={{0,4},{4,0}}
  %collective-permute-done.2 = f32[8] collective-permute-done(%collective-permute-start.2)
  ROOT %r = bf16[4,8] get-tuple-element(%while.2), index=1
}
"""  # noqa: E501


@pytest.fixture(scope='module')
def read():
  return schedule.read(TEXT, turns=100, per_slice=4)


def test_cycles_count_every_turn(read):
  """3 layers of 1000, and in each 4 turns (0, 2, 4, 6 of 7) of 10; 100 of 7 where data decide."""
  assert read.cycles == 3 * (1000 + 4 * 10) + 100 * 7


def of(read, kind, **fields):
  return [
    c
    for c in read.collectives
    if c.kind == kind and all(getattr(c, name) == x for name, x in fields.items())
  ]


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
  scattered, fused = of(read, 'reduce-scatter')
  if fused.ways == 4:
    scattered, fused = fused, scattered
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
  assert schedule.groups(text) == listed


def test_sizes():
  assert schedule.size('(bf16[2,3]{1,0:T(8,128)(2,1)S(1)}, f32[], /*index=2*/pred[4])') == 20
  assert schedule.size('s4[8]') == 4 and schedule.size('f8e4m3fn[8]') == 8
