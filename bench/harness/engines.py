"""The peers: each its own best way on a CPU, on the same weights. An engine is made for one workload and one number of
threads, readied for one batch at a time, and then runs; what it cannot do it refuses with an exception."""
import os
import subprocess
import sys

import numpy as np

import workloads


class Engine:
    def __init__(self, workload, mode, threads, folder):
        self.workload, self.mode, self.threads, self.folder = workload, mode, threads, folder

    def ready(self, batch):
        """Builds what runs this batch."""
        raise NotImplementedError

    def run(self):
        """One prediction or one step of training, to its end."""
        raise NotImplementedError

    def output(self):
        """The result of a prediction, an array."""
        return self.run()

    def seen(self, batch):
        return np.load(f"{self.folder}/seen_{batch}.npy")


class Torch(Engine):
    """torch as it is written: eager. With `compiled` through inductor."""

    compiled = False

    def __init__(self, *given):
        super().__init__(*given)
        import torch

        self.torch = torch
        torch.set_num_threads(self.threads)

    def ready(self, batch):
        if self.mode == "predict":
            self._ready_predict(batch)
        else:
            self._ready_train(batch)

    def _compile(self, function):
        if not self.compiled:
            return function
        import torch._inductor.config as config

        config.freezing = self.mode == "predict"
        self.torch._dynamo.reset()
        return self.torch.compile(function)

    def _ready_predict(self, batch):
        import models

        torch = self.torch
        x = torch.from_numpy(self.seen(batch))
        model = self._compile(models.predictor(self.workload.name))
        guard = torch.no_grad if self.compiled else torch.inference_mode

        def run():
            with guard():
                return model(x).numpy()

        self.run = run

    def _ready_train(self, batch):
        import models

        torch, w = self.torch, self.workload
        model = models.make(w.name).train()
        if w.name == "gpt":
            x = torch.randint(0, w.classes, (batch, *w.shape))
            y = torch.randint(0, w.classes, (batch, *w.shape)).flatten()
        else:
            height, width = w.shape[1] * w.enlarge, w.shape[2] * w.enlarge
            x, y = torch.randn(batch, w.shape[0], height, width), torch.randint(0, w.classes, (batch,))
        if w.optimizer != "sgd":
            rule = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[w.optimizer]
            optimizer = rule(model.parameters(), 1e-3, foreach=True)
        else:
            optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, foreach=True)
        loss_of = self._compile(lambda: torch.nn.functional.cross_entropy(model(x).flatten(0, -2), y))

        def run():
            optimizer.zero_grad(set_to_none=True)
            loss_of().backward()
            optimizer.step()

        self.run = run


class Inductor(Torch):
    compiled = True


class OnnxRuntime(Engine):
    def ready(self, batch):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = self.threads, 1, 3
        session = onnxruntime.InferenceSession(f"{self.folder}/model_{batch}.onnx", options,
                                               providers=["CPUExecutionProvider"])
        x = {"x": self.seen(batch)}
        self.run = lambda: session.run(None, x)[0]


class OpenVino(Engine):
    def ready(self, batch):
        import openvino

        core = openvino.Core()
        hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": self.threads, "INFERENCE_PRECISION_HINT": "f32"}
        model = core.compile_model(core.read_model(f"{self.folder}/model_{batch}.onnx"), "CPU", hints)
        request, x = model.create_infer_request(), self.seen(batch)
        self.run = lambda: request.infer({0: x}, share_inputs=True)[0]


class Mnn(Engine):
    def ready(self, batch):
        import MNN.expr as expr
        import MNN.nn as nn

        converted = f"{self.folder}/model_{batch}.mnn"
        if not os.path.exists(converted):
            convert = os.path.join(os.path.dirname(sys.executable), "mnnconvert")
            subprocess.run([convert, "-f", "ONNX", "--modelFile", f"{self.folder}/model_{batch}.onnx", "--MNNModel",
                            converted, "--bizCode", "bench"], check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        manager = nn.create_runtime_manager(({"backend": "CPU", "numThread": self.threads, "precision": "high"},))
        net = nn.load_module_from_file(converted, ["x"], ["y"], runtime_manager=manager)
        x = self.seen(batch)
        images = x.ndim == 4

        def run():
            v = expr.const(x, list(x.shape), expr.NCHW)
            y = net.forward([expr.convert(v, expr.NC4HW4) if images else v])
            y = y[0] if isinstance(y, (list, tuple)) else y
            return np.array(expr.convert(y, expr.NCHW).read() if images else y.read())

        self.run = run


class Jax(Engine):
    """XLA by way of jax: training steps, written plainly, jitted, with donated buffers."""

    def ready(self, batch):
        import jax_models

        self.run = jax_models.training_step(self.workload, batch)


ENGINES = {"onnxruntime": OnnxRuntime, "openvino": OpenVino, "MNN": Mnn, "torch": Torch, "inductor": Inductor, "jax": Jax}
