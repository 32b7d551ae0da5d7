"""What was said, as a judge reads it: cut where the model begins to speak for its user, and decoded
where the question asked for an encoded answer. Answers are stored raw; this happens on reading.
"""

from jaxalign.evals.item import Item, Said

VERSION = '1'  # of what is below and of codes.py, by which every judge's verdicts are decided
_OTHER = '\n\nHuman:'  # models of HH transcripts go on with the next question


def as_read(item: Item, said: Said) -> str:
  """The text that a judge is shown."""
  text = said.text.partition(_OTHER)[0]
  if item.decode == 'plain':
    return text
  from jaxalign.evals.templates import HOOKS  # of attacks: most items have none

  return HOOKS[item.decode].decode(text)
