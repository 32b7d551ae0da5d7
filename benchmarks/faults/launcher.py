"""Cases of the launcher: flags of launch.pod, launch.preflight, launch.rehearse, launch.report."""

from benchmarks.faults.case import STAGES, Case

CONFIG = 'configs/explain_phi2.py'
UP = ('up', '--name=trial', '--slice=v5e-4', '--zone=here', '--dry_run')
REST = ('--', f'--config={CONFIG}', '--workdir=gs://b/run')
POD = {  # what is wrong: (its arguments, what the line must name)
  'nothing': ((), 'verb'),
  'no such verb': (('fly', '--name=trial'), 'fly'),
  'no name': (('status',), 'name'),
  'a name of capitals': (('status', '--name=Trial'), 'Trial'),
  'a name of nothing': (('status', '--name='), 'name'),
  'a name with a slash': (('status', '--name=a/b', '--zone=z'), 'a/b'),
  'no zone': (('up', '--name=trial', '--slice=v5e-4', *REST), 'zone'),
  'no slice': (('up', '--name=trial', '--zone=here', *REST), 'slice'),
  'no such slice': (('up', '--name=trial', '--slice=v9-4', '--zone=here', *REST), 'v9'),
  'a slice of none': (('up', '--name=trial', '--slice=v5e-0', '--zone=here', *REST), 'v5e-0'),
  'a slice that is not made': (('up', '--name=t', '--slice=v5e-7', '--zone=h', *REST), 'v5e-7'),
  'a local slice of none': (('up', '--name=t', '--slice=local-0', *REST), 'local-0|slice'),
  'a local slice of text': (('up', '--name=t', '--slice=local-x', '--zone=h', *REST), 'local-x'),
  'no command': (UP, 'command'),
  'an empty command': ((*UP, '--'), 'command'),
  'a config without =': ((*UP, '--', '--config', CONFIG, '--workdir=gs://b'), 'config'),
  'a config that is not sent': ((*UP, '--', '--config=a.py', '--workdir=gs://b'), r'a\.py'),
  'a local workdir': ((*UP, '--', f'--config={CONFIG}', '--workdir=/tmp/x'), 'workdir'),
  'no workdir': ((*UP, '--', f'--config={CONFIG}'), 'workdir'),
  'values in env': ((*UP, '--env=A=1', *REST), 'env'),
  'env that is not set': ((*UP, '--env=NO_SUCH_NAME', *REST), 'NO_SUCH_NAME'),
  'a secret': ((*UP, '--create_flag=HF_TOKEN=x', *REST), 'HF_TOKEN'),
  'slices over DCN': ((*UP, '--num_slices=2', *REST), 'num_slices'),
  'a dry local pod': (
    (
      'up',
      '--name=t',
      '--slice=local-2',
      '--dry_run',
      '--',
      f'--config={CONFIG}',
      '--workdir=/tmp/x',
    ),
    'dry_run|local',
  ),
  'gke with existing': ((*UP, '--gke', '--existing', '--image=i', *REST), 'existing'),
  'gke without image': ((*UP, '--gke', *REST), 'image'),
  'a worker below 0': (('logs', '--name=t', '--zone=z', '--worker=-1', '--dry_run'), 'worker'),
  'a shortened flag': (('status', '--nam=t', '--zone=z'), 'nam'),
}
AMOUNTS = ('wait', 'poll', 'grace', 'ssh_patience', 'silent')
COUNTS = ('lines', 'devices', 'num_slices')
PREFLIGHT = {
  'nothing': ((), 'config'),
  'no slice': ((f'--config={CONFIG}',), 'slice'),
  'no such config': (('--config=no.py', '--slice=v5e-4'), r'no\.py'),
  'no such variant': ((f'--config={CONFIG}:big', '--slice=v5e-4'), 'big'),
  'no such slice': ((f'--config={CONFIG}', '--slice=v9-4'), 'v9'),
  'a slice of none': ((f'--config={CONFIG}', '--slice=v5e-0'), 'v5e-0'),
  'a slice of words': ((f'--config={CONFIG}', '--slice=big'), 'big'),
  'an unknown flag': ((f'--config={CONFIG}', '--slice=v5e-4', '--fast'), 'fast'),
  'a price of nothing': ((f'--config={CONFIG}', '--slice=v5e-4', '--price=-1'), 'price'),
  'a price of text': ((f'--config={CONFIG}', '--slice=v5e-4', '--price=x'), 'price'),
  'a timeout of nan': ((f'--config={CONFIG}', '--slice=v5e-4', '--timeout=nan'), 'timeout'),
  'json into a directory': ((f'--config={CONFIG}', '--slice=v5e-4', '--json=docs'), 'json'),
  'json below a file': ((f'--config={CONFIG}', '--slice=v5e-4', '--json=README.md/x'), 'json'),
  'a field of none': ((f'--config={CONFIG}', '--slice=v5e-4', '--config.stpes=3'), 'stpes'),
  'a field out of range': ((f'--config={CONFIG}', '--slice=v5e-4', '--config.batch=-1'), 'batch'),
  'a config without a device': ((f'--config={STAGES}:none', '--slice=v5e-4'), 'none'),
}
REHEARSE = {
  'nothing': ((), 'command'),
  'no command': (('--hosts=2', '--'), 'command'),
  'no hosts': (('--hosts=0', '--', 'true'), 'host'),
  'hosts of text': (('--hosts=x', '--', 'true'), 'host'),
  'hosts below 0': (('--hosts=-1', '--', 'true'), 'host'),
  'no devices': (('--devices=0', '--', 'true'), 'device'),
  'an unknown flag': (('--fast', '--', 'true'), 'fast'),
}
REPORT = {
  'nothing': ((), 'file'),
  'no such file': (('{place}/no.json',), r'no\.json'),
  'a directory': (('docs',), 'docs'),
  'no JSON': (('README.md',), r'README\.md'),
  'a file of tests': (('tests/golden/llama.npz',), r'llama\.npz'),
  'other JSON': (('{place}/other.json',), r'other\.json'),
  'JSON nested deep': (('{place}/deep.json',), r'deep\.json'),
  'a fifo': (('{place}/fifo',), 'fifo'),
}


def cases():
  pod = dict(POD)
  for flag in AMOUNTS:
    for text in ('-1', 'nan', 'inf', 'x', ''):
      pod[f'{flag}={text}'] = (
        ('status', '--name=t', '--zone=z', f'--{flag}={text}', '--dry_run'),
        flag,
      )
  for flag in COUNTS:
    for text in ('0', '-1', 'x', '1.5'):
      pod[f'{flag}={text}'] = (
        ('status', '--name=t', '--zone=z', f'--{flag}={text}', '--dry_run'),
        flag,
      )
  for text in ('-1', 'x', '1.5'):
    pod[f'restarts={text}'] = ((*UP, f'--restarts={text}', *REST), 'restarts')
  programs = dict(pod=pod, preflight=PREFLIGHT, rehearse=REHEARSE, report=REPORT)
  for program, every in programs.items():
    for name, (argv, says) in every.items():
      yield Case(
        kind='launcher',
        name=f'{program}: {name}',
        program=f'launch.{program}',
        argv=argv,
        says=says,
        make=_files if program == 'report' else None,
        limit=30,
        aloud=program == 'pod',
      )


def _files(place):
  import os

  (place / 'other.json').write_text('{"a": 1}')
  (place / 'deep.json').write_text('[' * 100_000)
  os.mkfifo(place / 'fifo')
