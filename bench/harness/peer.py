"""A peer as the measuring process sees it: a server.py that answers, or stands still."""
import json
import os
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def environment_of(threads):
    """The variables of a measured process: nothing that slows a library down, and as many threads as are asked for."""
    env = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    env["OMP_NUM_THREADS"] = str(threads)
    eigen = "true" if threads > 1 else "false"
    env["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen={eigen} intra_op_parallelism_threads={threads}"
    env["JAX_PLATFORMS"] = "cpu"
    return env


def pinned(threads):
    """What a child does first: it stays on the first of the CPUs that are ours."""
    cpus = sorted(os.sched_getaffinity(0))[:threads]
    return lambda: os.sched_setaffinity(0, cpus)


class Refused(Exception):
    """What a peer cannot do, in its words."""


class Peer:
    def __init__(self, python, name, workload, mode, threads, folder, log):
        self.name = name
        self.process = subprocess.Popen(
            [python, os.path.join(HERE, "server.py"), name, workload, mode, str(threads), folder], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment_of(threads),
            preexec_fn=pinned(threads))

    def ask(self, **order):
        """Sends an order and waits for the answer, a dictionary."""
        try:
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.process.stdout.readline()
        if not line:
            raise Refused(f"its process ended with {self.process.wait()}")
        answer = json.loads(line)
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer

    def measure(self, seconds, least=1):
        """Milliseconds a run, over a round of so many seconds; at other times its threads, which may spin, are stopped."""
        self.process.send_signal(signal.SIGCONT)
        try:
            return self.ask(do="round", seconds=seconds, least=least)["ms"]
        finally:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGSTOP)

    def wake(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def note(*words):
    """Progress, for people."""
    print(*words, file=sys.stderr, flush=True)
