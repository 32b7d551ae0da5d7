"""A directory belongs to one run: who may write there, and what of the config may change."""

from jaxalign import config
from jaxalign.config import UserError

FREE = ('mesh', 'saving', 'logging')  # of a config: what a run may change when it goes on


def claim(cfg, workdir, writes=True):
  """The config is on disk, or this is another run's place. Of several processes one writes."""
  try:
    refuse_other_run(cfg, workdir)
    if writes:
      config.write(cfg, workdir / 'config.json')
  except UserError:
    raise
  except Exception as error:  # a bucket's client has dozens of error types; all mean the same here
    raise UserError(f'--workdir={workdir} cannot be written ({error}): choose another') from error


def refuse_other_run(cfg, workdir):
  """A workdir that holds checkpoints goes on only as the run it was."""
  path, saves = workdir / 'config.json', workdir / 'checkpoints'
  if not path.exists() or not saves.exists() or not any(p.is_dir() for p in saves.iterdir()):
    return
  changed = config.diff(config.read(path), cfg)
  changed = [(name, a, b) for name, a, b in changed if name.split('.')[0] not in FREE]
  if changed:
    shown = ', '.join(f'{name} ({old} there, {new} here)' for name, old, new in changed[:8])
    raise UserError(f'{workdir} holds another run: {shown}; take another --workdir, or that config')
