#include "foreign_folder.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "path.h"

#define ROUND "take a folder with model.safetensors or pytorch_model.bin of the same model"

/* The first pattern that a name in the folder fits says what it is. */
static const struct {
    const char *pattern, *what;
} contents[] = {
    {"*.distcp",
     "a distributed checkpoint: make one file of it with python -m "
     "torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER OUT.pt, and give that as --lm"},
    {"shard-[0-9]*-model-*.safetensors",
     "a distributed checkpoint in safetensors: make one file of it with "
     "consolidate_safetensors_files(FOLDER, "
     "OUT) of torch.distributed.checkpoint._consolidate_hf_safetensors, and give OUT"},
    {"zero_to_fp32.py",
     "a DeepSpeed checkpoint: make one file of it with python zero_to_fp32.py FOLDER OUT, and "
     "give that as --lm"},
    {"mp_rank_*_model_states.pt",
     "a part of a DeepSpeed checkpoint: make one file of it with zero_to_fp32.py, "
     "which lies in the folder above"},
    {"adapter_config.json", NULL}, /* lora.h says more */
    {"checkpoint-[0-9]*", "a folder of checkpoints, which does not say which: give one of them"},
    {"snapshots", "a folder of a cache, without a whole snapshot: fetch the model again with hf download"},
    {"openvino*.xml", "a model for OpenVINO: " ROUND},
    {"*.onnx", "a model for ONNX Runtime: " ROUND},
    {"onnx", "a model for ONNX Runtime: " ROUND},
    {"flax_model*.msgpack", "a model for Flax: " ROUND},
    {"tf_model*.h5", "a model for TensorFlow: " ROUND},
    {"saved_model.pb", "a model for TensorFlow: " ROUND},
    {"*.gguf", "a model for llama.cpp: " ROUND},
    {"*.incomplete", "a download that did not finish: fetch it again"},
    {"*.part", "a download that did not finish: fetch it again"},
    {"*.safetensors", "no model's folder: a file with weights is given by its own name"},
    {"*.pt", "no model's folder: a file with weights is given by its own name"},
    {"*.pth", "no model's folder: a file with weights is given by its own name"},
    {"*.ckpt", "no model's folder: a file with weights is given by its own name"},
    {"*.th", "no model's folder: a file with weights is given by its own name"},
};

enum { N_CONTENTS = sizeof contents / sizeof *contents };

/* "checkpoint-1000" comes behind "checkpoint-500", and so does the later of two names of one length. */
static bool is_later(const char *name, const char *other)
{
    const size_t n = strlen(name), n_other = strlen(other);

    return n != n_other ? n > n_other : strcmp(name, other) > 0;
}

mg_status mg_foreign_folder_refuse(const char *path)
{
    DIR *d = opendir(path);
    int best = N_CONTENTS;
    char found[MG_PATH_SIZE] = "";

    if (!d) return MG_OK;
    for (const struct dirent *e; (e = readdir(d));) {
        int k = 0;
        while (k < best && fnmatch(contents[k].pattern, e->d_name, 0) != 0) k++;
        if (k == N_CONTENTS || k > best) continue;
        if (k == best && (fnmatch(contents[k].pattern, e->d_name, 0) != 0 || !is_later(e->d_name, found)))
            continue;
        best = k;
        snprintf(found, sizeof found, "%s", e->d_name);
    }
    closedir(d);
    if (best == N_CONTENTS || !contents[best].what) return MG_OK;
    return mg_fail(MG_EFAIL, "%s: is %s (it holds %s)", path, contents[best].what, found);
}
