# Each target makes .venv and installs what it needs when that is missing, and nothing again when it is not.
PYTHON ?= python3
VENV   := .venv/bin

.PHONY: demo lab test notebooks clean
.DELETE_ON_ERROR:

demo: .venv/course.installed   ## train a small model for a minute, make motions, draw them
	$(VENV)/python -m mdm_lib demo

lab: .venv/course.installed    ## open the course
	$(VENV)/jupyter lab --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb $(if $(filter 0,$(shell id -u)),--allow-root)

test: .venv/test.installed     ## all that CI runs
	$(VENV)/python tests/run.py

notebooks: .venv/test.installed  ## rebuild the notebooks from notebooks/source
	$(VENV)/python notebooks/build.py

.venv/%.installed: pyproject.toml constraints.txt
	test -x $(VENV)/python || $(PYTHON) -m venv .venv
	$(VENV)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	touch $@

clean:
	rm -rf .venv output build dist *.egg-info
