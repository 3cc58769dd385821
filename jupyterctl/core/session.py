"""The whole program as one object: every verb of the command line and of the dashboard is a method here.

The front ends only render. Modules are imported by the verb that needs them, so that a quick command stays quick.
"""

from __future__ import annotations


class Session:
    """One person at one machine, with the profiles that hold in one folder."""
