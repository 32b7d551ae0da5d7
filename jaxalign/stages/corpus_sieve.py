"""What no text of a corpus may be or hold: the filters of a run, put together."""

from collections.abc import Iterable, Iterator, Sequence

from jaxalign.corpora import duplicates, filters, leaks
from jaxalign.corpora.leaks import Held
from jaxalign.corpora.recipes.passing import Sieve
from jaxalign.corpora.records import Written
from jaxalign.corpora.spec import Spec
from jaxalign.data.records import Conversation, Document, Pair, Record
from jaxalign.data.sources import Source
from jaxalign.evals.item import Suite


def held_by(suites: Iterable[Suite], against: Iterable[Source]) -> list[str]:
  """All that evaluations ask, and their answers."""
  items = leaks.of_suites(suites)
  for source in against:
    items += [text for _, record in source.read() for text in _texts(record)]
  return items


def _texts(record: Record) -> Iterator[str]:
  if isinstance(record, Document):
    yield record.text
    return
  turns = record.prompt if isinstance(record, Pair) else record.turns
  yield from (turn.text for turn in turns)
  if isinstance(record, Pair):
    yield from (record.chosen, record.rejected)


def texts_of(sources: Iterable[Source]) -> list[str]:
  """Texts of corpora of which nothing may be the twin."""
  every = [record for source in sources for _, record in source.read()]
  return [' '.join(_texts(record)) for record in every if not isinstance(record, Conversation)]


def of(spec: Spec, held: Held, beside: Sequence[str], words: tuple[int, int] = (0, 0)) -> Sieve:
  """Form, invention, leaks, twins: the cheap ones first. beside: texts of other corpora."""

  def sieve(kept: Sequence[Written], batch: Sequence[Written]) -> list[str | None]:
    others = [*beside, *(one.text for one in kept)]
    return filters.whys(
      batch,
      filters.each(lambda one: filters.why_dropped(one, spec, words)),
      filters.each(lambda one: held.why(one.text)),
      lambda left: duplicates.twins([one.text for one in left], others),
    )

  return sieve
