"""Kinds of targets, one file each, named after the kind; nothing else."""
