"""One engine in a process of its own, told by lines of JSON what to do, so that its memory is its own and the others can
stand still while it is measured.

usage: server.py ENGINE WORKLOAD MODE THREADS FOLDER     (run by the environment's python)"""
import json
import os
import sys
import time
import warnings

import workloads
from engines import ENGINES


def peak_kib():
    """The most memory that this process ever had since it was last asked to forget."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def forget_peak():
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def obey(engine, order):
    """Answers one order."""
    if order["do"] == "ready":
        forget_peak()
        start = time.perf_counter()
        engine.ready(order["batch"])
        engine.run()
        return {"seconds": time.perf_counter() - start}
    if order["do"] == "round":
        start, count = time.perf_counter(), 0
        while count < order["least"] or time.perf_counter() - start < order["seconds"]:
            engine.run()
            count += 1
        return {"ms": (time.perf_counter() - start) / count * 1e3}
    if order["do"] == "output":
        import numpy

        numpy.save(order["file"], numpy.ascontiguousarray(engine.output(), dtype=numpy.float32))
        return {}
    return {"kib": peak_kib()}


def main():
    warnings.filterwarnings("ignore")
    name, workload, mode, threads, folder = sys.argv[1:]
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries talk; the answers are ours alone
    engine = None
    for line in sys.stdin:
        try:
            if engine is None:
                engine = ENGINES[name](workloads.find(workload), mode, int(threads), folder)
            answer = obey(engine, json.loads(line))
        except Exception as error:  # what a peer cannot do is a fact to report
            answer = {"refused": f"{type(error).__name__}: {error}"[:200]}
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
