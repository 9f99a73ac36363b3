# Every command makes its own virtual environment, .venv, from the pinned versions in constraints.txt.
PYTHON ?= python3
RUN := .venv/bin
PYTEST := OMP_NUM_THREADS=1 $(RUN)/pytest -n 2

.PHONY: demo test test-all lint bench format clean

demo: ## train a network of each kind of convolution on handwritten digits
	$(PYTHON) tools/environment.py train
	$(RUN)/convarium train digits

test: ## the mathematics, on a seeded sample of every property
	$(PYTHON) tools/environment.py train test
	$(PYTEST)

test-all: ## the same with the full counts
	$(PYTHON) tools/environment.py train test
	CONVARIUM_TESTS=all $(PYTEST)

lint: ## format, lints and types
	$(PYTHON) tools/environment.py train test lint
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/mypy

bench: ## what a call and an import cost
	$(PYTHON) tools/environment.py train test
	$(RUN)/python -m benchmarks

format:
	$(PYTHON) tools/environment.py train test lint
	$(RUN)/ruff format .
	$(RUN)/ruff check --fix .

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
