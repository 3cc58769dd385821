"""Ways to other machines over ssh."""

import sys

# paramiko imports invoke for `Match exec` alone, which the ssh program resolves for us; without it paramiko is there in
# two thirds of the time. Every module that imports paramiko is below this package.
sys.modules.setdefault("invoke", None)  # type: ignore[arg-type]

PROGRAM = "ssh"
"""OpenSSH's, as it is found on the PATH."""
