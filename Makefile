# Everything from a bare checkout with Python >= 3.11: the environment is made on first use and again when it is out of date.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := $(VENV)/peers
LOWEST := $(VENV)/lowest
WORKERS ?= 2
UNIT := tests/unit -m "not slow and not campaign" --hypothesis-profile=quick

.PHONY: demo quick test campaign mutants lowest lint types docs bench bench-smoke bench-peers bench-pace clean

demo: $(READY)            ## simulate a month of real sessions; ends in a table and a picture
	@mkdir -p demo
	@$(BIN)/evhub run workplace-month -o demo/workplace-month.h5 --force
	@$(BIN)/evhub report demo/workplace-month.h5 -o demo/workplace-month.html --picture demo/workplace-month.png --force

quick: $(READY)           ## the inner loop: functions and classes by themselves, in less than a minute
	$(BIN)/python -m pytest -n $(WORKERS) -q $(UNIT)

test: $(READY)            ## every test but the long campaigns, and what the shipped scenarios expect
	$(BIN)/python -m pytest -n $(WORKERS) -m "not campaign"
	$(BIN)/python -m pytest -n $(WORKERS) -q --dist loadfile scenarios/library

campaign: $(READY)        ## the long campaigns, and ten times the examples of every random test
	$(BIN)/python -m pytest -n $(WORKERS) -m "campaign or hypothesis" --hypothesis-profile=campaign

mutants: $(READY)         ## small changes of the code that the nearest unit tests must notice; MUTANTS="--seed 2 --sample 80" for others
	$(BIN)/python -m tests.mutation --workers $(WORKERS) $(MUTANTS)

lowest: $(LOWEST)/.ready  ## the inner loop on the lowest versions that setup.cfg allows
	$(LOWEST)/bin/python -m pytest -n $(WORKERS) -q $(UNIT)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: $(READY)            ## docs/kpis.md, from the declarations of the key figures
	$(BIN)/python -m evhub.analysis.report.key_figure_reference docs/kpis.md

bench: $(READY)           ## benchmarks with ratios measured in one run
	$(BIN)/python -m benchmarks

bench-smoke: $(READY)     ## every benchmark once, so that none rots
	$(BIN)/python -m pytest benchmarks -q --benchmark-disable

bench-peers: $(READY) $(PEERS)/.ready   ## beside ACN-Sim and EV2Gym, which get an environment of their own
	$(BIN)/python -m benchmarks.peers $(PEERS)/bin/python

bench-pace: $(READY) $(PEERS)/.ready    ## steps a second of evhub.simulate beside EV2Gym's environment
	$(BIN)/python -m benchmarks.peers.pace $(PEERS)/bin/python

$(PEERS)/.ready: benchmarks/peers/requirements.txt
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --requirement $<
	@touch $@

$(LOWEST)/.ready: setup.cfg .ci/lowest.py
	@test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	@$(PYTHON) .ci/lowest.py > $(LOWEST)/lowest.txt
	@$(LOWEST)/bin/python -m pip install --quiet --prefer-binary --constraint $(LOWEST)/lowest.txt --editable ".[dev]"
	@touch $@

clean:
	rm -rf $(VENV) build dist demo *.egg-info

$(READY): setup.cfg pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@
