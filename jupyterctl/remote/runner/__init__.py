"""Runs one notebook through papermill and writes its journal. Needs Python 3.9 and papermill, and nothing else of ours.

    python RUN_DIRECTORY/runner.pyz

The directory holds `in.ipynb` and `params.json` (what to do, see `task`); the runner adds

    events.jsonl   the journal, one JSON line an event, written at once
    out.ipynb      the result, replaced atomically as it grows
    runner.log     its own log, and what the kernel prints past Jupyter

and ends with the exit code of the outcome. SIGTERM or SIGINT asks for a graceful end: the kernel is interrupted, the
notebook saved, the kernel's processes ended. SIGHUP is ignored: a terminal that goes away takes nothing with it.

    task        what is to be done
    journal     the events                   saving      the growing notebook
    kernel      the kernel's process         processes   every process of this machine
    execution   one attempt: its clock, how it is stopped, what came of it
    engine      papermill's engine, which reports to the execution
    main        attempts, from the first to the last
"""
