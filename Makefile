# Each verb makes its own environment in .venv first. `make demo` is the place to begin.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

SPEC := specs/classify-packages.yaml
ROWS := out/classify-packages.jsonl
CODE := $(wildcard runner tests benchmarks)
DEMO := BATCHSPEC_EMULATOR_ANSWERS=specs/answers.yaml $(BIN)/batchspec

.PHONY: demo test check bench docs wheel sdk-tests crash clean

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "batchspec needs Python 3.11 or later; try: make PYTHON=python3.12" >&2; exit 1; }
	@echo "Making the environment in $(VENV) (once) ..."
	@if command -v uv >/dev/null; then \
	  uv venv --quiet --allow-existing --python "$(PYTHON)" $(VENV) && \
	  uv pip install --quiet --python $(BIN)/python --editable . --group dev; \
	else \
	  "$(PYTHON)" -m venv $(VENV) && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1' && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev; \
	fi
	@touch $@

# Plan and run one real spec against the emulator inside the program: no key, no network, no cost.
demo: $(READY)
	@echo '$$ batchspec plan --emulate $(SPEC)'
	@$(DEMO) plan --emulate $(SPEC)
	@echo
	@echo '$$ batchspec run --emulate $(SPEC)'
	@again=no; [ -e .batchspec/emulated/ledger.db ] && again=yes; \
	code=0; $(DEMO) run --emulate $(SPEC) || code=$$?; echo; \
	case $$code in \
	  0) ;; \
	  3) echo 'Exit code 3 is meant here: the demo answers some packages wrongly, refuses some and'; \
	     echo 'cuts some short, to show how failures look. The outputs are written all the same.'; \
	     echo;; \
	  *) exit $$code;; \
	esac; \
	echo '$$ head -n 3 $(ROWS)'; head -n 3 $(ROWS); echo; \
	if [ $$again = yes ]; \
	then echo 'Nothing was asked or paid twice. `rm -r .batchspec/emulated` starts the demo afresh.'; \
	else echo 'Type `make demo` again: nothing is submitted, and every output byte stays the same.'; \
	fi

# A test that hangs where not even its timeout reaches it ends its worker, by name.
test: $(READY)
	@$(BIN)/pytest -n 2 --dist worksteal -m 'not crash_long' \
	  -o faulthandler_timeout=1000 -o faulthandler_exit_on_timeout=true

check: $(READY)
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy $(CODE)
	@$(BIN)/lint-imports --no-cache
	@find $(CODE) -name '*.py' -exec wc -l {} + \
	  | awk '$$2 != "total" && $$1 > 400 {print $$2 ": " $$1 " lines, at most 400"; bad = 1} END {exit bad}'

bench: $(READY)
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

# The documentation as a site, in site/; a dead link fails.
docs: $(READY)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "Open site/index.html."

# Build the wheel, install it where nothing else is, and run it there.
wheel: $(READY)
	@rm -rf dist
	@$(BIN)/python -m hatchling build
	@$(BIN)/python -m venv dist/try
	@dist/try/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl
	@cd dist/try && bin/batchspec --version && bin/batchspec schema >/dev/null && \
	  bin/batchspec init demo >/dev/null && bin/batchspec --project demo validate --inputs && \
	  bin/batchspec init --template extraction extraction >/dev/null && \
	  bin/batchspec --project extraction run --emulate
	@rm -rf dist/try

# The official Python SDK's own tests, from its source distribution, against the emulator.
sdk-tests: $(READY)
	@.ci/sdk-suite $(BIN)/python

# The long form of the crash suite: kills at every step, all pairs of faults, many histories.
crash: $(READY)
	@$(BIN)/pytest -n 2 --dist worksteal -m crash_long tests/crash tests/unit/workflow

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
