"""A slice of TPU VMs behind gcloud: every command line that is ever run there is made here."""

import json
import re

from launch import shell
from launch.shell import PodError

GONE = ('SUSPENDING', 'SUSPENDED', 'FAILED', 'PREEMPTED', 'TERMINATED', 'STOPPED', 'DELETING')
UNKNOWN = 'UNKNOWN'  # nobody could be asked: it may cost money all the same
NONE = 'NONE'


class Slice:
  """A queued resource and its TPU VM of the same name; or, `existing`, a TPU VM made by others."""

  costs = True

  def __init__(
    self,
    name,
    slice_,
    zone,
    project=None,
    *,
    run=shell.run,
    spot=False,
    existing=False,
    runtime=None,
    internal_ip=False,
    flags=(),
  ):
    self.name, self.slice, self.run, self.existing = name, slice_, run, existing
    self.hosts = slice_.hosts
    self.spot, self.runtime, self.flags = spot, runtime, tuple(flags)
    self.where = [f'--zone={zone}', *([f'--project={project}'] if project else [])]
    self.ip = ['--internal-ip'] if internal_ip else []
    self.kind = 'tpu-vm' if existing else 'queued-resources'
    self.why = ''  # it is in the state it is in, where that was said
    self.other = ''  # what it is, where that is not the slice that was named

  def check(self):
    """That somebody is logged in, before anything is asked for."""
    who = self.run(
      ['gcloud', 'auth', 'list', '--filter=status:ACTIVE', '--format=value(account)'], patience=60
    )
    if who.status or not who.out.strip():
      why = f' ({who.why})' if who.status else ''
      raise PodError(f'gcloud has no active account{why}: gcloud auth login')

  def state(self):
    """NONE, ACTIVE, UNKNOWN, or what Google calls it on the way there or away from there."""
    self.why = ''
    found = self._describe(self.kind)
    if found == NONE and not self.existing and self._describe('tpu-vm') != NONE:
      self.kind = 'tpu-vm'
      raise PodError(f'TPU VM {self.name} was not made by a queued resource: add --existing')
    if found in (NONE, UNKNOWN):
      return found
    if not self.existing:
      state = found.get('state', {})
      self.why = said_in(state)
      state = state.get('state', UNKNOWN)
      if state != 'ACTIVE':
        return state
      found = self._describe('tpu-vm')  # which may have been taken away since
      if found in (NONE, UNKNOWN):
        return 'PREEMPTED' if found == NONE else UNKNOWN
    state = found.get('state', UNKNOWN)
    self.hosts = len(found.get('networkEndpoints', ())) or self.slice.hosts
    type_ = found.get('acceleratorType', self.slice.type).rsplit('/', 1)[-1]
    self.other = '' if type_ == self.slice.type else f'{type_}, and no {self.slice.name}'
    return 'ACTIVE' if state == 'READY' else state

  def _describe(self, kind):
    command = ['gcloud', 'compute', 'tpus', kind, 'describe', self.name, *self.where]
    got = self.run([*command, '--format=json', '--quiet'], patience=90)
    if got.status == 0:
      try:
        return json.loads(got.out)
      except ValueError:
        return UNKNOWN
    if 'NOT_FOUND' in got.why or 'not found' in got.why.lower():
      return NONE
    self.why = got.why
    if re.search(r'PERMISSION_DENIED|active account|reauth|not enabled|INVALID_ARGUMENT', got.why):
      raise PodError(got.why)
    return UNKNOWN

  def create(self):
    """Asks for it. None, or why there is no capacity now; what cannot be had at all is an error."""
    runtime = self.runtime or self.slice.runtime
    command = ['gcloud', 'compute', 'tpus', 'queued-resources', 'create', self.name]
    command += [f'--node-id={self.name}', *self.where, f'--accelerator-type={self.slice.type}']
    command += [f'--runtime-version={runtime}', *(['--spot'] if self.spot else []), *self.flags]
    command.append('--quiet')
    got = self.run(command, patience=600)
    if got.status == 0 or 'ALREADY_EXISTS' in got.why or 'already exists' in got.why:
      return None
    if got.status == shell.HUNG or is_capacity(got.why):
      return got.why
    raise PodError(f'{self.slice.name} was refused: {got.why}')

  def delete(self):
    got = self.run(self.removal(), patience=900)
    if got.status and 'NOT_FOUND' not in got.why and 'not found' not in got.why.lower():
      raise PodError(f'{self.name} could not be removed: {got.why}')

  def removal(self):
    """The command that makes it cost nothing."""
    force = ['--force'] if self.kind == 'queued-resources' else []
    command = ['gcloud', 'compute', 'tpus', self.kind, 'delete', self.name, *self.where]
    return [*command, *force, '--quiet']

  def workers(self):
    return range(self.hosts)

  def copy(self, worker, path, name):
    command = ['gcloud', 'compute', 'tpus', 'tpu-vm', 'scp', str(path), f'{self.name}:{name}']
    return self.run(
      [*command, f'--worker={worker}', *self.where, *self.ip, '--quiet'], patience=600
    )

  def ask(self, worker, command, *, given='', patience):
    """A shell command on a worker. --quiet: a question about keys would eat standard input."""
    ssh = ['gcloud', 'compute', 'tpus', 'tpu-vm', 'ssh', self.name, f'--worker={worker}']
    argv = [*ssh, *self.where, *self.ip, '--quiet', f'--command={command}']
    return self.run(argv, given=given, patience=patience)

  def environments(self):
    """Of each worker's run: jax finds the others by itself on TPU VMs."""
    return [{} for _ in self.workers()]


def said_in(state):
  """The error inside a queued resource's state, wherever it stands."""
  for part in state.values():
    if isinstance(part, dict) and 'message' in part.get('error', {}):
      return part['error']['message']
  return ''


def is_capacity(why):
  """Whether waiting may help: of what is exhausted, a quota is not."""
  if re.search(r'quota', why, re.IGNORECASE):
    return False
  pattern = (
    r'no more capacity|RESOURCE_EXHAUSTED|stockout|not enough resources|UNAVAILABLE|try again'
  )
  return bool(re.search(pattern, why, re.IGNORECASE))
