#include "torch_entries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "averaged.h"
#include "key_map.h"
#include "nameless.h"
#include "omegaconf.h"
#include "path.h"
#include "text.h"
#include "utf8.h"

/* Copies may take as much as the file, and small files this much: an expanded tensor must not be a bomb. */
#define COPY_FLOOR_BYTES ((size_t)1 << 20)

/* Values that are looked at to find the weights: trainers' files have some ten thousand. */
#define MOST_LOOKS ((size_t)1 << 22)

static bool is_dict(const mg_pickle_value *v)
{
    return v && v->kind == MG_PICKLE_DICT;
}

static bool is_filled(const mg_pickle_value *v)
{
    return is_dict(v) && v->items.n > 0;
}

/* A look at n values more. Dicts may hold each other many times over: a small file is then a walk without
 * end. */
static bool may_look(size_t *left, size_t n)
{
    const bool may = *left >= n;

    *left -= may ? n : *left;
    return may;
}

static bool holds_tensor(const mg_pickle_value *dict, size_t *left)
{
    for (size_t i = 1; is_dict(dict) && i < dict->items.n && may_look(left, 1); i += 2)
        if (mg_torch_file_is_tensor(dict->items.item[i])) return true;
    return false;
}

/* The keys of a dict for a message: "a, b, c", as many as there is room for whole. */
static void list_keys(char *out, size_t size, const mg_pickle_value *dict)
{
    char name[41];
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; is_dict(dict) && i + 1 < dict->items.n && used + 1 < size; i += 2) {
        const mg_pickle_value *key = dict->items.item[i];
        if (key->kind != MG_PICKLE_STRING) continue;
        mg_utf8_copy(name, sizeof name, key->text.data);
        if (used + strlen(name) + 3 > size) return;
        used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", name);
    }
}

/* As audiocraft/utils/export.py picks it; the last one is what its first versions took for codecs. */
static const mg_pickle_value *training_state(const mg_pickle_value *root)
{
    const mg_pickle_value *fsdp = mg_pickle_get(root, "fsdp_best_state");
    const mg_pickle_value *state =
        mg_pickle_get(is_filled(fsdp) ? fsdp : mg_pickle_get(root, "best_state"), "model");

    if (is_filled(state)) return state;
    return mg_pickle_get(mg_pickle_get(mg_pickle_get(root, "ema"), "state"), "model");
}

/* FSDP training: rank 0 writes checkpoint.th, rank N checkpoint.th.N. Rank 0's fsdp_best_state is the whole
 * model, and nobody else's. */
static mg_status check_name(const char *path)
{
    const char *shard = strstr(mg_path_name(path), ".th.");

    if (!shard || !shard[4] || shard[4 + strspn(shard + 4, "0123456789")]) return MG_OK;
    return mg_fail(MG_ECHECKPOINT,
                   "%s: is one rank's shard: give the file without .%s, which holds the whole model", path,
                   shard + 4);
}

/* Where fsdp_best_state is empty, best_state has this rank's slice of each tensor, flat, under its own name.
 */
static mg_status check_whole(const mg_torch_entries *e, const char *path)
{
    for (size_t i = 0; i < e->n; i++) {
        const char *name = e->list[i].name;
        const bool is_slice = strstr(name, "in_proj_weight") && e->list[i].tensor.n_dims == 1;
        if (!is_slice && !strstr(name, "_flat_param")) continue;
        return mg_fail(MG_ECHECKPOINT,
                       "%s: %s: only one rank's slice of a model that FSDP cut up (%s.1 and so on hold the "
                       "others), for fsdp_best_state is empty: take a checkpoint that was written after a "
                       "validation, or let AudioCraft train this one on for an epoch",
                       path, name, mg_path_name(path));
    }
    return MG_OK;
}

/* Keys under which trainers keep what they train, the likeliest first. */
static const char *const state_keys[] = {"state_dict",    "model",   "module",    "model_state_dict", "lm",
                                         "lm_state_dict", "ema",     "ema_model", "generator",        "net",
                                         "network",       "weights", "params"};

/* The dict of tensors below one of these keys, or the only one there is below any key; NULL: none. */
static const mg_pickle_value *find_state(const mg_pickle_value *root, int depth, size_t *left)
{
    const mg_pickle_value *only = NULL;
    int n = 0;

    for (size_t i = 0; i < sizeof state_keys / sizeof *state_keys; i++) {
        const mg_pickle_value *v = mg_pickle_get(root, state_keys[i]);
        if (holds_tensor(v, left)) return v;
    }
    if (holds_tensor(root, left)) return root;
    for (size_t i = 0; depth > 0 && i < sizeof state_keys / sizeof *state_keys; i++) {
        const mg_pickle_value *v = mg_pickle_get(root, state_keys[i]);
        const mg_pickle_value *below = is_dict(v) ? find_state(v, depth - 1, left) : NULL;
        if (below) return below;
    }
    for (size_t i = 1; is_dict(root) && i < root->items.n; i += 2)
        if (holds_tensor(root->items.item[i], left)) only = root->items.item[i], n++;
    return n == 1 ? only : NULL;
}

/* A trainer's averaged copy: a dict of tensors below a key that says so ('ema_state_dict', or
 * callbacks.EMA.state_dict); *key is that key. */
static const mg_pickle_value *find_averaged(const mg_pickle_value *root, int depth, const char **key,
                                            size_t *left)
{
    for (size_t i = 0; is_dict(root) && i + 1 < root->items.n && may_look(left, 1); i += 2) {
        const mg_pickle_value *name = root->items.item[i], *v = root->items.item[i + 1];
        if (!is_dict(v) || name->kind != MG_PICKLE_STRING) continue;
        const mg_pickle_value *found = NULL;
        if (depth > 0) found = find_averaged(v, depth - 1, key, left);
        if (!found && mg_averaged_is_word(name->text.data, name->text.n)) {
            *key = name->text.data;
            found = find_state(v, 2, left);
        }
        if (found) return found;
    }
    return NULL;
}

/* What was saved in place of a dict of tensors, and what to save. */
static mg_status refuse_root(const mg_pickle_value *root, const char *path)
{
    const char *key, *remedy = "save the model's state_dict() by itself";
    char keys[256];

    if (mg_nameless_find(root, &key))
        return mg_fail(
            MG_ECHECKPOINT,
            "%s: an averaged copy without names (%.64s) and no model beside it: load it in Python, "
            "copy it into the model (torch-ema and diffusers: copy_to(model.parameters())) and %s",
            path, key, remedy);
    if (root->kind == MG_PICKLE_OBJECT && root->object.callable->kind == MG_PICKLE_GLOBAL)
        return mg_fail(MG_ECHECKPOINT, "%s: a Python object (%.64s.%.64s), whose code is not run: %s", path,
                       root->object.callable->global.module, root->object.callable->global.name, remedy);
    if (!is_dict(root))
        return mg_fail(
            MG_ECHECKPOINT, "%s: holds no dict of tensors, but a %s: %s", path,
            root->kind == MG_PICKLE_LIST || root->kind == MG_PICKLE_TUPLE ? "list" : "single value", remedy);
    for (size_t i = 0; i + 1 < root->items.n; i += 2)
        if (*mg_torch_file_odd_tensor(root->items.item[i + 1]))
            return mg_fail(MG_ECHECKPOINT, "%s: holds no tensor%s", path,
                           mg_torch_file_odd_tensor(root->items.item[i + 1]));
    list_keys(keys, sizeof keys, root);
    return mg_fail(MG_ECHECKPOINT, "%s: holds no weights that this program knows how to find%s%s: %s", path,
                   keys[0] ? "; its keys: " : "", keys, remedy);
}

/* Another dict below `v` with the same names as the state: its key. */
static const char *find_other(const mg_pickle_value *v, int depth, const mg_pickle_value *state, size_t *left)
{
    enum { SAMPLES = 8 };
    const size_t n = state->items.n / 2;

    for (size_t i = 0; is_dict(v) && i + 1 < v->items.n && may_look(left, 1); i += 2) {
        const mg_pickle_value *name = v->items.item[i], *other = v->items.item[i + 1];
        if (other == state || !is_dict(other) || name->kind != MG_PICKLE_STRING) continue;
        size_t n_same = 0;
        for (size_t k = 0; k < SAMPLES && may_look(left, other->items.n); k++) {
            const mg_pickle_value *key = state->items.item[k * n / SAMPLES * 2];
            n_same += key->kind == MG_PICKLE_STRING &&
                      mg_torch_file_is_tensor(mg_pickle_get(other, key->text.data));
        }
        if (n_same == SAMPLES) return name->text.data;
        const char *below = depth > 0 ? find_other(other, depth - 1, state, left) : NULL;
        if (below) return below;
    }
    return NULL;
}

/* What a file's weights are. */
typedef struct picked {
    const mg_pickle_value *state;    /* a dict of tensors; NULL: the file is a pointer */
    const mg_pickle_value *averaged; /* a dict, or a list in the order of the state; NULL: there is none */
    const char *key;                 /* of the averaged copy */
} picked;

/* A trainer's checkpoint, beside whose state may stand other weights. */
static mg_status look_beside(mg_torch_entries *out, picked *p, const mg_pickle_value *root, const char *path,
                             size_t *left)
{
    const char *current = "current_model_state"; /* Lightning's WeightAveraging: state_dict is averaged */
    mg_text note = {0};

    p->averaged = find_averaged(root, 2, &p->key, left);
    if (p->averaged == p->state) return p->averaged = NULL, MG_OK;
    if (p->averaged) return MG_OK;
    if (p->state == mg_pickle_get(root, "state_dict") && holds_tensor(mg_pickle_get(root, current), left))
        mg_text_format(&note, "state_dict holds the averaged weights, which are used; %s is left", current);
    else if ((p->averaged = mg_nameless_find(root, &p->key)))
        return MG_OK;
    else if ((current = find_other(root, 1, p->state, left)))
        mg_text_show(&note, "holds weights of the same names twice: those of %.64s are left", current);
    else
        return MG_OK;
    return mg_text_end(&note, &out->note, path);
}

static mg_status pick_state(mg_torch_entries *out, picked *p, const mg_pickle_value *root, const char *path)
{
    const mg_pickle_value *pointer = mg_pickle_get(root, "pretrained"),
                          *best = mg_pickle_get(root, "best_state");
    size_t left = MOST_LOOKS;

    *p = (picked){0};
    if (pointer && pointer->kind == MG_PICKLE_STRING) {
        out->kind = MG_CHECKPOINT_POINTER;
        out->pointer = pointer->text.data;
        return MG_OK;
    }
    if (holds_tensor(best, &left)) {
        p->state = best; /* an export */
        return MG_OK;
    }
    if (is_dict(best) || mg_pickle_get(root, "fsdp_best_state")) {
        out->kind = MG_CHECKPOINT_TRAINING;
        p->state = training_state(root);
        MG_RETURN(check_name(path));
        if (is_filled(p->state)) return MG_OK;
        return mg_fail(MG_ECHECKPOINT,
                       "%s: a training checkpoint whose best state is still empty: take one that was "
                       "written after a validation",
                       path);
    }
    p->state = find_state(root, 2, &left);
    return p->state ? look_beside(out, p, root, path, &left) : refuse_root(root, path);
}

/* A tensor that lies in another order is copied into the right one. */
static mg_status copy_tensor(mg_torch_entries *out, mg_torch_entry *e, const mg_torch_tensor *t,
                             size_t *left_bytes, const char *path)
{
    const size_t bytes = (size_t)mg_torch_tensor_count(t) * mg_dtype_bytes(t->dtype);

    if (bytes > *left_bytes)
        return mg_fail(MG_ECHECKPOINT,
                       "%s: %s: an expanded tensor of %zu bytes, more than the file itself holds", path,
                       e->name, bytes);
    *left_bytes -= bytes;
    void *copy = out->copies[out->n_copies] = malloc(bytes);
    if (!copy) return mg_fail(MG_ENOMEM, "%s: %s: no memory for %zu bytes", path, e->name, bytes);
    out->n_copies++;
    mg_torch_tensor_copy(copy, t);
    e->tensor.data = copy;
    e->in_memory = true;
    return MG_OK;
}

static mg_status read_tensor(mg_torch_entries *out, const mg_torch_file *f, const mg_pickle_value *key,
                             const mg_pickle_value *v, size_t *left_bytes, const char *path)
{
    mg_torch_entry *e = &out->list[out->n];
    mg_torch_tensor t;

    if (key->kind != MG_PICKLE_STRING || strlen(key->text.data) != key->text.n || !key->text.n)
        return mg_fail(MG_ECHECKPOINT, "%s: a tensor whose name is no text", path);
    if (!mg_torch_file_is_tensor(v)) {
        const char *name = key->text.data, *dot = strrchr(name, '.'), *what = mg_torch_file_odd_tensor(v);
        /* a count of steps and the like: no weight is lost with it */
        if (v->kind == MG_PICKLE_NONE || v->kind == MG_PICKLE_BOOL || v->kind == MG_PICKLE_INT ||
            v->kind == MG_PICKLE_FLOAT)
            return MG_OK;
        if (mg_key_map_is_ignorable(name) || !strcmp(dot ? dot + 1 : name, "_extra_state")) return MG_OK;
        return mg_fail(MG_ECHECKPOINT, "%s: %s: not a tensor%s", path, name, what);
    }
    e->name = key->text.data;
    MG_RETURN(mg_torch_file_tensor(f, &t, e->name, v));
    if (t.n_dims > MG_MAX_DIMS)
        return mg_fail(MG_ECHECKPOINT, "%s: %s: more than %d dimensions are not supported", path, e->name,
                       MG_MAX_DIMS);
    e->tensor = (mg_tensor){.data = (void *)(uintptr_t)t.data, .dtype = t.dtype, .n_dims = t.n_dims};
    for (int d = 0; d < MG_MAX_DIMS; d++) e->tensor.dim[d] = d < t.n_dims ? t.dim[d] : 1;
    if (!mg_torch_tensor_is_contiguous(&t)) MG_RETURN(copy_tensor(out, e, &t, left_bytes, path));
    out->n++;
    return MG_OK;
}

/* 'xp.cfg' as text. One that is no text and no omegaconf object is left out: the exporter tells why. */
static void read_xp_config(mg_torch_entries *out, const mg_pickle_value *v, const char *path)
{
    if (v && v->kind == MG_PICKLE_STRING) out->xp_config = v->text.data;
    if (!mg_omegaconf_is(v)) return;
    if (mg_omegaconf_to_yaml(&out->xp_text, path, v) == MG_OK)
        out->xp_config = out->xp_text;
    else
        mg_clear_error();
}

/* A tensor behind the others, as KEY.NAME where there is a key. */
static mg_status read_named(mg_torch_entries *out, const mg_torch_file *f, const mg_pickle_value *name,
                            const mg_pickle_value *v, const char *key, size_t *left_bytes, const char *path)
{
    const size_t n = out->n;
    mg_text full = {0};

    MG_RETURN(read_tensor(out, f, name, v, left_bytes, path));
    if (!key || out->n == n) return MG_OK;
    mg_text_format(&full, "%s.%s", key, out->list[n].name);
    MG_RETURN(mg_text_end(&full, &out->names[out->n_names], path));
    out->list[n].name = out->names[out->n_names++];
    return MG_OK;
}

static mg_status read_state(mg_torch_entries *out, const mg_torch_file *f, const mg_pickle_value *state,
                            const char *key, size_t *left_bytes, const char *path)
{
    for (size_t i = 0; i + 1 < state->items.n; i += 2)
        MG_RETURN(read_named(out, f, state->items.item[i], state->items.item[i + 1], key, left_bytes, path));
    return MG_OK;
}

/* A list takes the names of the state, where order and shapes are the same; else it is left, and that is
 * said.
 */
static mg_status read_list(mg_torch_entries *out, const mg_torch_file *f, const picked *p, size_t *left_bytes,
                           const char *path)
{
    mg_status st = MG_OK;
    mg_text note = {0};
    const size_t n = out->n;
    size_t *of = calloc(n + 1, sizeof *of);

    if (!of) return mg_fail(MG_ENOMEM, "%s: %zu tensors", path, n);
    if (mg_nameless_match(of, f, p->averaged, out->list, n)) {
        for (size_t i = 0; i < p->averaged->items.n; i++) {
            const char *name = out->list[of[i]].name;
            const mg_pickle_value text = {.kind = MG_PICKLE_STRING, .text = {name, strlen(name)}};
            MG_TRY(read_named(out, f, &text, p->averaged->items.item[i], p->key, left_bytes, path));
        }
    } else {
        mg_text_format(
            &note,
            "its averaged copy (%.64s, %zu tensors) has no names, and its order and shapes are not "
            "those of the %zu tensors beside it: these are used; to use the copy, put it into the "
            "model in Python and save the model's state_dict()",
            p->key, p->averaged->items.n, n);
        MG_TRY(mg_text_end(&note, &out->note, path));
    }
done:
    free(of);
    return st;
}

mg_status mg_torch_entries_read(mg_torch_entries *out, const mg_torch_file *f, const char *path)
{
    mg_status st = MG_OK;
    picked p;
    size_t left_bytes = mg_torch_file_bytes(f);

    *out = (mg_torch_entries){0};
    if (left_bytes < COPY_FLOOR_BYTES) left_bytes = COPY_FLOOR_BYTES;
    MG_TRY(pick_state(out, &p, mg_torch_file_root(f), path));
    read_xp_config(out, mg_pickle_get(mg_torch_file_root(f), "xp.cfg"), path);
    if (!p.state) return MG_OK;
    const bool is_dict = p.averaged && p.averaged->kind == MG_PICKLE_DICT;
    const size_t n_averaged = !p.averaged ? 0 : is_dict ? p.averaged->items.n / 2 : p.averaged->items.n;
    const size_t n = p.state->items.n / 2 + n_averaged;
    out->list = calloc(n + 1, sizeof *out->list);
    out->copies = calloc(n + 1, sizeof *out->copies);
    out->names = calloc(n_averaged + 1, sizeof *out->names);
    if (!out->list || !out->copies || !out->names) MG_TRY(mg_fail(MG_ENOMEM, "%s: %zu tensors", path, n));
    MG_TRY(read_state(out, f, p.state, NULL, &left_bytes, path));
    if (is_dict) MG_TRY(read_state(out, f, p.averaged, p.key, &left_bytes, path));
    if (p.averaged && !is_dict) MG_TRY(read_list(out, f, &p, &left_bytes, path));
    if (out->kind == MG_CHECKPOINT_TRAINING) MG_TRY(check_whole(out, path));
done:
    if (st != MG_OK) mg_torch_entries_close(out);
    return st;
}

void mg_torch_entries_close(mg_torch_entries *e)
{
    for (size_t i = 0; i < e->n_copies; i++) free(e->copies[i]);
    for (size_t i = 0; i < e->n_names; i++) free(e->names[i]);
    free(e->names);
    free(e->copies);
    free(e->list);
    free(e->note);
    free(e->xp_text);
    *e = (mg_torch_entries){0};
}
