"""What a run has left, without its clock: two runs of a command are the same to the bit, or not."""

import json

CLOCKS = {'seconds', 'where', 'tokens_per_second', 'mfu', 'waiting'}
ROWS = 'metrics.jsonl', 'evals.jsonl', 'samples.jsonl', 'outcomes.jsonl'
WHOLE = 'results.json', 'bon.json', 'card.json', 'about.json'


def timeless(value):
  """JSON without what a clock said; the bits of a float survive."""
  if isinstance(value, dict):
    return {k: timeless(v) for k, v in value.items() if k not in CLOCKS}
  return [timeless(x) for x in value] if isinstance(value, list) else value


def record(workdir):
  """{file: what it holds} of a run, and under 'state' every array of its newest checkpoint."""
  found = {}
  for name in ROWS:
    if (workdir / name).exists():
      lines = (workdir / name).read_text().splitlines()
      found[name] = [timeless(json.loads(line)) for line in lines]
  for name in WHOLE:
    if (workdir / name).exists():
      found[name] = timeless(json.loads((workdir / name).read_text()))
  for path in sorted(workdir.glob('bon-*.jsonl')):
    found[path.name] = path.read_text()
  steps = [int(path.name) for path in workdir.glob('checkpoints/*') if path.name.isdigit()]
  if steps:
    sums = workdir / 'checkpoints' / str(max(steps)) / 'fingerprint/metadata'
    found['state'] = [max(steps), json.loads(sums.read_text()) if sums.exists() else None]
  return json.loads(json.dumps(found).replace(str(workdir), 'WORKDIR'))


def differences(workdir, reference):
  """'' where the run is as `reference`, a record, else what differs."""
  try:
    found = record(workdir)
  except (OSError, ValueError) as error:
    return f'its files cannot be read: {type(error).__name__}: {error}'
  if found.keys() != reference.keys():
    return f'it left {", ".join(sorted(found))}; the unbroken run {", ".join(sorted(reference))}'
  return ', '.join(f'{name} differs' for name in found if found[name] != reference[name])
