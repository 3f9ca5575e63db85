"""Jobs as Python's csv and gzip modules write and read them: jobs.csv, jobs.tsv, musiccaps.csv.gz and what is in them.

    python3 tests/golden/make_jobs.py tests/golden/jobs        (Python 3.11; standard library alone)
"""
import csv
import gzip
import io
import json
import pathlib
import random
import sys

out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
rng = random.Random(11)
pieces = ["drums", " ", ",", '"', "\n", "\r\n", "\t", "é", "雨", "'", "{", "\\", "a piano, slow", "  "]


def text():
    return "x" + "".join(rng.choice(pieces) for _ in range(rng.randrange(8))) + "."


rows = [{"id": f"clip_{i}", "prompt": text(), "duration": rng.choice(["", "1.5", "10", "2e1"]),
         "seed": rng.choice(["", "7", "9007199254740991"])} for i in range(60)]


def write(name, dialect, quoting, mark=b""):
    t = io.StringIO(newline="")
    w = csv.DictWriter(t, list(rows[0]), dialect=dialect, quoting=quoting)
    w.writeheader()
    w.writerows(rows)
    (out / name).write_bytes(mark + t.getvalue().encode())
    back = list(csv.DictReader(io.StringIO(t.getvalue(), newline=""), dialect=dialect))
    assert back == rows
    return back


def value(key, field):
    return field if key in ("id", "prompt") else json.loads(field)


back = write("jobs.csv", "excel", csv.QUOTE_MINIMAL, b"\xef\xbb\xbf")
write("quoted.csv", "unix", csv.QUOTE_ALL)
write("jobs.tsv", "excel-tab", csv.QUOTE_MINIMAL)
with open(out / "jobs.jsonl", "w") as f:
    for row in back:
        print(json.dumps({k: value(k, v) for k, v in row.items() if v}, ensure_ascii=False), file=f)

header = "ytid start_s end_s audioset_positive_labels aspect_list caption author_id is_balanced_subset is_audioset_eval".split()
caps = [["-0Gj8-vB1q4", "30", "40", "/m/0140xf,/m/02cjck", "['low quality', 'sustained strings melody']",
         'The low quality recording features a "ballad" song, that contains\nsustained strings.', "4", "False", "True"],
        ["a_b-C.d", "0", "10", "/m/04rlf", "[]", text(), "0", "True", "False"]]
t = io.StringIO(newline="")
csv.writer(t).writerows([header] + caps)
(out / "musiccaps.csv.gz").write_bytes(gzip.compress(t.getvalue().encode(), mtime=0))
with open(out / "musiccaps.jsonl", "w") as f:
    for row in caps:
        print(json.dumps({"id": row[0], "prompt": row[5]}, ensure_ascii=False), file=f)

# Written by hand: inches, and quotes within a text, are no quotes of CSV's.
bare = ['12" vinyl crackle', '7" single', 'a "retro" synth', '5\'9" tall "drums', '"quoted, ""twice"""', '"two\nlines"',
        'end"', 'x"" y']
rows = {"bare.csv": (",", "prompt"), "bare-two.csv": (",", "prompt,id"), "bare.tsv": ("\t", "id\tprompt")}
for name, (delimiter, head) in rows.items():
    lines = [head]
    for i, t in enumerate(bare):
        lines.append({"prompt": t, "prompt,id": f"{t},r{i}"}.get(head, f"r{i}\t{t}"))
    text = "\n".join(lines) + "\n"
    (out / name).write_text(text)
    with open(out / f"{name}.jsonl", "w") as f:
        for row in csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter):
            print(json.dumps(row, ensure_ascii=False), file=f)

# Ids: as they name files (NFC), the seed that SHA-256 gives, and which are one where names fold.
import hashlib
import tarfile
import unicodedata


def seed(run, name, attempt):
    text = f"mg-dist seed\n{run}\n{name}\n{attempt}\n".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 11


with open(out / "ids.jsonl", "w") as f:
    for name in ["clip_1", "CLIP_1", "-0Gj8-vB1q4", "雨の歌", "caf\u00e9", "cafe\u0301", "CAFÉ", "ﬁn", "Straße", "STRASSE", "Ελλάς", "ελλάσ"]:
        nfc = unicodedata.normalize("NFC", name)
        fold = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
        print(json.dumps({"id": name, "nfc": nfc, "fold": fold, "seed": seed(7, nfc, 0), "again": seed(7, nfc, 1)},
                         ensure_ascii=False), file=f)

with tarfile.open(out / "small.tar", "w", format=tarfile.USTAR_FORMAT) as t:
    for name, data in [("a.flac", b"x" * 600), ("a.json", b"{}"), ("雨.flac", b"")]:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        t.addfile(info, io.BytesIO(data))
