"""Fills a checkpoint of tests/golden/trainers, which is kept without its values.

    fill_checkpoint.py NAME.zip EXPORT OUT BEGINNING     of torch.save: what begins so (a/b is the key b in the dict a)
                                                         gets the weights of EXPORT (an AudioCraft export), under their
                                                         names, names without dots or numbers, the rest zeros
    fill_checkpoint.py NAME.head MODEL OUT BEGINNING     of safetensors, in fp16: the weights of MODEL without that beginning

Where a file has two copies of the weights, a clip tells which was taken. Python alone, no torch.
"""
import json
import pickle
import struct
import sys
import zipfile

SIZES = {"FloatStorage": 4, "HalfStorage": 2, "LongStorage": 8, "DoubleStorage": 8, "BoolStorage": 1, "ByteStorage": 1, "IntStorage": 4}


class Dict(dict):  # with attributes, as OrderedDict has them
    pass


class Thing:  # any class that is not ours
    def __init__(self, *args):
        self.args = args

    def __setstate__(self, state):
        self.state = state


class Storage:
    def __init__(self, kind, key, n):
        self.key, self.n_bytes = key, n * SIZES[kind]


class Reader(pickle.Unpickler):
    def find_class(self, module, name):
        if name == "_rebuild_tensor_v2":
            return lambda storage, *_: storage
        if name == "_rebuild_parameter":
            return lambda data, *_: data
        if name == "OrderedDict":
            return Dict
        if name.endswith("Storage"):
            return name
        return type(name, (Thing,), {})

    def persistent_load(self, pid):
        _, kind, key, _, n = pid
        return Storage(kind, key, n)


def read(path):
    z = zipfile.ZipFile(path)
    top = z.namelist()[0].split("/")[0]
    return z, top, Reader(z.open(top + "/data.pkl")).load()


def tensors(v, path=""):
    if isinstance(v, dict):
        for k, x in v.items():
            yield from tensors(x, f"{path}/{k}" if path else str(k))
    elif isinstance(v, (list, tuple)):
        for i, x in enumerate(v):
            yield from tensors(x, f"{path}/{i}")
    elif isinstance(v, Storage):
        yield path, v


def fill_torch(empty, export, out, beginning):
    z, top, root = read(export)
    weights = {path.split("/")[-1]: z.read(f"{top}/data/{s.key}") for path, s in tensors(root) if path.startswith("best_state/")}
    spelt = {name: data for i, (k, data) in enumerate(weights.items()) for name in (k, k.replace(".", ""), str(i))}
    z, top, root = read(empty)
    filled, n = {}, 0
    for path, s in tensors(root):
        filled.setdefault(s.key, bytes(s.n_bytes))
        if path.startswith(beginning) and path[len(beginning):] in spelt:
            assert len(spelt[path[len(beginning):]]) == s.n_bytes
            filled[s.key] = spelt[path[len(beginning):]]
            n += 1
    assert n <= len(weights) and n > 0, (n, len(weights), sorted(p for p, _ in tensors(root))[:20])
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as new:
        for name in z.namelist():
            new.writestr(name, z.read(name))
            if name.endswith("data.pkl"):
                for key, data in filled.items():
                    new.writestr(f"{top}/data/{key}", data)


def head_of(data):
    n = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:8 + n]), 8 + n


def fill_safetensors(empty, model, out, beginning):
    data, whole = open(empty, "rb").read(), open(model, "rb").read()
    (head, _), (names, at) = head_of(data), head_of(whole)
    for name, tensor in sorted(((k, v) for k, v in head.items() if k != "__metadata__"), key=lambda kv: kv[1]["data_offsets"]):
        first, last = names[beginning + name]["data_offsets"]
        values = struct.unpack(f"<{(last - first) // 4}f", whole[at + first:at + last])
        data += struct.pack(f"<{len(values)}e", *values)
    open(out, "wb").write(data)


(fill_safetensors if sys.argv[1].endswith(".head") else fill_torch)(*sys.argv[1:])
