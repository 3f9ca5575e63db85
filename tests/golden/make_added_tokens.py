"""Ids of transformers' T5Tokenizer and T5TokenizerFast for tokenizers with added tokens, and Rust's \\w.

    python3 tests/golden/make_added_tokens.py tests/golden/tokenizer tests/golden/added_tokens.json src/text/word_ranges.c

(Python 3.11, transformers 4.46.3, tokenizers 0.20.3, sentencepiece 0.2.0.) Each variant is a folder: spiece.model if
it is slow, tokenizer.json with other added_tokens if it is not (or both), and the small files as they stand here.
"""
import json
import os
import pathlib
import shutil
import sys
import tempfile

from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import T5Tokenizer, T5TokenizerFast

base, out, words = map(pathlib.Path, sys.argv[1:4])
SIDE = ["tokenizer_config.json", "added_tokens.json", "special_tokens_map.json"]
TEXTS = [
    "zorkbeat piano", "zorkbeat", " zorkbeat ", "slow zorkbeatzorkbeat beat", "azorkbeat zorkbeats", "zorkbeat, piano",
    "piano ,zorkbeat", "zork zorkb zorkbea", "<genre> techno <genre>", "a<genre>b", "a  <genre>  b", "drop the drop",
    "backdrop drops drop-in (drop) drop", "drop", "drop_a", "dropé", "édrop", "drop\u0301", "120 BPM x", "120\u2003BPM x",
    "120 BPMBPM", "\u00a0BPM\u00a0", "Ｆull on", "full Full", "ﬁne ½beat", "1/2beat ½beat", "lo fi hop", "lo  fi hop", "lofi lo fi",
    "playing sing ing", "piano piano", "techno</s>", "techno </s> zorkbeat", "<extra_id_0>zorkbeat<extra_id_99>", "zo zork",
    "", " ", "  two  blanks  zorkbeat  ", "tab\tdrop\tdrop\ndrop", "日本drop語", "ＢＰＭ bpm", "<genre>", "drop drop",
    "a\x1cBPM b", "\u3000<genre>\u3000x", "<s> piano", "▁zorkbeat ▁ drop", "the end</end> of", "x drop<genre>drop y",
    "zorkbeat zorkbeat.zorkbeat", "xdropdrop drop", "dropzork zorkdrop", "é\u0301zorkbeat", "<genre>zorkbeat drop <genre>BPM",
]


def flags(content, **more):
    return AddedToken(content, **more)


ADDED = [flags("zorkbeat"), flags("<genre>", lstrip=True, rstrip=True, special=True, normalized=False),
         flags("drop", single_word=True), flags("BPM", lstrip=True, normalized=False), flags("Ｆull", normalized=True),
         flags("½beat", rstrip=True, normalized=True), flags("lo fi", normalized=True), flags("zo", single_word=True, normalized=False),
         flags("ing", normalized=False), flags("piano", single_word=True, lstrip=True, rstrip=True, normalized=False)]


def plain(item, i):
    return {"id": i, "content": item.content, "single_word": item.single_word, "lstrip": item.lstrip,
            "rstrip": item.rstrip, "normalized": item.normalized, "special": item.special}


def read(folder, name):
    return (folder / name).read_text() if (folder / name).exists() else None


def saved(slow, tokens, **more):
    """What save_pretrained leaves of a tokenizer that got `tokens`."""
    with tempfile.TemporaryDirectory() as d:
        cls = T5Tokenizer if slow else T5TokenizerFast
        t = cls.from_pretrained(base, legacy=True) if slow else T5TokenizerFast(tokenizer_file=str(base / "tokenizer.json"))
        for token in tokens:
            t.add_tokens([token], special_tokens=token.special)
        t.save_pretrained(d)
        d = pathlib.Path(d)
        side = {n: read(d, n) for n in SIDE}
        js = json.loads(read(d, "tokenizer.json"))["added_tokens"] if not slow else None
        config = json.loads(side["tokenizer_config.json"])
        config.update(more)
        side["tokenizer_config.json"] = json.dumps(config)
        return side, js


golden = json.loads(read(base, "tokenizer.json"))
old = golden["added_tokens"]
variants = []


def variant(name, slow, side, js, change=None):
    with tempfile.TemporaryDirectory() as d:
        d = pathlib.Path(d)
        if slow:
            shutil.copy(base / "spiece.model", d)
        if js is not None:
            t = dict(golden, added_tokens=js)
            for path, value in (change or {}).items():
                node = t
                *way, last = path.split(".")
                for step in way:
                    node = node[step]
                node[last] = value
            (d / "tokenizer.json").write_text(json.dumps(t))
        for n, text in side.items():
            if text is not None:
                (d / n).write_text(text)
        cls = T5Tokenizer if slow else T5TokenizerFast
        t = cls.from_pretrained(d)
        rows = [{"text": x, "ids": t(x).input_ids} for x in TEXTS]
        variants.append({"name": name, "slow": slow, "change": change or {}, "added_tokens_of_json": js,
                         **{n: side.get(n) for n in SIDE}, "cases": rows})
        print(name, t("zorkbeat piano").input_ids)


def trimmed(text, keep):
    """The config without its added_tokens_decoder, and what else is not in `keep`."""
    c = json.loads(text)
    return json.dumps({k: v for k, v in c.items() if k in keep})


none = {n: None for n in SIDE}
side, _ = saved(True, [flags("zorkbeat")])
variant("slow: one token", True, side, None)
side, _ = saved(True, ADDED)
variant("slow: all flags", True, side, None)
variant("slow: all flags, legacy false", True, saved(True, ADDED, legacy=False)[0], None)
variant("slow: nothing beside", True, none, None)
variant("slow: added_tokens.json alone", True, dict(none, **{"added_tokens.json": json.dumps(
    {"zorkbeat": 1100, "<genre>": 1101, "drop": 1107, "piano": 1102})}), None)
variant("slow: tokenizer.json alone", True, none, old + [plain(t, 1100 + i) for i, t in enumerate(ADDED)])
variant("slow: tokenizer.json and a map", True, dict(none, **{"special_tokens_map.json": json.dumps(
    {"bos_token": "<s>", "eos_token": {"content": "</end>", "lstrip": True, "rstrip": False, "normalized": False,
                                       "single_word": False}, "additional_special_tokens": ["<genre>"]})}),
        old + [plain(flags("zorkbeat", single_word=True), 1105)])
variant("slow: additional special tokens by hand", True, dict(none, **{"tokenizer_config.json": json.dumps(
    {"additional_special_tokens": ["<genre>", "zorkbeat"], "bos_token": "<s>", "extra_ids": 100})}), None)
variant("slow: no extra ids", True, dict(none, **{"tokenizer_config.json": json.dumps({"extra_ids": 0})}), None)
variant("slow: an id that is a piece's", True, dict(none, **{"added_tokens.json": json.dumps({"zorkbeat": 305, "ing": 1100})}), None)
side, js = saved(False, [flags("zorkbeat")])
variant("fast: one token", False, side, js)
side, js = saved(False, ADDED)
variant("fast: all flags", False, side, js)
variant("fast: tokenizer.json alone", False, none, js)
variant("fast: tokens of the config", False, side, old)
variant("fast: added_tokens.json", False, dict(none, **{"added_tokens.json": json.dumps(
    {"zorkbeat": 1101, "<genre>": 1100, "drop": 1102})}), old)
variant("fast: all normalized and single", False, none, old + [plain(flags(t.content, single_word=True, normalized=True), 1100 + i)
                                                                 for i, t in enumerate(ADDED)])
variant("fast: ids with a hole", False, none, old + [plain(flags("zorkbeat"), 1110), plain(flags("drop"), 1105)])
variant("fast: a mark before the whole alone", False, none, js, {"pre_tokenizer.prepend_scheme": "first"})
json.dump({"note": "made by make_added_tokens.py", "variants": variants}, open(out, "w"), ensure_ascii=True, separators=(",", ":"))

# Which characters are \w to the library: a token that must be a word of its own is not found before one.
t = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
t.pre_tokenizer = pre_tokenizers.Whitespace()
t.add_tokens([AddedToken("q", single_word=True, normalized=False)])
q = t.token_to_id("q")
points = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]
ranges = []
for at in range(0, len(points), 50000):
    part = points[at:at + 50000]
    for c, e in zip(part, t.encode_batch(["q" + chr(c) for c in part])):
        if q in e.ids and chr(c) != "q":
            continue
        if ranges and ranges[-1][1] == c - 1:
            ranges[-1][1] = c
        else:
            ranges.append([c, c])
lines, line = [], ""
for a, b in ranges:
    item = f"{{0x{a:X}, 0x{b:X}}}, "
    if len(line) + len(item) > 104:
        lines.append(line.rstrip())
        line = ""
    line += item
lines.append(line.rstrip(", "))
words.write_text("""/* Letters, digits, marks and joiners: \\\\w of Rust's regular expressions, which tokenizers asks. Made by
 * tests/golden/make_added_tokens.py out of that library. */
#include "token_split.h"

/* clang-format off */
static const struct {
    int32_t first, last;
} ranges[] = {
""".replace("\\\\w", "\\w") + "\n".join("    " + x for x in lines) + """
};
/* clang-format on */

bool mg_is_word_char(int32_t c)
{
    size_t low = 0, high = sizeof ranges / sizeof *ranges;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (c > ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < sizeof ranges / sizeof *ranges && c >= ranges[low].first;
}
""")
print(len(ranges), "ranges", os.path.getsize(out), "bytes")
