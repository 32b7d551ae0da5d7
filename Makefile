# `make demo` and `make test` need nothing but Python 3.11 or newer: each makes its own $(VENV) first,
# and makes it again only when pyproject.toml has changed.
#   PYTHON=/path/to/python3.12 make test    another interpreter (VENV=.venv312 keeps both)

VENV ?= .venv
JOBS ?= 2
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.13 python; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

RUN := $(VENV)/bin/python
# Keyed by what was asked for; touched last, so an install that was cut short leaves no stamp.
STAMP := $(VENV)/.installed-$(shell cksum < pyproject.toml | tr -d ' \t\n')
PYTEST := $(RUN) -m pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder --durations=10
# What a new version of jax could break: the rooms that call it, and each kind of run once.
NEWEST := $(addprefix tests/,models train losses_test.py sharding_test.py compile_cache_test.py config_test.py \
  main_test.py rl/sample_test.py stages/language_test.py stages/ppo_test.py \
  study/run/runner_test.py)

# The site's tools have a place of their own, which sees $(VENV): mkdocs imports what it describes.
DOCS := .venv-docs
DOCS_STAMP := $(DOCS)/.installed-$(shell cksum < pyproject.toml | tr -d ' \t\n')

.PHONY: demo test test-newest test-all lint format docs docs-tools install clean

demo: install
	@$(RUN) -m jaxalign.main --config=configs/study_why.py --workdir=runs/why

test: install
	@$(PYTEST) -m 'not campaign'

test-newest: install
	@$(PYTEST) -m 'not campaign' $(NEWEST)

test-all: install
	@$(PYTEST)

lint: install
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy

format: install
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

docs-tools: install $(DOCS_STAMP)

docs: docs-tools
	@JAX_PLATFORMS=cpu NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/python -m mkdocs build
	@echo 'open site/index.html'

$(DOCS_STAMP): | install
	@echo 'installing what builds the site into $(DOCS) (once, a minute)'
	@'$(RUN)' -m venv --clear '$(DOCS)'
	@'$(RUN)' -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_paths()["purelib"])' \
	  > "$$('$(DOCS)/bin/python' -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')/sees_venv.pth"
	@'$(RUN)' -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	  print(*project["optional-dependencies"]["docs"], sep="\n")' > '$(DOCS)/asked.txt'
	@'$(DOCS)/bin/python' -m pip install -qq --disable-pip-version-check -r '$(DOCS)/asked.txt'
	@touch '$@'

install: $(STAMP)

$(STAMP):
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo 'error: Python 3.11 or newer is needed; name one, as in: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@echo 'installing jaxalign and what it needs into $(VENV) (once, a few minutes)'
	@'$(RUN)' -m pip --version >/dev/null 2>&1 || '$(PYTHON)' -m venv --clear '$(VENV)' || { \
	  echo 'error: $(PYTHON) cannot make a virtual environment: install its venv package (python3-venv)' >&2; exit 1; }
	@'$(RUN)' -m pip install -qq --disable-pip-version-check --editable '.[test,report,dev]'
	@rm -f '$(VENV)'/.installed-*
	@touch '$@'
	@echo 'installed'

clean:
	rm -rf .venv .venv312 .venv-docs .venv-harnesses site .pytest_cache .mypy_cache .ruff_cache build jaxalign.egg-info
