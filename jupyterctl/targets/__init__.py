"""Kinds of targets, one file each, named after the kind; nothing else."""

DEFAULT = "local"
"""The kind that needs no profile: this machine."""
