#!/usr/bin/env python3
"""EnCodec's halves and T5 by another program, in fp32: a child of peers.py, which reads its JSON lines.

    peer_part.py PEER [--threads N]

musicgen-small's shapes, random weights from one seed, one clip of 10 s or 14 tokens, lengths fixed when the graph is
made. The lines are those of peer_step.py; `difference` is the distance from what transformers' own call gives, as a
part of its length, and of codes the share that differs.
"""

import io
import json
import pathlib
import sys
import tempfile

sys.dont_write_bytecode = True  # no folder of it beside the sources
import peer_step  # noqa: E402

FRAMES, SAMPLES, TOKENS = 500, 320000, 14
PEERS = {"openvino-encode": "encode", "openvino-decode": "decode", "openvino-t5": "t5", "onnxruntime-t5": "t5"}
WARMUP = {"encode": 1, "decode": 1, "t5": 3}  # as mg-dist bench has them
TRACED = {"encode": SAMPLES // 10, "decode": FRAMES // 10, "t5": TOKENS}  # a shorter clip makes the same graph sooner


def build(part: str):
    """The part as a module of one input and one output, its input, and what transformers makes of that."""
    import make_checkpoint
    import torch
    from transformers import EncodecModel, T5EncoderModel

    class Call(torch.nn.Module):
        def __init__(self, model, call) -> None:
            super().__init__()
            self.model, self.call = model, call

        def forward(self, value):
            return self.call(self.model, value)

    config = make_checkpoint.config_of("small")
    torch.manual_seed(0)
    if part == "t5":
        text = T5EncoderModel(config.text_encoder).eval()
        ids = torch.randint(0, config.text_encoder.vocab_size, (1, TOKENS))
        return Call(text, lambda m, x: m(input_ids=x).last_hidden_state), ids, text(input_ids=ids).last_hidden_state
    codec = EncodecModel(config.audio_encoder).eval()
    sound = torch.rand(1, 1, SAMPLES) - 0.5
    spread_codes(codec, sound)
    codes = codec.encode(sound).audio_codes
    if part == "decode":
        sound = codec.decode(codes, [None]).audio_values
        return Call(codec, lambda m, x: m.decode(x, [None]).audio_values), codes, sound
    # What encode() calls: itself it cuts the sound at the length that it was traced with
    bandwidth = config.audio_encoder.target_bandwidths[0]
    return Call(codec, lambda m, x: m.quantizer.encode(m.encoder(x), bandwidth)), sound, codes


def spread_codes(codec, sound) -> None:
    """Codebooks as wide as what they are to tell apart, so that a wrong graph gives other codes."""
    import torch

    rest = codec.encoder(sound)
    for layer in codec.quantizer.layers:
        embed = layer.codebook.embed
        embed.copy_(rest.mean((0, 2)) + rest.std((0, 2)) * torch.randn(embed.shape))
        rest = rest - layer.decode(layer.encode(rest))


class OpenVino:
    def __init__(self, part: str, call, value, threads: int) -> None:
        import openvino

        model = openvino.convert_model(call, example_input=value[..., :TRACED[part]], input=[list(value.shape)])
        core = openvino.Core()
        with tempfile.TemporaryDirectory() as folder:
            # Read from a file, a graph computes an LSTM by one primitive; as convert_model gives it, by a loop of
            # cells, which takes longer.
            path = pathlib.Path(folder) / "part.xml"
            openvino.save_model(model, path, compress_to_fp16=False)
            del model
            compiled = core.compile_model(core.read_model(path), "CPU", {
                "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"})
        layers = {str(node.get_rt_info()["layerType"].value) for node in compiled.get_runtime_model().get_ops()}
        computes = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        lstm = sorted(layers & {"RNNSeq", "TensorIterator"})  # the primitive, and the loop
        self.about = {"precision": ", ".join([f"computes in {computes}", *lstm])}
        self.request, self.value = compiled.create_infer_request(), value.numpy()

    def compute(self):
        self.request.infer([self.value], share_inputs=True)
        return self.request.get_output_tensor(0).data


class OnnxRuntime:
    def __init__(self, part: str, call, value, threads: int) -> None:
        import onnxruntime
        import torch

        graph = io.BytesIO()
        torch.onnx.export(call, (value,), graph, input_names=["value"], opset_version=17, dynamo=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(graph.getvalue(), options, providers=["CPUExecutionProvider"])
        self.about = {"precision": "computes in f32"}
        self.inputs = {"value": value.numpy()}

    def compute(self):
        return self.session.run(None, self.inputs)[0]


def difference_of(part: str, result, reference) -> float:
    import numpy

    if part == "encode":
        return float((result.reshape(reference.shape) != reference).mean())
    return float(numpy.linalg.norm(result.reshape(reference.shape) - reference) / numpy.linalg.norm(reference))


def serve(lines, peer: str, threads: int) -> None:
    packages = ["torch", "transformers"] + (["openvino"] if "openvino" in peer else ["onnx", "onnxruntime"])
    found = peer_step.find(lines, packages)
    if not found:
        return
    import torch

    torch.set_num_threads(threads)
    part = PEERS[peer]
    with torch.no_grad():
        call, value, reference = build(part)
        one = (OpenVino if "openvino" in peer else OnnxRuntime)(part, call, value, threads)
    del call
    difference = difference_of(part, one.compute(), reference.numpy())
    print(json.dumps({"versions": found, "difference": difference, **one.about}), file=lines, flush=True)
    for line in sys.stdin:
        peer_step.answer(lines, "ms", one.compute, WARMUP[part], int(line))


if __name__ == "__main__":
    args, own_lines = peer_step.begin(__doc__, PEERS)
    serve(own_lines, args.peer, args.threads)
