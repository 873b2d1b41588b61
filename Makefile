# Two commands: `make demo` draws a picture, `make test` runs every test. Both create .venv when it is not there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt

EDITOR := server/editor
# Browser tests take this chromium. On Debian: `apt install chromium`; elsewhere say where it is: make CHROMIUM=/path/to/chrome
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)

.PHONY: demo test test-chaos lint docs bench gallery pictures links clean editor editor-types editor-unit editor-browser editor-test

demo: $(VENV)/.run
	$(BIN)/weft run graphs/examples/text_to_image.json --out out

test: $(VENV)/.dev
	$(BIN)/python -m pytest -rs

# Faults of the server at length: kills at random moments, many clients, restarts in a row. Takes some minutes.
test-chaos: $(VENV)/.dev
	$(BIN)/python -m pytest -m chaos -s

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The editor: built into server/static, which is committed. Needs Node 20.19 or newer (on Debian: `apt install nodejs npm`).
editor: $(EDITOR)/node_modules/.installed
	cd $(EDITOR) && npm run build

editor-types: $(EDITOR)/node_modules/.installed
	cd $(EDITOR) && npm run types

editor-unit: $(EDITOR)/node_modules/.installed
	cd $(EDITOR) && npm test

# Against a real server with the bundled model, in a real browser.
editor-browser: $(EDITOR)/node_modules/.installed $(VENV)/.dev
	@test -n "$(CHROMIUM)" || { echo "The browser tests need chromium: apt install chromium, or make CHROMIUM=/path/to/chrome" >&2; exit 2; }
	cd $(EDITOR) && CHROMIUM="$(CHROMIUM)" PYTHON="$(CURDIR)/$(BIN)/python" npm run browser

editor-test: editor-unit editor-browser

$(EDITOR)/node_modules/.installed: $(EDITOR)/package-lock.json
	@command -v npm > /dev/null || { echo "The editor is built with Node 20.19 or newer and npm: apt install nodejs npm" >&2; exit 2; }
	cd $(EDITOR) && npm ci --no-audit --no-fund
	@touch $@

docs: $(VENV)/.run
	$(BIN)/python -m weft.engine.catalogue.reference docs/nodes.md
	$(BIN)/python -m tests.floors
	$(BIN)/python -m tests.command_page
	$(BIN)/python -m tests.server_page
	$(BIN)/python -m weft.server.api.openapi docs/openapi.json

pictures: $(VENV)/.run
	$(BIN)/python benchmarks/example_pictures.py

gallery: $(VENV)/.run
	$(BIN)/python benchmarks/gallery.py

bench: $(VENV)/.run
	$(BIN)/python benchmarks/denoise.py
	$(BIN)/python benchmarks/techniques.py
	$(BIN)/python benchmarks/resume.py
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/cache.py
	$(BIN)/python benchmarks/disk.py
	$(BIN)/python benchmarks/server.py
	$(BIN)/python benchmarks/editor.py

# The stamp files make a second call cheap; a change of the requirements installs again.
$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Weft needs Python 3.11 or newer; say which: make PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.python pyproject.toml constraints.txt
	@echo "Installing Weft and what it needs into $(VENV) (a minute or two the first time)" >&2
	$(PIP) --editable '.[server]'
	@$(MAKE) --no-print-directory links
	@touch $@

$(VENV)/.dev: $(VENV)/.python pyproject.toml constraints.txt
	@echo "Installing Weft, its tests and what they need into $(VENV)" >&2
	$(PIP) --editable '.[dev]'
	@$(MAKE) --no-print-directory links
	@touch $@ $(VENV)/.run

# Checkers and editors do not follow package-dir of pyproject.toml. They are shown a folder of links: here by the settings
# in pyproject.toml, elsewhere by a line in the environment's site-packages.
links:
	@mkdir -p .links/weft
	@cd .links/weft && ln -sfn ../../weft/*.py . && ln -sfn ../../weft/py.typed . && \
		for package in engine graphs nodes server; do ln -sfn ../../$$package $$package; done
	@echo "$(CURDIR)/.links" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/weft-links.pth"

clean:
	rm -rf $(VENV) .links out build *.egg-info
