"""What lies around a run: the disk that it writes to, and the servers that it asks."""

import os
import shutil
import socket
import urllib.parse

from jaxalign.config import UserError


def listens(url: str) -> str:
  """That somebody listens there: a connection is opened and closed, and nothing asked."""
  parts = urllib.parse.urlsplit(url)
  host, port = parts.hostname or '', parts.port or (443 if parts.scheme == 'https' else 80)
  try:
    socket.create_connection((host, port), timeout=5).close()
  except OSError as error:
    raise UserError(
      f'nobody listens at {url} ({error}): start the server first, or mend url'
    ) from error
  return f'somebody listens at {url}'


def room(workdir: os.PathLike[str], needed: float, what: str) -> str:
  """That a local disk has room for so many bytes. what: these, as a sentence begins with them."""
  place = os.fspath(workdir)
  while not os.path.exists(place):
    place = os.path.dirname(place)
  free = shutil.disk_usage(place).free
  words = f'{what}, {free / 2**20:,.0f} free'
  if needed > free:
    raise UserError(f'{words}: make room, or take another --workdir')
  return words
