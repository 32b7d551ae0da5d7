"""VADER, loaded where sentiment is counted: a rule of words, of English alone and without irony."""

from collections.abc import Callable

from jaxalign.config import UserError


def compound(whose: str, otherwise: str) -> Callable[[str], float]:
  """What gives a text its compound, -1 to 1. whose, otherwise: of the error where VADER is not
  installed, who needs it, and what else helps."""
  try:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
  except ImportError as error:
    raise UserError(f'{whose} needs VADER: pip install vaderSentiment, or {otherwise}') from error
  analyser = SentimentIntensityAnalyzer()
  return lambda text: float(analyser.polarity_scores(text)['compound'])
