# What a person types. `make help` lists the targets; variables are passed on only if they are set:
#   PYTHON VENV CONFIG FEATURES FEATURES_ONLY LAYERS WEIGHTS DEVICE STORE SITE BASE_URL FINE PORT

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev

# another PYTHON than the one that the environment was made with makes it anew
ifdef PYTHON
ifneq ($(PYTHON),$(shell cat '$(VENV)/.made-with' 2>/dev/null))
.PHONY: $(READY)
endif
endif

PLAN_FLAGS := $(if $(FEATURES),--features '$(FEATURES)') $(if $(LAYERS),--layers '$(LAYERS)') \
	$(if $(FEATURES_ONLY),--features-only) \
	$(if $(WEIGHTS),--weights '$(WEIGHTS)') $(if $(STORE),--store '$(STORE)')
BUILD_FLAGS := $(PLAN_FLAGS) $(if $(DEVICE),--device '$(DEVICE)') $(if $(SITE),--out '$(SITE)') \
	$(if $(BASE_URL),--base-url '$(BASE_URL)') $(if $(FINE),--fine)

.DEFAULT_GOAL := help
.PHONY: help atlas demo site serve check demo-weights test lint types clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

atlas: $(READY) ## Render the article's atlas with ImageNet weights and write site/
	$(BIN)/atlas build $(if $(CONFIG),--config '$(CONFIG)') $(BUILD_FLAGS)

demo: $(READY) ## Render a small atlas with the demo weights and write site/; minutes on a laptop
	$(BIN)/atlas build --config $(if $(CONFIG),'$(CONFIG)',demo) $(BUILD_FLAGS)

site: $(READY) ## Write site/ from what the store has, without rendering
	$(BIN)/atlas site $(if $(CONFIG),--config '$(CONFIG)') $(PLAN_FLAGS) $(if $(SITE),--out '$(SITE)') \
		$(if $(BASE_URL),--base-url '$(BASE_URL)') $(if $(FINE),--fine)

serve: $(READY) ## Preview site/ at 127.0.0.1
	$(BIN)/atlas serve $(if $(SITE),'$(SITE)') $(if $(PORT),--port '$(PORT)')

check: $(READY) ## Check that every master is whole and every link of the site is good
	$(BIN)/atlas check $(if $(CONFIG),--config '$(CONFIG)') $(if $(STORE),--store '$(STORE)') $(if $(SITE),--site '$(SITE)')

demo-weights: $(READY) ## Train the demo weights anew, on a GPU if there is one; resumes
	$(BIN)/python scripts/train_demo_weights.py

test: $(READY_DEV) ## Run the tests
	$(BIN)/python -m pytest

lint: $(READY_DEV) ## Check style, formatting and the order of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(READY_DEV) ## Check types
	$(BIN)/mypy

clean: ## Remove the environment and what tools left; the store and the site stay
	test ! -e '$(VENV)/.made-by-atlas' || rm -rf '$(VENV)'
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find atlas scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt scripts/make_venv.py
	$(or $(PYTHON),python3) scripts/make_venv.py '$(VENV)' $(if $(PYTHON),--keep-torch)
	@echo '$(PYTHON)' > '$(VENV)/.made-with'
	@touch $@

$(READY_DEV): $(READY)
	$(BIN)/python scripts/make_venv.py '$(VENV)' --dev
	@touch $@
