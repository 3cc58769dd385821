"""One dashboard and one command line over every place a person runs Jupyter."""

__version__ = "0.1.0"
