# Two commands on a fresh machine with Python and make: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# Threads that wait by spinning slow a busy machine down twentyfold.
export OMP_WAIT_POLICY ?= PASSIVE
# Occlusion meets more shapes than oneDNN remembers kernels for; one forgotten is generated again.
export ONEDNN_PRIMITIVE_CACHE_CAPACITY ?= 8192
PIP = $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

# What comes from npm, for tests and checks only.
NODE = tests/browser/node_modules/.package-lock.json
TSC = tests/browser/node_modules/.bin/tsc

.PHONY: demo test browser wheel fuzz lint bench figures screenshots gallery tutorial clean

demo: $(VENV)/.installed  ## explain an example photo
	$(BIN)/seewhy explain examples/photos/chelsea.png examples/photos/coffee.png --output-dir demo --force

test: $(VENV)/.tested  ## run the tests, among them those of the built wheel; TESTS='-k occlusion' some of them
	$(BIN)/python -m pytest $(TESTS)

browser: $(VENV)/.tested $(NODE)  ## try the pages in Chromium; where there is none, says so
	$(BIN)/python -m pytest -m browser -rs tests/browser

wheel: $(VENV)/.tested  ## build the wheel, install it with all that it needs in an environment of its own, and try it
	SEEWHY_CLEAN_INSTALL=1 $(BIN)/python -m pytest -m packaging tests/installed

fuzz: $(VENV)/.tested  ## try damaged files and Ctrl-C for as long as SEEWHY_FUZZ_EXAMPLES and SEEWHY_SIGNALS say
	SEEWHY_FUZZ_EXAMPLES=$${SEEWHY_FUZZ_EXAMPLES:-5000} SEEWHY_SIGNALS=$${SEEWHY_SIGNALS:-2000} \
		$(BIN)/python -m pytest tests/fuzz tests/reliability/test_interrupts.py

lint: $(VENV)/.tested $(NODE)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@if [ -x $(TSC) ]; then echo $(TSC) && $(TSC) --project tests/browser; \
		else echo "the types of the pages' scripts are not checked: npm is missing"; fi

bench: $(VENV)/.benched  ## measure against peers, on Python 3.11 or newer; QUICK=1 for a form under 3 minutes
	$(BIN)/python benchmarks/run.py $(if $(QUICK),--quick)

figures: $(VENV)/.tested  ## draw the README's and the docs' figures anew
	$(BIN)/python scripts/make_figures.py

screenshots: $(VENV)/.tested  ## take the screenshots of the pages anew, two minutes; needs Chromium
	$(BIN)/python scripts/make_screenshots.py

gallery: $(VENV)/.tested  ## draw the figures of docs/gallery.md and docs/ingredients.md anew, about twenty minutes
	$(BIN)/python scripts/make_gallery.py

tutorial: $(VENV)/.tested  ## make examples/tutorial.ipynb of examples/tutorial.py and run it, half a minute
	$(BIN)/python scripts/make_tutorial.py

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(PIP) --editable '.[test]'
	@touch $@

$(VENV)/.benched: $(VENV)/.installed
	$(PIP) --editable '.[bench]'
	@touch $@

$(NODE): tests/browser/package-lock.json
	@if command -v npm >/dev/null; then npm ci --prefix tests/browser --no-audit --no-fund && touch $@; \
		else echo "npm is missing: no axe-core, no tsc"; fi

clean:
	rm -rf $(VENV) demo seewhy-out tests/browser/node_modules
