"""A Guest: what a study runs in. A kind of study is one folder, in which one class extends this.

The study asks a guest for corpora, for where arms start, for what they are asked and for its page;
it knows nothing else of worlds or of texts. A guest is the `world` of a study's config, or made of
it. `home` is the directory of one seed, and holds all that is made for it.
"""

import abc
import dataclasses

from jaxalign.config import UserError


@dataclasses.dataclass(frozen=True)
class Start:
  """A base: where it was trained, what the next step starts from, and the hash of its weights."""

  trained: object
  init: str
  hash: str


class Guest(abc.ABC):
  """What a study runs in."""

  TESTS: tuple[str, ...] = ()  # the names that an arm's `tests` may take
  CONTEXTS = False  # whether a document can stand before a question: in_context
  keeps = False  # whether something is kept beside an arm's outcomes: keep

  @property
  def config(self):
    """The config by which a finished study is known again."""
    return self

  @abc.abstractmethod
  def at(self, seed, control):
    """A Guest: this one for a seed. control: where documents say nothing about conduct."""

  @abc.abstractmethod
  def check_plan(self, cfg, arms):
    """Refuses a study whose corpora, tests or starts this guest cannot serve."""

  @abc.abstractmethod
  def corpora_of(self, kinds, home):
    """{kind: (path, sha256)} of what the arms of a seed read, made where it is not there."""

  @abc.abstractmethod
  def made_again(self, kinds):
    """{kind: sha256} of some corpora, made anew: a changed source or grammar is seen by it."""

  @abc.abstractmethod
  def tokenizer_of(self, home):
    """A path or name, as a stage's `tokenizer` takes it."""

  @abc.abstractmethod
  def base(self, cfg, home, train):
    """A Start. train(): trains the config's base under `home`, and gives its directory."""

  @abc.abstractmethod
  def load(self, cfg, place):
    """The model that a run left at `place`."""

  @abc.abstractmethod
  def asked(self, name, home):
    """{test: items} of the tests called `name`; an item has a `hash`."""

  @abc.abstractmethod
  def base_tests(self, asked):
    """{test: items} for the base; asked: {name: those of the arms}."""

  @abc.abstractmethod
  def outcomes(self, model, steps, tests):
    """Outcomes of {test: items}, of a model that took these steps."""

  @abc.abstractmethod
  def gate_values(self, cfg, means):
    """{gate: {seed: number}}, from {seed: {(arm, test): its means}}."""

  @property
  @abc.abstractmethod
  def contents(self):
    """What the study's page has, in order (report/contents.py)."""

  def begin(self, workdir):
    """(home, corpora) of what all seeds share, or None where each has its own."""
    return None

  def tokens_of(self, home):
    """A path: where tokenised corpora are kept."""
    return str(home / 'tokens')

  def in_context(self, model, kind, tests):
    """Outcomes with a document of this kind before each question."""
    raise UserError(f'{type(self).__name__} has no documents to put before a question')

  def keep(self, store, name, key, model):
    """Keeps what is looked at later beside an arm's outcomes. model(): the model."""
    return None

  def beside(self, cfg, workdir):
    """What results.json says of what was kept, or None."""
    return None

  def progress(self, rows):
    """A few words about a finished seed, or ''."""
    return ''

  def little(self):
    """A Guest with as little of everything as a doctor needs to see."""
    return self

  def examine(self, visit, cfg):
    """Checks of --doctor that only this guest has."""
    return None
