"""What is measured: one line a workload. Only the standard library is used, for the peers' own processes read this too."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """A network as a .net program and as the torch module of the same name in models.py."""

    name: str
    program: str  # the .net file
    shape: tuple  # of one sample of what the program is given
    image: str = "unit"  # what the network sees of it: "unit" pixels / 255; "centred" (pixels / 255 - 0.5) / 0.25; "same"
    enlarge: int = 1  # every pixel becomes a square of so many
    train_batch: int = 0  # 0: training is not measured
    optimizer: str = "sgd"  # as in the program: "sgd" has momentum, "adam", "adamw"
    classes: int = 10
    batches: tuple = (1, 32)  # of inference; none: it is not measured
    define: tuple = ()  # -D options of netc


WORKLOADS = (
    Workload("mlp", "examples/mlp.net", (1, 28, 28), train_batch=64),
    Workload("lenet", "examples/lenet.net", (1, 28, 28), train_batch=64, optimizer="adam"),
    Workload("cifar_quick", "examples/cifar_quick.net", (3, 32, 32), "centred"),
    Workload("lstm", "examples/lstm.net", (1, 28, 28), train_batch=128, optimizer="adam"),
    Workload("gpt_block", "bench/nets/gpt_block.net", (128, 256), "same"),
    Workload("resnet20", "examples/resnet.net", (3, 32, 32), "centred", train_batch=128),
    Workload("squeezenet", "examples/squeezenet.net", (3, 32, 32), "centred", enlarge=7, classes=1000),
    Workload("mobilenet_v2", "examples/mobilenet_v2.net", (3, 32, 32), "centred", enlarge=7, classes=1000),
    Workload("resnet18", "examples/resnet18.net", (3, 32, 32), "centred", enlarge=7, train_batch=16, classes=1000),
    Workload("gpt", "examples/gpt.net", (128,), train_batch=8, optimizer="adamw", classes=65, batches=(), define=("symbols=65",)),
)


def find(name):
    """The workload of a name."""
    return next(w for w in WORKLOADS if w.name == name)
