"""The checkout as one file: what git tracks, as it lies there now, and nothing else."""

import fnmatch
import hashlib
import io
import pathlib
import tarfile

from launch import shell
from launch.shell import PodError

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Tracked or not, these are never sent.
SECRET = (
  *('.env', '.env.*', '*.pem', '*.key', '*.p12', 'id_rsa*', 'id_ed25519*', '.netrc'),
  *('*credentials*.json', '*service_account*.json', '*service-account*.json'),
)


def tracked(root=ROOT):
  """Names of the files that git tracks and that are there."""
  got = shell.run(['git', '-C', str(root), 'ls-files', '-z'])
  if got.status:
    raise PodError(f'{root} is no git checkout, so it is not known what to send: {got.why}')
  names = [name for name in got.out.split('\0') if name and (root / name).is_file()]
  for name in names:
    base = name.rsplit('/', 1)[-1].lower()
    if any(fnmatch.fnmatchcase(base, pattern) for pattern in SECRET):
      raise PodError(
        f'{name} looks like a secret, and git tracks it: git rm --cached {name}, and give secrets '
        'through the environment (--env=NAME)'
      )
  return sorted(names)


def pack(path, root=ROOT):
  """Writes the tar file: (path, its mark), the same mark for the same files."""
  data = io.BytesIO()
  with tarfile.open(fileobj=data, mode='w', format=tarfile.PAX_FORMAT) as tar:
    for name in tracked(root):
      file = root / name
      info = tarfile.TarInfo(name)
      info.size, info.mode = file.stat().st_size, 0o755 if file.stat().st_mode & 0o100 else 0o644
      with file.open('rb') as content:
        tar.addfile(info, content)
  path.write_bytes(data.getvalue())
  return path, hashlib.sha256(data.getvalue()).hexdigest()[:12]
