"""Fills a checkpoint that tests/golden/make_lightning.py has emptied.   averaged.py EMPTY EXPORT OUT AVERAGED

The averaged copy gets the weights of EXPORT (an AudioCraft export), any other zeros: a clip tells which was taken.
AVERAGED is the beginning of the averaged names, a/b for the key b in the dict a. Python alone, no torch.
"""
import pickle
import sys
import zipfile

SIZES = {"FloatStorage": 4, "HalfStorage": 2, "LongStorage": 8, "DoubleStorage": 8, "BoolStorage": 1, "ByteStorage": 1}


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


empty, export, out, averaged = sys.argv[1:]
z, top, root = read(export)
weights = {path.split("/")[-1]: z.read(f"{top}/data/{s.key}") for path, s in tensors(root) if path.startswith("best_state/")}
z, top, root = read(empty)
filled, n = {}, 0
for path, s in tensors(root):
    filled.setdefault(s.key, bytes(s.n_bytes))
    if path.startswith(averaged) and path[len(averaged):] in weights:
        assert len(weights[path[len(averaged):]]) == s.n_bytes
        filled[s.key] = weights[path[len(averaged):]]
        n += 1
assert n == len(weights), (n, len(weights), sorted(p for p, _ in tensors(root))[:20])
with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as new:
    for name in z.namelist():
        new.writestr(name, z.read(name))
        if name.endswith("data.pkl"):
            for key, data in filled.items():
                new.writestr(f"{top}/data/{key}", data)
