"""Runs in a real cluster, beside what every kind promises."""
