#include "foreign_file.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "text.h"

#define ROUND  "take model.safetensors or pytorch_model.bin of the same model"
#define UNPACK "unpack it, and give the weights in it"

static const struct {
    size_t at;
    const char *bytes;
    size_t n;
    const char *what;
} beginnings[] = {
    {0, "version https://git-lfs", 23, "a Git LFS pointer, not the file itself: fetch it with git lfs pull"},
    {0, "# xet version", 13, "a Xet pointer, not the file itself: fetch it with hf download"},
    {0, "GGUF", 4, "a GGUF file, whose numbers are packed for llama.cpp: " ROUND},
    {0, "\x89HDF\r\n\x1a\n", 8, "an HDF5 file, as TensorFlow and Keras write them: " ROUND},
    {4, "TFL3", 4, "a TensorFlow Lite file: " ROUND},
    {0, "\x1f\x8b", 2, "packed by gzip: " UNPACK},
    {0, "BZh", 3, "packed by bzip2: " UNPACK},
    {0,
     "\xfd"
     "7zXZ",
     5, "packed by xz: " UNPACK},
    {0, "\x28\xb5\x2f\xfd", 4, "packed by zstd: " UNPACK},
    {0, "7z\xbc\xaf", 4, "a 7z archive: " UNPACK},
    {0, "Rar!", 4, "a RAR archive: " UNPACK},
    {257, "ustar", 5, "a tar archive, as NeMo's .nemo is one: " UNPACK},
    {0, "\x93NUMPY", 6, "an array of NumPy's, not the weights of a model"},
    {0, "PAR1", 4, "a Parquet file, not the weights of a model"},
    {0, "OggS", 4, "a sound, not the weights of a model"},
    {0, "RIFF", 4, "a sound, not the weights of a model"},
    {0, "fLaC", 4, "a sound, not the weights of a model"},
    {0, "%PDF", 4, "a PDF, not the weights of a model"},
    {0,
     "\x7f"
     "ELF",
     4, "a program, not the weights of a model"},
};

static const struct {
    const char *end, *what;
} endings[] = {
    {".onnx", "an ONNX file: " ROUND},
    {".msgpack", "a MessagePack file, as Flax writes them: " ROUND},
    {".h5", "an HDF5 file, as TensorFlow and Keras write them: " ROUND},
    {".pb", "a TensorFlow graph: " ROUND},
    {".gguf", "a GGUF file, whose numbers are packed for llama.cpp: " ROUND},
    {".tflite", "a TensorFlow Lite file: " ROUND},
    {".npz", "arrays of NumPy's: save them as safetensors"},
    {".distcp", "one rank's part of a distributed checkpoint: make one file of its folder with python -m "
                "torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER OUT.pt"},
};

static bool is_zeros(const char *data, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (data[i]) return false;
    return true;
}

/* Of a text its first words: what a server said in place of the file. */
static mg_status refuse_text(const char *path, const char *data, size_t bytes)
{
    enum { LOOK = 64, SHOWN = 48 };
    size_t begin = 0, n = 0;

    while (begin < bytes && begin < LOOK && isspace((unsigned char)data[begin])) begin++;
    if (begin < bytes && data[begin] == '<')
        return mg_fail(MG_ECHECKPOINT, "%s: a web page or other XML, not the file itself: download it again",
                       path);
    while (begin + n < bytes && n < LOOK &&
           ((unsigned char)data[begin + n] >= ' ' || isspace((unsigned char)data[begin + n])) &&
           data[begin + n] != 0x7f)
        n++;
    if (n < 8 || begin + n < (bytes < LOOK ? bytes : LOOK)) return MG_OK;
    return mg_fail(MG_ECHECKPOINT, "%s: a text, not weights; it begins: %.*s", path,
                   (int)(n < SHOWN ? n : SHOWN), data + begin);
}

mg_status mg_foreign_file_refuse(const char *path, const char *data, size_t bytes)
{
    enum { MANY_ZEROS = 64 };
    const char *what = NULL;

    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings && !what; i++) {
        const size_t end = beginnings[i].at + beginnings[i].n;
        if (bytes >= end && memcmp(data + beginnings[i].at, beginnings[i].bytes, beginnings[i].n) == 0)
            what = beginnings[i].what;
    }
    for (size_t i = 0; i < sizeof endings / sizeof *endings && !what; i++)
        if (mg_text_ends_with(path, endings[i].end)) what = endings[i].what;
    if (!what && bytes > 2 && (unsigned char)data[0] == 0x80 && data[1] >= 2 && data[1] <= 5)
        what =
            "a pickle that torch.save did not write: load it in Python, and torch.save() a dict of tensors";
    if (what) return mg_fail(MG_ECHECKPOINT, "%s: is %s", path, what);
    if (bytes >= MANY_ZEROS && is_zeros(data, MANY_ZEROS))
        return mg_fail(MG_ECHECKPOINT,
                       "%s: begins with zeros alone: its download or copy did not finish: fetch it again",
                       path);
    return refuse_text(path, data, bytes);
}
