#!/usr/bin/env python3
"""Small .npy files as NumPy saves them: the same six numbers in every type, order and shape that people have.

    make_npy.py OUT        (numpy 2, ml_dtypes)

NAME says what is in it: codes-* hold the integers 0 1 2 / 3 4 2047, states-* the numbers -1 0.5 2 / 0.25 0 -3.
bad-* must be refused.
"""
import sys

import ml_dtypes
import numpy as np

out = sys.argv[1]
codes = np.array([[0, 1, 2], [3, 4, 2047]])
states = np.array([[-1, 0.5, 2], [0.25, 0, -3]])


def save(name, array, version=None):
    with open(f"{out}/{name}.npy", "wb") as f:
        np.lib.format.write_array(f, array, version=version, allow_pickle=False)


for t in "int16 int32 int64 uint16 uint32 uint64".split():
    save(f"codes-{t}", codes.astype(t))
save("codes-big-endian", codes.astype(">i8"))
save("codes-fortran", np.asfortranarray(codes))
save("codes-transposed-view", np.ascontiguousarray(codes.T).T)
save("codes-1kt", codes[None])
save("codes-11kt", codes[None, None])
save("codes-v2", codes, (2, 0))
save("codes-v3", codes, (3, 0))
small = codes.copy()
small[1, 2] = 127
save("small-int8", small.astype("int8"))
save("small-uint8", small.astype("uint8"))
for t in "float16 float32 float64".split():
    save(f"states-{t}", states.astype(t))
bf16 = states.astype(ml_dtypes.bfloat16)
save("states-bfloat16", bf16)
save("states-bfloat16-as-uint16", bf16.view("uint16"))
save("states-1sd", states[None].astype("float32"))
save("states-fortran", np.asfortranarray(states))
save("states-big-endian", states.astype(">f4"))
save("bad-large", np.array([[1, 2**40]]))
save("bad-large-unsigned", np.array([[1, 2**63 + 1]], "uint64"))
save("bad-two-clips", np.zeros((2, 4, 5), "int32"))
save("bad-flat", np.zeros(5, "int32"))
save("bad-scalar", np.zeros((), "int32"))
save("bad-complex", np.zeros((2, 3), "complex64"))
save("bad-bool", np.zeros((2, 3), "bool"))
save("bad-text", np.array([["a", "b"]]))
save("bad-record", np.zeros((2, 3), [("a", "i4"), ("b", "f4")]))
