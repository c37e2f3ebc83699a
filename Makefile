# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# On Linux the package index offers torch with gigabytes of CUDA; point pip at a CPU build if you have one.
TORCH ?= torch==2.13.0

.PHONY: demo test check docs bench system go-templates clean
demo: $(VENV)/.demo
	$(BIN)/gemmalocal train quotes

# A file stays in one process, for what its tests share; a process computes on one core, and waits a fifth of the time:
# one more than two cores can compute at once. `make test PROCESSES=0`: in one. Hundreds of interpreters are started:
# they keep their bytecode, also where PYTHONDONTWRITEBYTECODE forbids it elsewhere.
PROCESSES ?= 3
test: $(VENV)/.dev
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder

bench: $(VENV)/.demo
	$(BIN)/gemmalocal bench
	$(BIN)/gemmalocal bench --lengths 512,1024,2048,4096
	-$(BIN)/pip install --quiet 'markitdown[pdf,docx,pptx]'
	$(BIN)/python -m benchmarks.documents $(VENV)/documents
	$(BIN)/python -m benchmarks.letters $(VENV)/documents $(VENV)/more-documents

# Faults put in the way of every kind of job: `make faults COUNT=1000 SEED=0`; long work, and whether anything grows.
COUNT ?= 1000
SEED ?= 0
faults: $(VENV)/.dev
	$(BIN)/python -m tests.faults --count $(COUNT) --seed $(SEED)

soak: $(VENV)/.dev
	$(BIN)/python -m tests.faults.soak

check: $(VENV)/.dev
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

# The papers that the code gives; a test says when they are not what it gives any more.
docs: $(VENV)/.dev
	$(BIN)/python -m docs.generate

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python system
	$(BIN)/pip install --quiet -e '.[demo]'
	touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python system go-templates
	$(BIN)/pip install --quiet '$(TORCH)'
	$(BIN)/pip install --quiet -e '.[dev,torch]'
	touch $@

# OpenBLAS makes MLX's CPU build about 80 times faster; macOS needs nothing.
system:
	@if [ "$$(uname)" = Linux ] && ! ldconfig -p | grep -q libopenblas.so.0; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq libopenblas0-pthread; \
	  else echo "OpenBLAS is missing: training will be slow. Debian, Ubuntu: sudo apt-get install libopenblas0-pthread"; fi; fi

# Go's own text/template, which the tests hold Ollama's templates against (1 MB); without it they are skipped.
go-templates:
	@if ! command -v tmpl >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && apt-get install -y -qq tmpl; fi

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
