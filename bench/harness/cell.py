"""Measures one workload: starts its engines, checks that they agree, and times them in turns with netc."""
import os
import statistics
import struct
import subprocess
from array import array
from dataclasses import dataclass, field

from peer import Peer, Refused, environment_of, note

ROUND_SECONDS, ROUNDS, TOLERANCE = 0.25, 5, 1e-3
PREDICT = ("onnxruntime", "openvino", "MNN", "torch")
TRAIN = ("torch", "jax")


@dataclass
class Cell:
    """One line of the result. Times are in ms, memory in KiB, by name of the engine; netc is one of them."""

    workload: str
    mode: str
    batch: int
    threads: int
    flops: float = 0
    bytes: float = 0
    ms: dict = field(default_factory=dict)
    kib: dict = field(default_factory=dict)
    ready_seconds: dict = field(default_factory=dict)
    refused: dict = field(default_factory=dict)

    def ratio(self):
        """The best peer's time over netc's: above 1 netc is faster. None where netc or all peers are missing."""
        peers = [v for k, v in self.ms.items() if k != "netc"]
        return min(peers) / self.ms["netc"] if peers and "netc" in self.ms else None

    def counts(self):
        return self.ratio() is not None and not self.refused


def read_npy(path):
    """The elements of an f32 array; this process has no numpy."""
    with open(path, "rb") as file:
        start = file.read(12)
        (length,) = struct.unpack("<H", start[8:10]) if start[6] == 1 else struct.unpack("<I", start[8:12])
        file.seek((10 if start[6] == 1 else 12) + length)
        values = array("f")
        values.frombytes(file.read())
        return values


def difference(got, expected):
    """The largest difference, relative to the largest of what is expected."""
    a, b = read_npy(got), read_npy(expected)
    if len(a) != len(b):
        return float("inf")
    most = max(map(abs, b))
    worst = max(abs(x - y) if x == x else float("inf") for x, y in zip(a, b))
    return worst / most


def make_materials(python, workload, folder, log):
    """Weights, inputs and expected outputs; True if they could be made."""
    here = os.path.dirname(os.path.abspath(__file__))
    said = subprocess.run([python, os.path.join(here, "materials.py"), workload.name, folder], stdout=log, stderr=log,
                          env=environment_of(2), check=False)
    return said.returncode == 0


class Bench:
    """All cells of one workload."""

    def __init__(self, python, workload, program, folder, log, peers):
        self.python, self.workload, self.program, self.folder, self.log = python, workload, program, folder, log
        self.peers = peers

    def names(self, mode):
        own = (PREDICT if mode == "predict" else TRAIN) + ("inductor",)
        return [n for n in own if n in self.peers and (n != "jax" or self.workload.name in ("mlp", "lenet", "lstm"))]

    def measure(self, mode, batches, threads):
        """Yields a cell for each batch. Peers stay up from batch to batch."""
        peers = [Peer(self.python, n, self.workload.name, mode, threads, self.folder, self.log) for n in self.names(mode)]
        try:
            for batch in batches:
                yield self._measure_batch(Cell(self.workload.name, mode, batch, threads), peers)
        finally:
            for peer in peers:
                peer.close()

    def _measure_batch(self, cell, peers):
        alive = []
        for peer in peers:
            peer.wake()
            try:
                cell.ready_seconds[peer.name] = peer.ask(do="ready", batch=cell.batch)["seconds"]
                if cell.mode == "predict":
                    self._check_peer(peer, cell.batch)
                peer.measure(ROUND_SECONDS / 2)
                alive.append(peer)
            except Refused as why:
                cell.refused[peer.name] = str(why)
        if cell.mode == "predict":
            self._check_netc(cell)
        cell.flops = self.program.flops(cell.mode, cell.batch)
        cell.bytes = self._least_bytes(cell)
        self._rounds(cell, alive)
        return cell

    def _check_peer(self, peer, batch):
        file = f"{self.folder}/output_{peer.name}.npy"
        peer.ask(do="output", file=file)
        error = difference(file, f"{self.folder}/expected_{batch}.npy")
        if not error <= TOLERANCE:
            raise Refused(f"its output differs by {error:.2g}")

    def _check_netc(self, cell):
        file = f"{self.folder}/output_netc.npy"
        fault = self.program.predict(f"{self.folder}/weights.safetensors", f"{self.folder}/given_{cell.batch}.npy",
                                     cell.batch, file)
        error = None if fault else difference(file, f"{self.folder}/expected_{cell.batch}.npy")
        if fault or not error <= TOLERANCE:
            cell.refused["netc"] = fault or f"its output differs by {error:.2g}"
        else:
            note(f"    netc agrees with torch to {error:.1e}")

    def _least_bytes(self, cell):
        """What must pass through memory if it is in no cache: inputs; weights once, or in training with their momentum
        read and written."""
        inputs = 4 * cell.batch * self.workload.enlarge**2
        for size in self.workload.shape:
            inputs *= size
        return inputs + self.program.info["parameter_bytes"] * (4 if cell.mode == "train" else 1)

    def _rounds(self, cell, alive):
        if "netc" in cell.refused:
            return
        first, _ = self.program.bench(cell.mode, cell.batch, cell.threads, 1)
        iterations = max(1, round(ROUND_SECONDS * 1e3 / first["ms"]["p50"]))
        times = {peer.name: [] for peer in alive} | {"netc": []}
        for _ in range(ROUNDS):
            for peer in alive:
                times[peer.name].append(peer.measure(ROUND_SECONDS))
            said, kib = self.program.bench(cell.mode, cell.batch, cell.threads, iterations)
            times["netc"].append(said["ms"]["p50"])
            cell.kib["netc"] = max(kib, cell.kib.get("netc", 0))
        cell.ms = {name: statistics.median(values) for name, values in times.items()}
        for peer in alive:
            peer.wake()
            cell.kib[peer.name] = peer.ask(do="memory")["kib"]
