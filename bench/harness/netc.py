"""netc's side: compile a workload, check its predictions, measure it."""
import json
import os
import re
import subprocess
import time

from peer import environment_of, pinned

NETC = "build/netc"


class Program:
    """A compiled .net file; `error` says why there is none."""

    def __init__(self, source, define, path, options=()):
        self.path, self.error = path, None
        command = [NETC, "-O3", source, "-o", path, *options] + [f"-D{d}" for d in define]
        start = time.perf_counter()
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        self.compile_seconds = time.perf_counter() - start
        if said.returncode:
            self.error = said.stderr.strip().splitlines()[0] if said.stderr.strip() else f"status {said.returncode}"
            return
        self.size = os.path.getsize(self.path)
        self.info = json.loads(subprocess.run([self.path, "info", "--json"], capture_output=True, check=True).stdout)

    def predict(self, weights, given, batch, output):
        """Writes the predictions for an .npy file; returns an error, or None."""
        said = subprocess.run([self.path, "predict", "-w", weights, "--batch", str(batch), given, "-o", output],
                              capture_output=True, text=True, check=False)
        return said.stderr.strip()[:200] if said.returncode else None

    def bench(self, mode, batch, threads, iterations, layers=False):
        """One round of the program's own `bench`: (its JSON, the most memory of its process in KiB)."""
        command = [self.path, "bench", "--batch", str(batch), "--threads", str(threads), "--iters", str(iterations),
                   "--json"] + (["--train"] if mode == "train" else []) + (["--layers"] if layers else [])
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment_of(threads),
                                   preexec_fn=pinned(threads))
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        if process.returncode:
            raise RuntimeError(f"bench ended with {process.returncode}")
        return json.loads(said), usage.ru_maxrss

    def flops(self, mode, batch):
        """Of one run at a batch: the count is the whole nominal batch's."""
        count = self.info["step_flops" if mode == "train" else "predict_flops"]
        return count / self.info["batch"] * batch


def compiler_version():
    said = subprocess.run([NETC, "--version"], capture_output=True, text=True, check=True).stdout
    return re.sub(r"\s+", " ", said.splitlines()[0])
