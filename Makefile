# Every command makes its own virtual environment, .venv, from the pinned versions in constraints.txt.
PYTHON ?= python3
RUN := .venv/bin
PROBLEMS ?= 2000
PYTEST := OMP_NUM_THREADS=1 $(RUN)/pytest -n 2

.PHONY: demo test test-all lint bench docs wheel sanitize page format clean

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

bench: ## every case of benchmarks/cases.txt, ours and its peers, into benchmarks/RESULTS.md and its pictures
	$(PYTHON) tools/environment.py train test bench
	$(RUN)/python -m benchmarks --save

docs: ## the site, in build/docs; warnings are errors
	$(PYTHON) tools/environment.py docs
	$(RUN)/sphinx-build -q -W --keep-going -b html docs build/docs
	@echo open build/docs/index.html

wheel: ## this platform's wheel and the source distribution, tried in an environment without a compiler
	$(PYTHON) tools/environment.py wheel
	$(RUN)/python tools/wheel.py

sanitize: ## the C++ core alone, on random problems, under the sanitizers; needs cmake and a C++ compiler
	for kind in address,undefined thread; do \
	  cmake -S native -B build/sanitize-$$kind -DCV_DRIVER=ON -DCV_SANITIZE=$$kind -DCMAKE_BUILD_TYPE=Release && \
	  cmake --build build/sanitize-$$kind -j2 --target driver || exit 1; \
	  for isa in baseline avx2 avx512 neon; do \
	    CONVARIUM_ISA=$$isa build/sanitize-$$kind/driver $(PROBLEMS) || exit 1; \
	  done; \
	done

page: ## the page that shows what happens inside, from its sources; needs Node
	cd page && npm ci --no-fund --no-audit && npm run check && npm run build

format:
	$(PYTHON) tools/environment.py train test lint
	$(RUN)/ruff format .
	$(RUN)/ruff check --fix .

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
