# Recipes that people and CI share. `make help` lists them.
PYTHON ?= python3.11
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
CONSTRAINTS := constraints.txt

.DEFAULT_GOAL := help

# Tests start hundreds of servers: what these are made of is compiled once, whatever is set outside.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test unit e2e long lint types compiled golden bench-check canary-check manifests \
	chromium clients phones pipecat operations helm clean

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP)  ## virtual environment with everything pinned

# torch first and by its pinned version: the other packages then find it and pull nothing larger. Most of what
# comes is never imported: what is, is compiled then.
$(STAMP): pyproject.toml $(CONSTRAINTS)
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: apt-get install python3.11 python3.11-venv, or make PYTHON=python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-compile --constraint $(CONSTRAINTS) torch
	$(BIN)/pip install --quiet --no-compile --constraint $(CONSTRAINTS) --editable '.[dev]'
	@touch $(STAMP)

# A host that many share stands still now and then, and three browsers on two cores are a stutter: what failed
# is told in full, and has to pass by itself the next time.
UNIT = $(BIN)/pytest -m "not e2e and not alone and not long" --durations=12
BESIDE = $(BIN)/pytest -m "e2e and not alone and not long" --durations=12
ALONE = $(BIN)/pytest -m "alone and not long" --durations=12

demo: setup  ## the whole thing on http://localhost:8080, no download
	$(BIN)/rtc-stt demo

test: setup chromium clients phones pipecat operations helm lint types  ## everything: lint, types, unit, browser
	$(UNIT) -n 2 || $(UNIT) --last-failed --last-failed-no-failures none
	$(BESIDE) -n 3 --dist loadfile || $(BESIDE) --last-failed --last-failed-no-failures none
	$(ALONE) || $(ALONE) --last-failed --last-failed-no-failures none

unit: setup  ## everything but the browser and peer connections
	$(BIN)/pytest -m "not e2e"

e2e: setup chromium clients phones pipecat operations helm  ## real browser, real peers, real processes
	$(BIN)/pytest -m e2e

long: setup operations  ## soaks, loads, a whole fleet broken under speech: what takes too long for every change
	$(BIN)/pytest -m long

lint: setup  ## style and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: setup  ## mypy --strict
	$(BIN)/mypy

compiled: setup  ## build/compiled: this tree, its hot modules compiled (docs/guides/compiled.md)
	$(BIN)/python -m tools.compiled build/compiled

golden: setup  ## rewrite the golden event files; review them as a diff
	$(BIN)/python -m tests.golden.rewrite

bench-check: setup  ## has something become slower than the committed baseline says? (docs/guides/gate.md)
	$(BIN)/rtc-stt bench check

manifests: setup helm  ## rewrite the schema of the chart's values, and deploy/manifests
	$(BIN)/python -m tools.chart

# CANARY: options of rtc-stt canary, e.g. make canary-check CANARY="--url http://prometheus:9090 --once".
canary-check: setup  ## is the new version as good as the old one? 0 go on, 1 take it back (docs/operate/canary.md)
	$(BIN)/rtc-stt canary $(CANARY)

chromium:
	@tools/ensure_chromium.sh

clients:
	@tools/ensure_webrtc_clients.sh

operations:
	@tools/ensure_operations.sh

helm:
	@tools/ensure_helm.sh

phones:
	@tools/ensure_phone_peers.sh
	@tools/ensure_asterisk.sh || echo "without Asterisk: its tests are skipped"
	@tools/ensure_border.sh || echo "without Kamailio and rtpengine: their tests are skipped"

pipecat:
	@tools/ensure_pipecat_client.sh

clean:  ## remove what was built
	rm -rf $(VENV) build dist *.egg-info test-output
