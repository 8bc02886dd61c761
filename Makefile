# make video: a prompt becomes a film. make test: everything is checked. make lab: the notebooks.
# All set up .venv first, once; PYTHON=python3.12 picks another Python.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PROMPT ?= A golden retriever runs through a field of wildflowers with the sun setting in the background.
FILM = outputs/golden_retriever.mp4

.PHONY: video test lab notebooks lessons lint clean

video: $(FILM)
	@echo "The film is in $(FILM)"

$(FILM): | $(VENV)/.ready
	$(BIN)/sorakit generate "$(PROMPT)" --seed 15 --steps 25 --size 720p -o $@

test: $(VENV)/.ready-all
	$(BIN)/python -m pytest

lab: $(VENV)/.ready-all
	$(BIN)/jupyter lab --ServerApp.root_dir=. notebooks/00_first_film.ipynb

notebooks: $(VENV)/.ready-all          # run them all, and keep what they show
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.timeout=300 notebooks/*.ipynb

lessons: $(VENV)/.ready-all            # the course's notebooks, from their sources
	$(BIN)/python tutorials/build.py

lint: $(VENV)/.ready-all
	$(BIN)/ruff check sorakit tests
	$(BIN)/lint-imports

clean:                                 # what was made; .venv stays
	rm -rf outputs build *.egg-info

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'make: $(PYTHON) is older than 3.11; try: make PYTHON=python3.11')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/.ready-all: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[notebooks,train,test]'
	@touch $@
