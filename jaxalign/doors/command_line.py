"""The words and flags of a command, read without an import that takes time."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from jaxalign.config import UserError

Flag = tuple[Callable[..., Any], str, Any, str]  # its kind, its name, its default, what it is


def flags_and_words(
  argv: Sequence[str], usage: str, defined: Sequence[Flag]
) -> tuple[Any, list[str]] | None:
  """(the flags, the words beside them) of a command line; None after --help."""
  values = flags.FlagValues()
  for define, name, default, what in defined:
    define(name, default, what, flag_values=values)
  flags.DEFINE_bool('help', False, 'this text', flag_values=values)
  flags.DEFINE_bool('debug', False, 'show the traceback of an error', flag_values=values)
  try:
    words = values(list(argv))[1:]
  except flags.Error as error:
    raise UserError(f'{error} (jaxalign {argv[0]} --help lists the flags)') from error
  if values.help:
    print(usage)
    for name in values:
      print(f'  --{name}  {values[name].help} [{json.dumps(values[name].default)}]')
    return None
  return values, words
