"""Lets Beam build this project for Dataflow's workers (`--setup_file=./setup.py`).

Everything that describes the package stands in pyproject.toml.
"""

import setuptools

setuptools.setup()
