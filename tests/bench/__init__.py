"""How fast jupyterctl is, beside its peers in the same environment.

    python -m tests.bench                 every benchmark
    python -m tests.bench.startup         one of them: startup, run, sweep, memory, start
    python -m tests.bench.run --quick     one pair of each, to see that it works
    python -m tests.bench.docker          a run in a container beside `docker run`, with JUPYTERCTL_TEST_IMAGE

Each ratio is that of ONE interleaved run, ours and the peer's in turn, so that whatever else the machine does falls on
both alike. Targets are printed beside the results and assert nothing: a time is no test.
"""
