"""What the ssh program runs to ask a person something: it passes the question on to us, and the answer back.

A program of its own, that knows nothing of the package: `python -I -S askpass.py TEXT`, with the unix socket's path in
the environment. It ends with 1 where nobody answers.
"""

import json
import os
import socket
import sys

SOCKET = "JUPYTERCTL_ASKPASS_SOCKET"
HINT = "SSH_ASKPASS_PROMPT"
"""ssh says here what kind of question it is: `confirm`, or `none` where it only tells something."""


def main() -> int:
    """Ask, and print the answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ[SOCKET])
        question = {"text": sys.argv[1] if len(sys.argv) > 1 else "", "hint": os.environ.get(HINT, "")}
        connection.sendall(json.dumps(question).encode() + b"\n")
        data = b""
        while more := connection.recv(4096):
            data += more
    answer = json.loads(data) if data else None
    if answer is None:
        return 1
    sys.stdout.write(answer + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
