# Each target sets up what it needs by itself and is quick the second time.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OPENCODE := node_modules/.railmend-ready
# Every process would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test chaos lint bench screenshots eval clean
.DEFAULT_GOAL := test

setup: $(VENV)/.ready $(OPENCODE)

$(VENV)/.ready: requirements.lock deploy/steps/installer.lock
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is not installed: install Python 3.11 or newer, or set PYTHON." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Railmend needs Python 3.11 or newer: set PYTHON=python3.11")'
	PYTHON=$(PYTHON) UV_COMPILE_BYTECODE=1 deploy/steps/packages.sh $(VENV) requirements.lock
	touch $@

# Not `npm ci`: it refuses a lock file that leaves out the binaries of other platforms.
$(OPENCODE): package.json package-lock.json
	@command -v npm >/dev/null || { echo "The coding agent is installed with npm: install Node.js 20 or newer (https://nodejs.org), then run make again." >&2; exit 1; }
	npm install --no-save --no-audit --no-fund --loglevel=error
	touch $@

# MODEL=... MODEL_API_KEY=... use a real model instead of the rehearsal.
demo: export MODEL := $(MODEL)
demo: export MODEL_BASE_URL := $(MODEL_BASE_URL)
demo: export MODEL_API_KEY := $(MODEL_API_KEY)
demo: setup
	$(BIN)/python starter.py demo $(DEMO_ARGS)

# More at a time than there are cores: most tests wait for real servers. A file's tests share what it starts.
# A process that died, by itself or for a test that hung, is not replaced: the next would begin with the same test.
# Compiled once before, not by each process that begins.
test: setup
	$(BIN)/python -m compileall -q -j 0 -x 'railyard/services|evals/repositories' railmend workflows activities hosting commands evals railyard tools
	$(BIN)/python -m pytest -n 5 --dist loadfile --no-loadscope-reorder --max-worker-restart 0

# SIGKILL and SIGTERM at every named point (REPEAT=5: each story of a repair five times), and what takes minutes of real traffic.
chaos: setup
	$(BIN)/python -m pytest -m "chaos or long"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# MODEL=... MODEL_API_KEY=... [MODEL_BASE_URL=...] as for the demo; EVAL_ARGS="--sample 8 --repeats 3".
eval: export MODEL := $(MODEL)
eval: export MODEL_BASE_URL := $(MODEL_BASE_URL)
eval: export MODEL_API_KEY := $(MODEL_API_KEY)
eval: setup
	$(BIN)/python starter.py eval $(EVAL_ARGS)

# Of what runs: SHOTS="--page ADDRESS --report report.html --pull-request URL"; tools/screenshots/shoot.mjs tells more.
screenshots:
	npm install --prefix tools/screenshots --no-package-lock --no-audit --no-fund --loglevel=error
	node tools/screenshots/shoot.mjs $(SHOTS)

bench: setup
	$(BIN)/python -m bench

# Regenerates the lock files from pyproject.toml.
lock: setup
	$(BIN)/uv pip compile pyproject.toml --group dev --group railyard --generate-hashes --no-header --no-emit-index-url --python-version 3.11 -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra tracing --constraint requirements.lock --generate-hashes --no-header --no-annotate --no-emit-index-url --python-version 3.11 -o deploy/requirements.lock

clean:
	rm -rf $(VENV) node_modules .railmend
