"""What bench/kernels measures: single kernels, by small programs. A case compiles its programs when it is made; run() gives
the milliseconds of each of its lines, by method: "" or, where netc chooses it besides, "winograd"."""
import os
from dataclasses import dataclass

import netc

ROUND_SECONDS, FEWEST_ITERATIONS = 0.25, 5
TRAIN_BATCH = 16


@dataclass(frozen=True)
class Line:
    """A row of the result."""

    group: str
    name: tuple  # its first cells
    work: float  # floating-point operations, or bytes
    mix: str = None  # of reads and writes, where bytes are counted: a row of `stream` in bench/peak.c


def compiled(source, define, folder, options=()):
    program = netc.Program(f"bench/nets/{source}.net", define, os.path.join(folder, str(len(os.listdir(folder)))), options)
    if program.error:
        raise RuntimeError(f"{source} {' '.join(define)}: {program.error}")
    return program


class Whole:
    """A program that is one line: the median of its iterations."""

    def __init__(self, line, batch, program):
        self.lines, self.batch, self.program, self.iterations = [line], batch, program, FEWEST_ITERATIONS

    def run(self, threads):
        said, _ = self.program.bench("predict", self.batch, threads, self.iterations)
        ms = said["ms"]["p50"]
        self.iterations = max(FEWEST_ITERATIONS, round(ROUND_SECONDS * 1e3 / ms))
        return {self.lines[0]: {"": ms}}


def product(rows, columns, terms, folder):
    """A matrix product."""
    line = Line("product", (f"{rows} x {columns} x {terms}",), 2 * rows * columns * terms)
    return Whole(line, rows, compiled("gemm", (f"columns={columns}", f"terms={terms}"), folder))


def stream(chain, mix, folder):
    """What memory limits; the tensors are as large as the arrays of bench/peak.c."""
    width, rows, tensors = 1024, 1 << 15, {"copy": 2, "add": 3}[mix]
    line = Line("stream", (chain,), 4 * tensors * width * rows, mix)
    return Whole(line, rows, compiled("stream", (f'chain="{chain}"', f"width={width}"), folder))


def is_measured(call):
    """Whether a call belongs to the convolution. What joins the gradient of `before`, its input, has that name, without a point."""
    owner = call["name"].split()[0]
    return owner == "before" or owner.split(".")[0] == "measured"


class Convolution:
    """A convolution of resnet18: forward, and its gradients in training; the best of the rounds of `bench --layers`."""

    def __init__(self, channels, out, size, kernel, stride, folder):
        shape = f"{kernel}x{kernel}{f' / {stride}' if stride > 1 else ''}, {channels} to {out}, {size}²"
        flops = 2 * channels * out * kernel**2 * (size // stride) ** 2
        self.forward_one = Line("convolution", (shape, "forward, batch 1"), flops)
        self.forward = Line("convolution", (shape, "forward"), flops * TRAIN_BATCH)
        self.gradient = {"weights": Line("convolution", (shape, "weight gradient"), flops * TRAIN_BATCH)}
        if channels > 3:  # nobody asks for the gradient of an image
            self.gradient["input"] = Line("convolution", (shape, "input gradient"), flops * TRAIN_BATCH)
        self.lines = [self.forward_one, self.forward, *self.gradient.values()]
        define = (f"channels={channels}", f"out={out}", f"size={size}", f"kernel={kernel}", f"stride={stride}")
        self.program = {(learn, winograd): compiled("conv", (*define, f'learn="{learn}"'), folder, (f"--winograd={winograd}",))
                        for learn in self.gradient for winograd in ("never", "auto")}

    def run(self, threads):
        ms = {}
        for (learn, winograd), program in list(self.program.items()):
            calls = program.bench("train", TRAIN_BATCH, threads, 1, layers=True)[0]["layers"]
            if winograd == "auto" and not any("winograd" in call["name"] for call in calls):
                del self.program[learn, winograd]  # the same as the other
                continue
            loss = max(i for i, call in enumerate(calls) if call["name"].startswith("loss"))
            self._add(ms, self.gradient[learn], winograd, calls[loss:])
            if learn == "weights":
                self._add(ms, self.forward, winograd, calls[:loss])
                calls = program.bench("predict", 1, threads, 1, layers=True)[0]["layers"]
                self._add(ms, self.forward_one, winograd, calls)
        return ms

    @staticmethod
    def _add(ms, line, winograd, calls):
        own = [call for call in calls if is_measured(call)]
        if winograd == "never":
            ms[line] = {"": sum(call["ms"] for call in own)}
        elif any("winograd" in call["name"] for call in own):
            ms[line]["winograd"] = sum(call["ms"] for call in own)


PRODUCTS = [(n, n, n) for n in (64, 128, 256, 512, 1024, 2048)] + [
    (4096, 64, 64), (64, 4096, 64), (64, 64, 4096), (2048, 2048, 32), (1, 1024, 1024)]
CONVOLUTIONS = [(3, 64, 224, 7, 2), (64, 64, 56, 3, 1)]
for _channels, _size in ((64, 56), (128, 28), (256, 14)):
    CONVOLUTIONS += [(_channels, 2 * _channels, _size, 3, 2), (_channels, 2 * _channels, _size, 1, 2),
                     (2 * _channels, 2 * _channels, _size // 2, 3, 1)]
STREAMS = [("relu", "copy"), ("add", "add"), ("softmax", "copy"), ("layer_norm", "copy")]


def all_cases(folder):
    """Every case, compiled."""
    yield from (product(*sizes, folder) for sizes in PRODUCTS)
    yield from (Convolution(*sizes, folder) for sizes in CONVOLUTIONS)
    yield from (stream(*what, folder) for what in STREAMS)
