# Everything from a bare checkout with Python >= 3.11: the environment is made on first use and again when it is out of date.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := $(VENV)/peers

.PHONY: demo test quick campaign lint types bench bench-smoke bench-peers docs clean

demo: $(READY)            ## simulate a month of real sessions; ends in a table and a picture
	@mkdir -p demo
	@$(BIN)/evhub run workplace-month -o demo/workplace-month.h5 --force
	@$(BIN)/evhub report demo/workplace-month.h5 -o demo/workplace-month.html --picture demo/workplace-month.png --force

test: $(READY)            ## every test but the long campaigns, and what the shipped scenarios expect
	$(BIN)/python -m pytest -n 2 -m "not campaign"
	$(BIN)/python -m pytest -n 2 -q --dist loadfile scenarios/library

quick: $(READY)           ## the inner loop: functions and classes by themselves
	$(BIN)/python -m pytest -n 2 -q tests/unit --hypothesis-profile=quick

campaign: $(READY)        ## the long randomised campaigns
	$(BIN)/python -m pytest -n 2 -m campaign

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/pyright --pythonpath $(BIN)/python

bench: $(READY)           ## benchmarks with ratios measured in one run
	$(BIN)/python -m benchmarks

bench-smoke: $(READY)     ## every benchmark once, so that none rots
	$(BIN)/python -m pytest benchmarks -q --benchmark-disable

bench-peers: $(READY) $(PEERS)/.ready   ## beside ACN-Sim and EV2Gym, which get an environment of their own
	$(BIN)/python -m benchmarks.peers $(PEERS)/bin/python

$(PEERS)/.ready: benchmarks/peers/requirements.txt
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --requirement $<
	@touch $@

clean:
	rm -rf $(VENV) build dist demo *.egg-info

$(READY): setup.cfg pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@
