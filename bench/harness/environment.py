"""The peers' virtual environment, outside of the project, and the machine that all is measured on."""
import os
import re
import subprocess
import sys
import venv

from peer import note

PACKAGES = ("torch", "torchvision", "numpy", "onnx", "onnxscript", "onnxruntime", "openvino", "MNN", "jax")
NEEDED = ("torch", "torchvision", "numpy", "onnx")  # the networks themselves


def folder():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(cache, "netc-bench")


def python_of_peers():
    """The environment's python; made, with all that can be installed, if it is missing."""
    home = os.path.join(folder(), "venv")
    python = os.path.join(home, "bin", "python")
    if not os.path.exists(python):
        note(f"making {home}")
        venv.create(home, with_pip=True)
    have = versions(python)
    for package in (p for p in PACKAGES if p.lower() not in have):
        mark = os.path.join(folder(), f"no-{package}")  # tried before, in vain
        if os.path.exists(mark):
            continue
        note(f"installing {package}")
        said = subprocess.run([python, "-m", "pip", "install", "-q", package], capture_output=True, text=True, check=False)
        if said.returncode:
            note(said.stderr.strip()[-300:])
            with open(mark, "w") as file:
                file.write(said.stderr)
    have = versions(python)
    missing = [p for p in NEEDED if p not in have]
    if missing:
        sys.exit(f"bench/peers: not installed: {', '.join(missing)}")
    return python


def versions(python):
    """What is installed there: a dictionary of lower-case names."""
    said = subprocess.run([python, "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"],
                          capture_output=True, text=True, check=True).stdout
    return {name.lower(): version for name, _, version in (line.partition("==") for line in said.splitlines())}


def cpu():
    """The CPU in words, and as a part of a file's name; hypervisors often give only a family as the model's name."""
    with open("/proc/cpuinfo") as info:
        first = info.read().split("\n\n")[0]
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    name, numbers = facts.get("model name", "unknown CPU"), [facts.get(k) for k in ("cpu family", "model")]
    slug = re.sub(r"\W+", "-", name.lower()).strip("-")
    if None in numbers:
        return name, slug
    return f"{name} (family {numbers[0]}, model {numbers[1]})", f"{slug}-{numbers[0]}-{numbers[1]}"


class Disturbance:
    """How much of the CPUs others took since this was made."""

    def __init__(self):
        self.start = self._busy_and_own()

    @staticmethod
    def _busy_and_own():
        with open("/proc/stat") as file:
            ticks = [int(n) for n in file.readline().split()[1:]]
        busy = sum(ticks[:8]) - ticks[3] - ticks[4]  # all but idle and waiting; guests are counted in user
        own = os.times()
        return busy / os.sysconf("SC_CLK_TCK"), own.user + own.system + own.children_user + own.children_system, own.elapsed

    def cpus(self):
        """CPUs that were busy with something else, on average."""
        busy, own, now = (b - a for a, b in zip(self.start, self._busy_and_own()))
        return max(0.0, (busy - own) / now)


class Peak:
    """The machine's FMA peak and memory bandwidth, of one thread and of several; of all measurements the highest."""

    def __init__(self, threads):
        self.threads, self.best = threads, {}
        os.makedirs("build/bench", exist_ok=True)
        subprocess.run("cc -O3 -march=native -ffp-contract=fast -pthread bench/peak.c -o build/bench/peak".split(), check=True)

    def measure(self):
        said = subprocess.run(["build/bench/peak", str(self.threads)], capture_output=True, text=True, check=True).stdout.split()
        for key, value in zip(said[::2], said[1::2]):
            self.best[key] = max(self.best.get(key, 0), float(value))

    def flops(self, threads):
        """A second, in f32."""
        return self.best["one" if threads == 1 else "all"] * 1e9

    def bandwidth(self, threads, mix="stream"):
        """Bytes a second, with the reads and writes of a row of `stream` in bench/peak.c."""
        return self.best[mix + ("_one" if threads == 1 else "_all")] * 1e9
