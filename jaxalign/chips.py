"""What an accelerator can do, as published: one table for MFU, for costs and for what fits."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chip:
  devices: tuple[str, ...]  # how jax may name one: these, and what follows
  flops: float  # a second, bf16, dense
  gib: int  # of memory
  bandwidth: float  # of memory, bytes a second
  cores: int = 1  # of one device, where a slice's name counts cores: v4-8 is four chips of two
  # KiB of a TPU's fast memory, 128 MiB, that a fusion of a training step may take, where its
  # compiler gives 16,384. Products then read larger pieces, and compiling takes two to four times
  # as long (11 in docs/performance.md). 0: as it comes.
  fusion: int = 0


CHIPS = {  # a v5e's name begins as a v5p's does, and so comes before it
  'v4': Chip(devices=('TPU v4',), flops=275e12, gib=32, bandwidth=1.23e12, cores=2),
  'v5e': Chip(
    devices=('TPU v5 lite', 'TPU v5e'), flops=197e12, gib=16, bandwidth=0.82e12, fusion=32_768
  ),
  'v5p': Chip(devices=('TPU v5',), flops=459e12, gib=95, bandwidth=2.77e12, cores=2, fusion=49_152),
  'v6e': Chip(devices=('TPU v6',), flops=918e12, gib=32, bandwidth=1.64e12, fusion=65_536),
  'a100': Chip(devices=('NVIDIA A100',), flops=312e12, gib=80, bandwidth=2.04e12),
  'h100': Chip(devices=('NVIDIA H100',), flops=989e12, gib=80, bandwidth=3.35e12),
  'h200': Chip(devices=('NVIDIA H200',), flops=989e12, gib=141, bandwidth=4.8e12),
}


def of_device(name: str) -> Chip | None:
  """The chip that jax calls so; None where the table has none."""
  return next((chip for chip in CHIPS.values() if name.startswith(chip.devices)), None)
