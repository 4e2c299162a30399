"""Writes what all engines of a workload share: weights under netc's names, inputs, the expected output, the ONNX model.

usage: materials.py WORKLOAD FOLDER     (run by the environment's python)"""
import json
import os
import struct
import sys
import warnings

import numpy as np
import torch

import models
import workloads


def write_safetensors(path, tensors):
    """A safetensors file of f32 tensors."""
    header, blobs, at = {}, [], 0
    for name, tensor in tensors:
        blob = tensor.numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def samples(workload, batch):
    """What the program is given, and what the network sees of it."""
    random = np.random.default_rng(batch)
    if workload.image == "same":
        given = random.standard_normal((batch, *workload.shape)).astype(np.float32)
        return given, given
    given = random.integers(0, 256, (batch, *workload.shape), dtype=np.uint8)
    seen = given.astype(np.float32) / 255
    if workload.image == "centred":
        seen = (seen - 0.5) / 0.25
    for axis in (2, 3) if workload.enlarge > 1 else ():
        seen = seen.repeat(workload.enlarge, axis=axis)
    return given, np.ascontiguousarray(seen, dtype=np.float32)


def main():
    warnings.filterwarnings("ignore")
    workload, folder = workloads.find(sys.argv[1]), sys.argv[2]
    model = models.predictor(workload.name)
    write_safetensors(f"{folder}/weights.safetensors", models.named_tensors(workload.name, model))
    for batch in workload.batches:
        given, seen = samples(workload, batch)
        np.save(f"{folder}/given_{batch}.npy", given)
        np.save(f"{folder}/seen_{batch}.npy", seen)
        with torch.no_grad():
            np.save(f"{folder}/expected_{batch}.npy", model(torch.from_numpy(seen)).numpy())
        quiet = os.dup(1)
        os.dup2(2, 1)  # the exporter talks
        torch.onnx.export(model, (torch.from_numpy(seen),), f"{folder}/model_{batch}.onnx", dynamo=False,
                          opset_version=17, input_names=["x"], output_names=["y"])
        os.dup2(quiet, 1)


if __name__ == "__main__":
    main()
