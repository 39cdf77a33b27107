# make demo   from nothing to the main job on synthetic data
# make test   the whole test suite
# make killtest, make bench: long checks of resuming and of speed
# make setup  the environment alone (.venv) and SoX
PYTHON ?= python3
VENV := .venv
ROOT := $(if $(filter 0,$(shell id -u)),yes)

.PHONY: setup sox chromium demo test killtest bench lint clean

setup: $(VENV)/.installed sox

$(VENV)/.installed: requirements.txt requirements-export.txt requirements-backbones.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: expected Python 3.11 or newer, found $$($(PYTHON) --version); name one: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m ensurepip --version >/dev/null 2>&1 || \
	  { [ -n "$(ROOT)" ] && command -v apt-get >/dev/null && apt-get update -q && apt-get install -y -q python3-venv; } || \
	  { echo "error: $(PYTHON) cannot make environments; install the package python3-venv"; exit 1; }
	@echo "installing into $(VENV): 3 GB to download, 5.8 GB on disk, about 2 minutes where the connection is fast"
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --disable-pip-version-check -r requirements-dev.txt
	@touch $@
	@echo "the environment is ready; to work in it: source $(VENV)/bin/activate"

# --effects=sox needs the SoX binary; everything else works without it.
sox:
	@command -v sox >/dev/null || \
	  { [ -n "$(ROOT)" ] && command -v apt-get >/dev/null && apt-get update -q && apt-get install -y -q sox; } || \
	  echo "note: SoX is missing, which --effects=sox needs: sudo apt-get install sox"

# Only the tests of the pages need a browser.
chromium:
	@{ command -v chromium && command -v chromedriver; } >/dev/null || \
	  { [ -n "$(ROOT)" ] && command -v apt-get >/dev/null && apt-get update -q && apt-get install -y -q chromium chromium-driver; } || \
	  echo "note: Chromium is missing, so the pages' tests are skipped; install it: sudo apt-get install chromium chromium-driver"

demo: setup
	PYTHON=$(VENV)/bin/python ./demo.sh

test: setup chromium
	$(VENV)/bin/python -m pytest -n auto --dist loadfile

killtest: setup
	KILLS=100 $(VENV)/bin/python -m pytest -s tests/scripts/test_train_2d_cnn_killed.py

bench: setup
	$(VENV)/bin/python benchmarks/run.py
	$(VENV)/bin/python benchmarks/run.py --scaling

lint: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

clean:
	./demo.sh --clean
	rm -rf .pytest_cache .hypothesis .ruff_cache
