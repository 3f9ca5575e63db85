"""Small torch files for tests/unit/test_torch_file.c: odd layouts, odd containers, hostile pickles.

usage: make_torch_small.py OUT_FOLDER   (torch 2.5.1, safetensors, numpy)
tensors.safetensors holds what every tensors-*.pt must read as."""

import io
import os
import pickle
import sys
import zipfile

import torch
from safetensors.torch import save_file


def tensors():
    torch.manual_seed(4)
    base = torch.randn(4, 6)
    storage = torch.arange(20, dtype=torch.float32)
    return {
        "plain": torch.arange(24, dtype=torch.float32).reshape(2, 3, 4),
        "transposed": base.t(),
        "sliced": base[1:4, 1:5],
        "stepped": base[::2, ::3],
        "permuted": torch.randn(2, 3, 5).permute(2, 0, 1),
        "shared.a": storage[:12].reshape(3, 4),
        "shared.b": storage[4:20].reshape(4, 4),
        "expanded": torch.tensor([2.5]).expand(3, 5),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 4),
        "column": torch.randn(7, 1),
        "f16": torch.randn(5).half(),
        "bf16": torch.randn(5).bfloat16(),
        "f64": torch.randn(3, 2).double(),
        "i64": torch.tensor([1 << 40, -2]),
        "i32": torch.tensor([7, -8], dtype=torch.int32),
        "u8": torch.tensor([0, 255], dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]),
        "parameter": torch.nn.Parameter(torch.randn(2, 2)),
    }


def entries(path):
    with zipfile.ZipFile(path) as z:
        return [(n, z.read(n)) for n in z.namelist()]


class Unseekable(io.RawIOBase):
    """zipfile cannot go back to fill in sizes: it writes data descriptors."""

    def __init__(self, file):
        self.file = file

    def writable(self):
        return True

    def write(self, data):
        return self.file.write(data)


def rewrite(path, out, unseekable=False, zip64=False, method=zipfile.ZIP_STORED):
    limit = zipfile.ZIP64_LIMIT
    if zip64:
        zipfile.ZIP64_LIMIT = 0
    with open(out, "wb") as f:
        with zipfile.ZipFile(Unseekable(f) if unseekable else f, "w", method) as z:
            for name, data in entries(path):
                info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
                info.compress_type = method
                with z.open(info, "w", force_zip64=zip64) as e:
                    e.write(data)
    zipfile.ZIP64_LIMIT = limit


class Command:
    def __reduce__(self):
        return os.system, ("touch mg-dist-was-tricked",)


class Untyped(pickle.Pickler):
    """The form of torch for element types without a storage class: UntypedStorage and _rebuild_tensor_v3."""

    def persistent_id(self, obj):
        if isinstance(obj, Storage):
            return ("storage", torch.storage.UntypedStorage, obj.key, "cpu", obj.n_bytes)
        return None


class Storage:
    def __init__(self, key, n_bytes):
        self.key, self.n_bytes = key, n_bytes


class Rebuilt:
    def __init__(self, storage, size, stride, dtype):
        self.args = (storage, 0, size, stride, False, {}, dtype)

    def __reduce__(self):
        return torch._utils._rebuild_tensor_v3, self.args


def save_untyped(path):
    w = torch.arange(6, dtype=torch.float32)
    out = io.BytesIO()
    Untyped(out, 2).dump({"w": Rebuilt(Storage("0", 24), (2, 3), (3, 1), torch.float32)})
    with zipfile.ZipFile(path, "w") as z:
        for name, data in [("archive/data.pkl", out.getvalue()), ("archive/data/0", w.numpy().tobytes()), ("archive/version", b"3\n")]:
            z.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)


def save_dtensor(path):
    """A tensor of FSDP2: a class of its own around this rank's rows."""
    from torch.distributed.tensor import Shard, distribute_tensor, init_device_mesh
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29511", RANK="0", WORLD_SIZE="1")
    torch.distributed.init_process_group("gloo")
    mesh = init_device_mesh("cpu", (1,))
    torch.save({"b": torch.ones(2), "w": distribute_tensor(torch.ones(4, 2), mesh, [Shard(0)])}, path)
    torch.distributed.destroy_process_group()


def main(out):
    os.makedirs(out, exist_ok=True)
    at = lambda name: os.path.join(out, name)
    t = tensors()
    save_file({k: v.detach().contiguous().clone() for k, v in t.items()}, at("tensors.safetensors"))
    torch.save(t, at("tensors-zip.pt"))
    torch.save(t, at("tensors-protocol4.pt"), pickle_protocol=4)
    torch.save(t, at("tensors-old.pt"), _use_new_zipfile_serialization=False)
    rewrite(at("tensors-zip.pt"), at("tensors-zip64.pt"), zip64=True)
    rewrite(at("tensors-zip.pt"), at("tensors-descriptors.pt"), unseekable=True)
    rewrite(at("tensors-zip.pt"), at("compressed.pt"), method=zipfile.ZIP_DEFLATED)
    save_untyped(at("untyped.pt"))
    small = {"w": torch.arange(6, dtype=torch.float32).reshape(2, 3).t(), "b": torch.ones(2)}
    torch.save(small, at("small-zip.pt"))
    torch.save(small, at("small-old.pt"), _use_new_zipfile_serialization=False)
    torch.save({"w": small["w"], "x": Command()}, at("command.pt"))
    torch.save(Command(), at("command-old.pt"), _use_new_zipfile_serialization=False)
    torch.save({"w": torch.ones(1).expand(1 << 20, 1 << 20)}, at("expanded-bomb.pt"))
    torch.save({"w": torch.zeros(2, dtype=torch.complex64)}, at("complex.pt"))
    torch.save({"w": torch._neg_view(torch.ones(2))}, at("negated.pt"))
    save_dtensor(at("dtensor.pt"))
    torch.save(torch.nn.Linear(2, 2), at("module.pt"))
    torch.save({"state_dict": {"model." + k: v for k, v in small.items()}, "epoch": 3}, at("nested.pt"))
    # averaged copies: a list, and names without dots
    weights = {"emb.0.weight": torch.ones(3, 2), "out_norm.weight": torch.ones(2), "linears.0.weight": torch.ones(2, 2)}
    torch.save({"model": weights, "ema": {"decay": 0.9, "shadow_params": list(weights.values())}}, at("nameless.pt"))
    torch.save({"state_dict": {**{"model." + k: v for k, v in weights.items()},
                               **{"model_ema." + k.replace(".", ""): v for k, v in weights.items()}}}, at("dotless.pt"))


main(sys.argv[1])
