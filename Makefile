# Two commands set everything up: `make reproduce` and `make test`. The others are for developers.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUTPUT ?= results
# A file's tests run in one process, in which what they share is made once; files follow each other as they stand.
PYTEST := $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

.PHONY: fuzz kill-test release-check reproduce test test-slow benchmark coverage coherent couplings sources validation explorer-rows docs clean

reproduce: $(VENV)/installed
	$(BIN)/cevnslab reproduce -o $(OUTPUT)

test: $(VENV)/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST)

# What takes minutes: numbers of the studies whose nuisances bend the shapes.
test-slow: $(VENV)/installed-test
	CEVNSLAB_SLOW=1 $(PYTEST)

# Mutated studies, results and blocks: seed, counts and every failure are printed. SEED=2 for others. About half an hour.
SEED ?= 1
fuzz: $(VENV)/installed-test
	$(BIN)/python tests/endurance/fuzz.py --seed $(SEED) --loads 10000 --runs 1500

# Runs killed at random moments, some under workers, end with the same bytes when they are started again.
kill-test: $(VENV)/installed-test
	$(BIN)/python tests/endurance/kills.py --seed $(SEED) --kills 100 --under-workers 20

benchmark: $(VENV)/installed-test
	$(BIN)/python benchmarks/run.py

# The coverage study of docs/coverage.md, some minutes.
coverage: $(VENV)/installed-test
	$(BIN)/python docs/coverage_study.py -o $(OUTPUT)/coverage-study

# The tables of docs/coherent.md from the COHERENT data, some minutes: DATA=DIR, or CEVNSLAB_DATA, or a download.
coherent: $(VENV)/installed-test
	$(BIN)/python docs/coherent_study.py $(if $(DATA),--data $(DATA)) -o $(OUTPUT)/coherent-study

# Limits, figures and tables of docs/couplings.md, some minutes.
couplings: $(VENV)/installed-test
	$(BIN)/python docs/couplings_study.py

# Numbers and figures of docs/sources.md, some seconds.
sources: $(VENV)/installed-test
	$(BIN)/python docs/sources_study.py

# What the page docs/explorer.md computes with, at once.
explorer-rows: $(VENV)/installed
	$(BIN)/python docs/explorer_rows.py

# The numbers of docs/validation.md, some seconds.
validation: $(VENV)/installed
	$(BIN)/python docs/validation_study.py

# The documentation site, in build/docs/html: runs notebooks and galleries the first time, warnings are errors.
docs: $(VENV)/installed-docs
	$(BIN)/sphinx-build -W --keep-going -b html -d build/docs/doctrees docs build/docs/html
	@echo "open build/docs/html/index.html"

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "cevnslab needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/installed-test: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $(VENV)/installed $@

$(VENV)/installed-docs: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $(VENV)/installed $@

# Wheel and source distribution in empty environments, lowest versions of the dependencies: some minutes.
release-check: $(VENV)/bin/python
	$(BIN)/python release/check.py

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis
