"""A pod of local processes over loopback: what a run does on many hosts, before any is paid for.

  python -m launch.rehearse --hosts 4 --devices 2 -- python -m jaxalign.main --config=...

Every process gets `devices` CPU devices and the JAX_* variables by which jaxalign joins the others.
Ends as the first process to fail does, and ends the others; SIGTERM and SIGINT reach all of them.
Exit status 75: they were told to stop, have saved, and go on when started again.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

from jaxalign.endings import UNFINISHED
from launch.shell import OneLine

GRACE = 60  # seconds the others have to end by themselves after one has failed
SAYING = threading.Lock()


def main(argv):
  args, command = parse(argv)
  port = free_port()
  try:
    hosts = [start(command, host, args, port) for host in range(args.hosts)]
  except OSError as error:  # the first start fails as any other would
    print(f'error: {command[0]} cannot be started: {error.strerror}', file=sys.stderr)
    return 127
  readers = [threading.Thread(target=relay, args=(n, p), daemon=True) for n, p in enumerate(hosts)]
  for reader in readers:
    reader.start()
  for kind in (signal.SIGTERM, signal.SIGINT):
    signal.signal(kind, lambda kind, _: [p.send_signal(kind) for p in hosts if p.poll() is None])
  status = wait(hosts)
  for reader in readers:
    reader.join(timeout=5)
  return status


def parse(argv):
  cut = argv.index('--') if '--' in argv else len(argv)
  parser = OneLine(prog='launch.rehearse', description=__doc__.splitlines()[0])
  parser.add_argument('--hosts', type=int, default=2, help='processes')
  parser.add_argument('--devices', type=int, default=2, help='devices of each')
  args, command = parser.parse_args(argv[:cut]), argv[cut + 1 :]
  if not command:
    parser.error('give the command after --')
  if args.hosts < 1 or args.devices < 1:
    parser.error('hosts and devices are at least 1')
  return args, command


def free_port():
  with socket.socket() as s:
    s.bind(('127.0.0.1', 0))
    return s.getsockname()[1]


def together(host, hosts, devices, port):
  """The variables by which a process becomes one of a pod."""
  flags = re.sub(r'--xla_force_host_platform_device_count=\d+', '', os.environ.get('XLA_FLAGS', ''))
  return dict(
    JAX_PLATFORMS='cpu',
    XLA_FLAGS=f'{flags} --xla_force_host_platform_device_count={devices}'.strip(),
    JAX_COORDINATOR_ADDRESS=f'127.0.0.1:{port}',
    JAX_NUM_PROCESSES=str(hosts),
    JAX_PROCESS_ID=str(host),
  )


def start(command, host, args, port):
  env = os.environ | together(host, args.hosts, args.devices, port) | dict(PYTHONUNBUFFERED='1')
  pipe = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
  return subprocess.Popen(command, env=env, **pipe)


def say(line):
  """In one write, newline included: print makes two, and another thread's line falls between."""
  with SAYING:
    sys.stdout.write(line.rstrip('\n') + '\n')
    sys.stdout.flush()


def relay(host, process):
  say(f'[{host}] process {process.pid}')
  for line in process.stdout:
    say(f'[{host}] {line}')


def wait(hosts):
  """The exit status of the first process that fails, once all have ended; if none does, UNFINISHED
  where one was told to stop, else 0."""
  failed, deadline = 0, None
  while any(p.poll() is None for p in hosts):
    bad = next((p for p in hosts if p.poll() not in (None, 0, UNFINISHED)), None)
    if bad is not None and deadline is None:
      failed, deadline = bad.returncode, time.monotonic() + GRACE
      say(f'[{hosts.index(bad)}] ended with {failed}; the others have {GRACE} s')
    if deadline is not None and time.monotonic() > deadline:
      for p in hosts:
        p.kill()
    time.sleep(0.1)
  codes = [p.returncode for p in hosts]
  failed = failed or next((code for code in codes if code not in (0, UNFINISHED)), max(codes))
  return failed if failed >= 0 else 128 - failed


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
