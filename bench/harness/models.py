"""The workloads as torch modules. Where a module is ours its parts have the names that they have in the .net program, so
that parameters need no table; of torchvision's modules RENAMES says how they are called there."""
import re

import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision


class mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.logits = nn.Linear(784, 256), nn.Linear(256, 10)

    def forward(self, x):
        return self.logits(F.relu(self.hidden(x.flatten(1))))


class lenet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 20, 5), nn.Conv2d(20, 50, 5)
        self.hidden, self.logits = nn.Linear(800, 500), nn.Linear(500, 10)

    def forward(self, x):
        x = F.max_pool2d(self.conv2(F.max_pool2d(self.conv1(x), 2)), 2)
        return self.logits(F.relu(self.hidden(x.flatten(1))))


class cifar_quick(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 5, padding=2)
        self.conv2 = nn.Conv2d(32, 32, 5, padding=2)
        self.conv3 = nn.Conv2d(32, 64, 5, padding=2)
        self.hidden, self.logits = nn.Linear(1024, 64), nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 3, 2, ceil_mode=True))
        x = F.avg_pool2d(F.relu(self.conv2(x)), 3, 2, ceil_mode=True)
        x = F.avg_pool2d(F.relu(self.conv3(x)), 3, 2, ceil_mode=True)
        return self.logits(self.hidden(x.flatten(1)))


class lstm(nn.Module):
    """The 28 rows of a digit, one a step."""

    def __init__(self):
        super().__init__()
        self.lstm, self.logits = nn.LSTM(28, 128, batch_first=True), nn.Linear(128, 10)

    def forward(self, x):
        y, _ = self.lstm(x.reshape(-1, 28, 28))
        return self.logits(y[:, -1])


class Unit(nn.Module):
    def __init__(self, channels, out, stride):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.norm2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        if stride != 1 or out != channels:
            self.project, self.norm = nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)

    def forward(self, x):
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(y + (self.norm(self.project(x)) if hasattr(self, "project") else x))


class resnet20(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.stem_norm = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.stage1 = nn.Sequential(*[Unit(16, 16, 1) for _ in range(3)])
        self.stage2 = nn.Sequential(Unit(16, 32, 2), Unit(32, 32, 1), Unit(32, 32, 1))
        self.stage3 = nn.Sequential(Unit(32, 64, 2), Unit(64, 64, 1), Unit(64, 64, 1))
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.stem_norm(self.stem(x)))
        return self.head(self.stage3(self.stage2(self.stage1(x))).mean((2, 3)))


class Block(nn.Module):
    """A transformer's block: causal attention of 4 heads, then two dense layers with gelu."""

    def __init__(self, size=256, heads=4, gelu="tanh"):
        super().__init__()
        self.heads, self.gelu = heads, gelu
        self.norm1, self.norm2 = nn.LayerNorm(size), nn.LayerNorm(size)
        self.qkv, self.out = nn.Linear(size, 3 * size), nn.Linear(size, size)
        self.up, self.down = nn.Linear(size, 4 * size), nn.Linear(4 * size, size)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(n, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(n, t, d))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate=self.gelu))


class gpt_block(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = Block()

    def forward(self, x):
        return self.block(x)


class gpt(nn.Module):
    """A model of characters: 65 of them, 128 at a time, 4 blocks."""

    def __init__(self, symbols=65, time=128, size=256, blocks=4):
        super().__init__()
        self.token, self.place = nn.Embedding(symbols, size), nn.Embedding(time, size)
        self.block = nn.Sequential(*[Block(size, gelu="none") for _ in range(blocks)])
        self.norm, self.logits = nn.LayerNorm(size), nn.Linear(size, symbols, bias=False)

    def forward(self, x):
        return self.logits(self.norm(self.block(self.token(x) + self.place.weight)))


def squeezenet():
    return torchvision.models.squeezenet1_1()


def mobilenet_v2():
    return torchvision.models.mobilenet_v2()


def resnet18():
    return torchvision.models.resnet18()


NO_CLASSES = ("gpt_block",)  # whose result is no softmax


class Classifier(nn.Module):
    """A network as its .net program predicts: its classes' probabilities."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return torch.softmax(self.body(x), -1)


def _mobilenet_block(match):
    """torchvision counts all blocks, the .net program stages and the blocks of each; the first has no expansion."""
    number, place, inner = int(match[1]), int(match[2]), match[3]
    stage, before = 0, 1
    for count in (1, 2, 3, 4, 3, 3, 1):
        if number < before + count:
            break
        stage, before = stage + 1, before + count
    parts = ["depthwise", "project.conv", "project.norm"] if number == 1 else ["expand", "depthwise", "project.conv", "project.norm"]
    part = parts[place]
    if inner is not None:
        part += (".conv", ".norm")[int(inner)]
    return f"block.{stage}.{number - before}.{part}"


RENAMES = {
    "resnet18": ((r"^conv1$", "stem"), (r"^bn1$", "stem_norm"), (r"^fc$", "head"), (r"^layer", "stage"),
                 (r"\.bn", ".norm"), (r"downsample\.0", "project"), (r"downsample\.1", "norm")),
    "squeezenet": ((r"^features\.0$", "stem"), (r"^classifier\.1$", "head"), (r"expand(\d)x\d", r"expand\1"),
                   *((rf"^features\.{at}\.", f"fire{number}.") for at, number in
                     zip((3, 4, 6, 7, 9, 10, 11, 12), range(2, 10)))),
    "mobilenet_v2": ((r"^classifier\.1$", "logits"), (r"^features\.0\.0$", "stem.conv"), (r"^features\.0\.1$", "stem.norm"),
                     (r"^features\.18\.0$", "features.conv"), (r"^features\.18\.1$", "features.norm"),
                     (r"^features\.(\d+)\.conv\.(\d+)(?:\.(\d+))?$", _mobilenet_block)),
    "lstm": ((r"^lstm$", "memory"),),
    "gpt_block": ((r"^block\.(qkv|out)$", r"block.attention.\1"),),
}


def _renamed(workload, name):
    for pattern, to in RENAMES.get(workload, ()):
        renamed = re.sub(pattern, to, name)
        if renamed != name and callable(to):
            return renamed
        name = renamed
    return name


def _of_module(module):
    """What a module keeps, as (netc's name, tensor in netc's layout)."""
    if isinstance(module, nn.Linear):
        yield "weight", module.weight.t()
        if module.bias is not None:
            yield "b", module.bias
    elif isinstance(module, nn.Conv2d):
        yield "weight", module.weight
        if module.bias is not None:
            yield "b", module.bias
    elif isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
        yield "scale", module.weight
        yield "shift", module.bias
        if isinstance(module, nn.BatchNorm2d):
            yield "mean", module.running_mean
            yield "var", module.running_var
    elif isinstance(module, nn.Embedding):
        yield "table", module.weight
    elif isinstance(module, nn.LSTM):
        yield "input", module.weight_ih_l0.t()
        yield "weight", module.weight_hh_l0.t()
        yield "b", module.bias_ih_l0 + module.bias_hh_l0


def make(name):
    """The network with weights that a seed fixes; norms are not what they are at the start, so that they matter."""
    torch.manual_seed(0)
    model = globals()[name]()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.7, 1.3)
        if isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.uniform_(module.bias, -0.1, 0.1)
    return model


def predictor(name):
    """What is compared and timed at inference."""
    body = make(name)
    return (body if name in NO_CLASSES else Classifier(body)).eval()


def named_tensors(name, model):
    """All tensors of the network under the names of its .net program."""
    body = model.body if isinstance(model, Classifier) else model
    for path, module in body.named_modules():
        for own, tensor in _of_module(module):
            yield f"{_renamed(name, path)}.{own}", tensor.detach().contiguous()
