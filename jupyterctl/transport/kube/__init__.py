"""Kubernetes, through its Python client: one cluster, as one user, in one namespace."""
