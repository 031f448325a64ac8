# What a person types. `make help` lists the targets; variables are passed on only if they are set:
#   PYTHON VENV CONFIG FEATURES FEATURES_ONLY LAYERS WEIGHTS DEVICE STORE SITE BASE_URL BUDGET FINE ZIP PORT REMOTE
#   BRANCH HISTORY HASHES SMALL

# a value as one word of the shell, whatever is in it; and an option with the value of a variable, if that is set
quoted = '$(subst ','\'',$(1))'
option = $(if $($(2)),$(1) $(call quoted,$($(2))))

VENV := .venv
ifneq ($(words $(VENV)),1)
$(error VENV="$(VENV)": must be one path without a space, which make takes for a target)
endif
ifneq (,$(strip $(foreach sign,' " ` \ ; & | < > ( ) * ? !,$(findstring $(sign),$(VENV)))))
$(error VENV=$(VENV): the shell reads one of its signs otherwise; take letters, digits, dots, hyphens and slashes)
endif
BIN := $(VENV)/bin
TOOLS := $(VENV)-tools
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev
READY_CLUSTER := $(VENV)/.ready-cluster
READY_SITE := $(VENV)-site/.ready
SAMPLE := tests/data/sample-store.toml
SAMPLE_SITE := $(if $(SITE),$(call quoted,$(SITE)),build/sample)

# another PYTHON than the one that the environment was made with makes it anew
ifdef PYTHON
ifneq ($(PYTHON),$(shell cat '$(VENV)/.made-with' 2>/dev/null))
.PHONY: $(READY)
endif
endif

PLAN_FLAGS := $(call option,--features,FEATURES) $(call option,--layers,LAYERS) \
	$(if $(FEATURES_ONLY),--features-only) $(call option,--weights,WEIGHTS) $(call option,--store,STORE)
SITE_FLAGS := $(call option,--base-url,BASE_URL) $(call option,--budget,BUDGET) $(if $(FINE),--fine) $(if $(ZIP),--zip)
BUILD_FLAGS := $(PLAN_FLAGS) $(call option,--device,DEVICE) $(call option,--out,SITE) \
	$(SITE_FLAGS)

.DEFAULT_GOAL := help
.PHONY: help atlas demo sample plan site serve check publish cluster demo-weights demo-store docs test gpu-check torture check-site check-pages lint types hashes \
	audit clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14
	@echo && echo 'Variables, such as in make atlas FEATURES=0-15,654 LAYERS=Mixed_6b DEVICE=cuda:1:' && sed -n 's/^#   /  /p' $(MAKEFILE_LIST)

atlas: $(READY) ## Render the article's atlas with ImageNet weights and write site/
	$(BIN)/atlas build $(call option,--config,CONFIG) $(BUILD_FLAGS)

demo: $(READY) ## Render a small atlas and write site/; minutes on a laptop. ImageNet weights, or the demo's without a network
	preset=$(if $(CONFIG),$(call quoted,$(CONFIG)),$$($(BIN)/python scripts/demo_preset.py \
		$(call option,--weights,WEIGHTS))) && $(BIN)/atlas build --config "$$preset" $(BUILD_FLAGS)

sample: ## Write build/sample/ from the pictures that ship with the project; a minute, and no torch
	$(MAKE) $(if $(wildcard $(READY)),$(READY),$(READY_SITE))
	python=$(if $(wildcard $(READY)),$(BIN),$(VENV)-site/bin)/python && \
	$$python -m atlas site --config $(SAMPLE) --out $(SAMPLE_SITE) $(call option,--base-url,BASE_URL) && \
	$$python -m atlas check --config $(SAMPLE) --site $(SAMPLE_SITE)

plan: $(READY) ## Print what an atlas costs, and what its site weighs
	$(BIN)/atlas plan $(call option,--config,CONFIG) $(PLAN_FLAGS) $(call option,--device,DEVICE) $(call option,--budget,BUDGET)

site: $(READY) ## Write site/ from what the store has, without rendering
	$(BIN)/atlas site $(call option,--config,CONFIG) $(PLAN_FLAGS) $(call option,--out,SITE) $(SITE_FLAGS)

serve: $(READY) ## Preview site/ at 127.0.0.1
	$(BIN)/atlas serve $(call option,,SITE) $(call option,--port,PORT)

check: $(READY) ## Check that every master is whole and every link of the site is good
	$(BIN)/atlas check $(call option,--config,CONFIG) $(call option,--store,STORE) $(call option,--site,SITE)

publish: $(READY) ## Check site/ and push it to branch gh-pages of REMOTE, which is origin unless named; HISTORY=none: with this commit alone
	$(if $(CONFIG),$(error publish reads no configuration: name the folder of the site with SITE=))
	$(BIN)/python scripts/publish.py $(call option,,SITE) $(call option,--remote,REMOTE) \
		$(call option,--branch,BRANCH) $(call option,--history,HISTORY)

cluster: $(READY_CLUSTER) ## Install Ray too, for more than one GPU or machine; on every machine of a cluster

demo-weights: $(READY) ## Train the demo weights anew, on a GPU if there is one; resumes
	$(BIN)/python scripts/train_demo_weights.py

demo-store: $(READY) ## Render the small store that ships with the tests anew; minutes
	rm -rf tests/data/demo-store
	$(BIN)/atlas build --config tests/data/demo-store.toml --device cpu --threads 2

docs: $(READY_DEV) ## Write docs/cli.md and docs/configuration.md from the help and the docstrings
	$(BIN)/python scripts/make_docs.py

test: $(READY_DEV) ## Run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

gpu-check: $(READY_DEV) ## Check correctness, equal bytes, speed and memory on a GPU; 8 minutes. DEVICE=cpu SMALL=1: a test of it
	$(BIN)/python scripts/gpu_check.py $(call option,--device,DEVICE) $(if $(SMALL),--small) \
		$(call option,--weights,WEIGHTS)

torture: $(READY_DEV) ## Run the tests of reliability in full length; 90 minutes
	ATLAS_TORTURE=1 $(BIN)/python -m pytest -m torture -rP

check-site: check-pages ## Check a site as browsers see it: HTML, links, axe, Lighthouse, and every interactive part
	$(BIN)/python -m pytest -m browser

check-pages: $(READY_DEV) ## The same without the tests of interactive parts, which are among those of make test
	$(BIN)/python scripts/check_site.py

lint: $(READY_DEV) ## Check style, formatting and the order of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(READY_DEV) ## Check types
	$(BIN)/mypy

hashes: $(TOOLS) ## Write the hashes of all pinned packages anew; needs the network, and downloads none of them
	echo editables | $(TOOLS)/bin/uv pip compile pyproject.toml - --extra dev --constraint constraints.txt --universal \
		--python-version 3.11 --generate-hashes --no-header --no-annotate --quiet --output-file .ci/hashes.txt

audit: $(TOOLS) ## Ask the database of advisories about all pinned packages; needs the network
	$(TOOLS)/bin/pip-audit --disable-pip --requirement .ci/hashes.txt

$(TOOLS):
	$(or $(PYTHON),python3) -m venv '$(TOOLS)'
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check uv pip-audit

clean: ## Remove the environment and what tools left; the store and the site stay
	test ! -e '$(VENV)/.made-by-atlas' || rm -rf '$(VENV)'
	rm -rf '$(TOOLS)' '$(VENV)-site' build dist scripts/check-site/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache
	find atlas scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt scripts/make_venv.py
	$(or $(PYTHON),python3) scripts/make_venv.py '$(VENV)' $(if $(PYTHON),--keep-torch) \
		$(call option,--hashes,HASHES)
	@echo $(call quoted,$(PYTHON)) > '$(VENV)/.made-with'
	@touch $@

$(READY_DEV): $(READY)
	$(BIN)/python scripts/make_venv.py '$(VENV)' --extra dev $(call option,--hashes,HASHES)
	@touch $@

# what `atlas site` needs of the packages
$(READY_SITE): constraints.txt
	$(or $(PYTHON),python3) -m venv '$(VENV)-site'
	$(VENV)-site/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		jinja2 msgspec pillow pydantic rich typer
	@touch $@

$(READY_CLUSTER): $(READY)
	$(BIN)/python scripts/make_venv.py '$(VENV)' --extra cluster $(call option,--hashes,HASHES)
	@touch $@
