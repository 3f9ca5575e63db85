#!/usr/bin/env python3
"""One decoder step of musicgen-small's shape by another program: a child of peers.py, which reads its JSON lines.

    peer_step.py PEER [--threads N] [--column N]

Random weights from one seed, two rows (guidance), 16 text tokens, COLUMN columns of random keys and values. First
line: {"missing": why}, or what it is: versions, precision, and `difference`, the distance of its logits from those
of transformers in fp32 on the same weights and input, as a part of their length. Then each number N on standard input
is answered by the times of N steps. The keys and values of the text are ready, as they are after a clip's first step.
"""

import argparse
import json
import os
import statistics
import sys
import time

ROWS, HEADS, HEAD_WIDTH, CODEBOOKS, TEXT_TOKENS, LAYERS = 2, 16, 64, 4, 16, 24
WARMUP = 5
PEERS = {  # name: weights of mg-dist that it is held against
    "transformers-fp32": "fp32", "transformers-bf16": "bf16", "torch-compile-fp32": "fp32", "torch-int8": "int8",
    "openvino-fp32": "fp32", "openvino-fp16": "fp16", "openvino-int8": "int8", "openvino-int4-128": "int4",
    "openvino-int4-32": "int4"}


def build_model():
    import torch
    from transformers import MusicgenDecoderConfig, MusicgenForCausalLM

    torch.manual_seed(0)
    model = MusicgenForCausalLM(MusicgenDecoderConfig(
        hidden_size=HEADS * HEAD_WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS, ffn_dim=4096)).eval()

    class Step(torch.nn.Module):
        """The step with keys and values as plain inputs and outputs, which every one of the peers can take."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model
            self.register_buffer("text", torch.zeros(ROWS, TEXT_TOKENS, HEADS * HEAD_WIDTH))  # its keys are in `past`

        def forward(self, tokens, rows, *past):
            if rows is not None:
                past = [p.index_select(0, rows) if i % 4 < 2 else p for i, p in enumerate(past)]
            out = self.model(input_ids=tokens, encoder_hidden_states=self.text, use_cache=True, return_dict=True,
                             past_key_values=tuple(tuple(past[i:i + 4]) for i in range(0, len(past), 4)))
            return (out.logits, *(kv for layer in out.past_key_values for kv in layer[:2]))

    return Step().eval()


def build_input(column: int):
    import torch

    torch.manual_seed(1)
    tokens = torch.randint(0, 2048, (CODEBOOKS, 1)).repeat(ROWS, 1)
    lengths = [column, column, TEXT_TOKENS, TEXT_TOKENS] * LAYERS
    return tokens, [torch.randn(ROWS, HEADS, n, HEAD_WIDTH) for n in lengths]


class Torch:
    """A step of PyTorch: the same column again and again, its keys and values appended as generate() appends them."""

    def __init__(self, peer: str, step, tokens, past) -> None:
        import torch

        self.about = {"precision": peer.rsplit("-", 1)[1]}
        if peer == "transformers-bf16":
            step, past = step.to(torch.bfloat16), [p.to(torch.bfloat16) for p in past]
        elif peer == "torch-int8":
            step = torch.ao.quantization.quantize_dynamic(step, {torch.nn.Linear}, dtype=torch.qint8)
            self.about["precision"] = "linear layers: qint8 weights, activations quantised at each call, keys fp32"
        elif peer == "torch-compile-fp32":
            step = torch.compile(step)
        self.step, self.tokens, self.past = step, tokens, past

    def rewind(self, column: int) -> None:
        pass  # it never moves

    def logits(self):
        return self.step(self.tokens, None, *self.past)[0].float().numpy()


class OpenVino:
    """A step of OpenVINO: keys and values are its state, which grows by a column a step."""

    def __init__(self, peer: str, step, tokens, past, threads: int) -> None:
        import numpy
        import openvino
        from openvino._offline_transformations import apply_make_stateful_transformation, compress_model_transformation

        rows = numpy.arange(ROWS, dtype=numpy.int32)
        model = self.convert(openvino, step, tokens, past)
        kept = {f"past.{i}.{j}": f"present.{i}.{j}" for i in range(LAYERS) for j in range(2)}
        apply_make_stateful_transformation(model, kept)
        self.begin_empty(model)
        if peer == "openvino-fp16":
            compress_model_transformation(model)
        elif peer != "openvino-fp32":
            model = self.quantise(peer, model)
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        if peer == "openvino-fp32":
            settings |= {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
        compiled = openvino.Core().compile_model(model, "CPU", settings)
        names = ("INFERENCE_PRECISION_HINT", "KV_CACHE_PRECISION", "DYNAMIC_QUANTIZATION_GROUP_SIZE")
        values = [compiled.get_property(name) for name in names]
        texts = [v.get_type_name() if hasattr(v, "get_type_name") else str(v) for v in values]
        self.about = {"precision": "computes in {}, keys {}, activations in groups of {}".format(*texts)}
        self.request = compiled.create_infer_request()
        for i in range(LAYERS):
            for j in (2, 3):
                self.request.set_tensor(f"past.{i}.{j}", openvino.Tensor(past[4 * i + j].numpy().copy()))
        self.inputs = {"tokens": tokens.numpy(), "rows": rows}
        self.past = {f"past.{i}.{j}": past[4 * i + j].numpy() for i in range(LAYERS) for j in range(2)}

    @staticmethod
    def convert(openvino, step, tokens, past):
        import torch

        model = openvino.convert_model(step, example_input=(tokens, torch.arange(ROWS, dtype=torch.int32), *past))
        names = ["tokens", "rows"] + [f"past.{i}.{j}" for i in range(LAYERS) for j in range(4)]
        shapes = {}
        for port, name in zip(model.inputs, names, strict=True):
            port.get_tensor().set_names({name})
            if name[-2:] in (".0", ".1") and name.count(".") == 2:
                shapes[name] = openvino.PartialShape([-1, HEADS, -1, HEAD_WIDTH])
            else:
                size = {"tokens": [ROWS * CODEBOOKS, 1], "rows": [-1]}
                shapes[name] = openvino.PartialShape(size.get(name, [ROWS, HEADS, TEXT_TOKENS, HEAD_WIDTH]))
        names = ["logits"] + [f"present.{i}.{j}" for i in range(LAYERS) for j in range(2)]
        for port, name in zip(model.outputs, names, strict=True):
            port.get_tensor().set_names({name})
        model.reshape(shapes)
        return model

    @staticmethod
    def begin_empty(model) -> None:
        """States of no columns: OpenVINO fuses attention with the state only where a graph says how it begins."""
        import numpy
        from openvino import opset13 as op

        zero, first = op.constant(numpy.float32(0)), op.constant(numpy.int64([0]))
        n_rows = op.gather(op.shape_of(model.input("rows"), output_type="i64"), first, op.constant(numpy.int64(0)))
        shape = op.concat([n_rows, op.constant(numpy.int64([HEADS, 0, HEAD_WIDTH]))], axis=0)
        for node in model.get_ops():
            if node.get_type_name() == "ReadValue":
                node.set_arguments([op.broadcast(zero, shape)])
        model.validate_nodes_and_infer_types()

    @staticmethod
    def quantise(peer: str, model):
        import nncf

        mode = nncf.CompressWeightsMode
        if peer == "openvino-int8":
            return nncf.compress_weights(model, mode=mode.INT8_SYM)
        return nncf.compress_weights(model, mode=mode.INT4_SYM, group_size=int(peer.rsplit("-", 1)[1]), ratio=1.0)

    def rewind(self, column: int) -> None:
        import numpy
        import openvino

        for state in self.request.query_state():
            past = next(kv for name, kv in self.past.items() if state.name.startswith(name + "present"))
            state.state = openvino.Tensor(numpy.ascontiguousarray(past[:, :, :column]))

    def logits(self):
        self.request.infer(self.inputs, share_inputs=True)
        return self.request.get_output_tensor(0).data


def packages_of(peer: str) -> list[str]:
    names = ["torch", "transformers"] + (["openvino"] if "openvino" in peer else [])
    return names + (["nncf"] if peer.startswith("openvino-int") else [])


def find(lines, packages: list[str]) -> dict[str, str]:
    """Their versions; says what is missing and gives none if one cannot be loaded."""
    import importlib.metadata

    try:
        found = {name: importlib.metadata.version(name) for name in packages}
        for name in found:
            __import__(name)
    except ImportError as error:  # importlib.metadata's is one of them
        print(json.dumps({"missing": str(error)}), file=lines, flush=True)
        return {}
    return found


def answer(lines, name: str, compute, n_warmup: int, n: int) -> None:
    """The times of n calls, the median under `name`."""
    times = []
    cpu = time.process_time()
    for _ in range(n_warmup + n):
        begin = time.perf_counter()
        compute()
        times.append((time.perf_counter() - begin) * 1e3)
    times = times[n_warmup:]
    print(json.dumps({name: statistics.median(times), f"{name}_min": min(times),
                      "cpu_s": time.process_time() - cpu}), file=lines, flush=True)


def serve(lines, peer: str, threads: int, column: int) -> None:
    found = find(lines, packages_of(peer))
    if not found:
        return
    import numpy
    import torch

    torch.set_num_threads(threads)
    with torch.inference_mode():
        step = build_model()
        tokens, past = build_input(column)
        reference = Torch("transformers-fp32", step, tokens, past).logits()
    # OpenVINO traces the model, which inference mode forbids
    with torch.no_grad() if "openvino" in peer else torch.inference_mode():
        if "openvino" in peer:
            tokens, past = build_input(column)
            one = OpenVino(peer, step, tokens, past, threads)
            del step, past
        else:
            one = Torch(peer, step, tokens, past)
        one.rewind(column)
        logits = numpy.asarray(one.logits(), dtype=numpy.float32).reshape(reference.shape)
        difference = float(numpy.linalg.norm(logits - reference) / numpy.linalg.norm(reference))
        print(json.dumps({"versions": found, "difference": difference, **one.about}), file=lines, flush=True)
        for line in sys.stdin:
            one.rewind(column - (WARMUP + int(line)) // 2)
            answer(lines, "ms_per_step", one.logits, WARMUP, int(line))


def begin(about: str, peers: dict[str, str], **more: int):
    """A child's arguments and its lines. Libraries print too: standard output is for the lines alone."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=peers)
    for name, otherwise in {"threads": 2, **more}.items():
        parser.add_argument(f"--{name}", type=int, default=otherwise)
    args = parser.parse_args()
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return args, lines


if __name__ == "__main__":
    own_args, own_lines = begin(__doc__, PEERS, column=250)
    serve(own_lines, own_args.peer, own_args.threads, own_args.column)
