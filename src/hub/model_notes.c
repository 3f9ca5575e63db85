#include "model_notes.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "config_keys.h"
#include "json.h"
#include "log.h"
#include "utf8.h"

/* FOLDER/NAME parsed; NULL if it is not there. */
static mg_status load(cJSON **root, char path[MG_PATH_SIZE], const char *folder, const char *name)
{
    *root = NULL;
    MG_RETURN(mg_path_format(path, "%s/%s", folder, name));
    return mg_path_exists(path) ? mg_json_load(root, path) : MG_OK;
}

static mg_status check_file(mg_text *notes, mg_keys_file file, const mg_keys_facts *facts, const char *folder,
                            const char *name)
{
    char path[MG_PATH_SIZE];
    cJSON *root;

    MG_RETURN(load(&root, path, folder, name));
    const mg_status st = mg_config_keys_check(notes, file, facts, root, path);
    cJSON_Delete(root);
    return st;
}

static mg_status check_section(mg_text *notes, mg_keys_file file, const mg_keys_facts *facts,
                               const cJSON *root, const char *path, const char *key)
{
    char name[MG_PATH_SIZE];

    MG_RETURN(mg_path_format(name, "%.*s: %s", mg_utf8_fit(path, 4000), path, key));
    return mg_config_keys_check(notes, file, facts, cJSON_GetObjectItemCaseSensitive(root, key), name);
}

/* A config.json, whatever it is of; of a whole model the section that the part is read from. */
static mg_status check_config(mg_text *notes, mg_keys_file part, const mg_keys_facts *facts,
                              const char *folder)
{
    static const char *const sections[] = {
        [MG_KEYS_T5] = "text_encoder", [MG_KEYS_CODEC] = "audio_encoder", [MG_KEYS_DECODER] = "decoder"};
    mg_status st = MG_OK;
    char path[MG_PATH_SIZE];
    cJSON *root;

    MG_RETURN(load(&root, path, folder, "config.json"));
    const char *section = sections[part];
    if (!cJSON_GetObjectItemCaseSensitive(root, section)) {
        st = mg_config_keys_check(notes, part, facts, root, path);
    } else {
        if (part == MG_KEYS_DECODER) MG_TRY(mg_config_keys_check(notes, MG_KEYS_MODEL, facts, root, path));
        MG_TRY(check_section(notes, part, facts, root, path, section));
    }
    if (part == MG_KEYS_DECODER && !mg_path_has(folder, "generation_config.json")) {
        MG_TRY(mg_config_keys_check_legacy(notes, facts, root, path));
        MG_TRY(
            mg_config_keys_check_legacy(notes, facts, cJSON_GetObjectItemCaseSensitive(root, section), path));
    }
done:
    cJSON_Delete(root);
    return st;
}

static mg_status check_part(mg_text *notes, mg_keys_file part, const mg_keys_facts *facts,
                            const mg_model_part *files)
{
    char folder[MG_PATH_SIZE];

    if (!files->checkpoint) return MG_OK;
    const char *yaml = mg_checkpoint_xp_config(files->checkpoint);
    if (yaml && part == MG_KEYS_CODEC)
        return mg_config_keys_check_xp(notes, MG_KEYS_XP_CODEC, yaml, files->path);
    MG_RETURN(mg_path_as_folder(folder, files->path));
    return check_config(notes, part, facts, folder);
}

static mg_status check_lm(mg_text *notes, const mg_keys_facts *facts, const mg_model_files *f)
{
    const char *folder = f->lm_folder;

    if (f->lm_yaml) return mg_config_keys_check_xp(notes, MG_KEYS_XP_LM, f->lm_yaml, f->lm.path);
    if (!*folder) return MG_OK;
    MG_RETURN(check_config(notes, MG_KEYS_DECODER, facts, folder));
    MG_RETURN(check_file(notes, MG_KEYS_GENERATION, facts, folder, "generation_config.json"));
    MG_RETURN(check_file(notes, MG_KEYS_PROCESSOR, facts, folder, "preprocessor_config.json"));
    return check_file(notes, MG_KEYS_PROCESSOR, facts, folder, "processor_config.json");
}

/* Which of two copies of a part's weights is used; parts may lie in one file. */
static void check_choices(mg_text *notes, const mg_model_files *f)
{
    const mg_checkpoint *part[] = {f->lm.checkpoint, f->t5.checkpoint, f->codec.checkpoint};

    for (int i = 0; i < 3; i++) {
        const char *choice = part[i] ? mg_checkpoint_choice(part[i]) : NULL;
        if (!choice || (i > 0 && part[i] == part[i - 1])) continue;
        mg_text_format(notes, "%s%s", notes->n ? "\n" : "", choice);
    }
}

/* transformers would merge an adapter that lies beside the weights, where PEFT is installed. */
static mg_status check_adapter(mg_text *notes, const mg_keys_facts *facts, const mg_model_files *f)
{
    char folder[MG_PATH_SIZE];

    if (*f->lora_folder)
        return check_file(notes, MG_KEYS_ADAPTER, facts, f->lora_folder, "adapter_config.json");
    if (!f->lm.checkpoint) return MG_OK;
    MG_RETURN(mg_path_as_folder(folder, f->lm.path));
    if (mg_path_has(folder, "adapter_config.json"))
        mg_text_format(
            notes,
            "%s%s: an adapter lies beside the weights (adapter_config.json), and is not used: --lora "
            "%s merges it",
            notes->n ? "\n" : "", folder, folder);
    return MG_OK;
}

mg_status mg_model_notes(mg_text *notes, const mg_model_files *f)
{
    const mg_keys_facts facts = {f->config.lm.V, f->config.codec.sampling_rate, f->config.lm.n_chroma,
                                 f->config.lm.n_channels};

    check_choices(notes, f);
    MG_RETURN(check_adapter(notes, &facts, f));
    MG_RETURN(check_lm(notes, &facts, f));
    MG_RETURN(check_part(notes, MG_KEYS_T5, &facts, &f->t5));
    MG_RETURN(check_part(notes, MG_KEYS_CODEC, &facts, &f->codec));
    if (!*f->tokenizer || !mg_path_is_folder(f->tokenizer)) return mg_text_check(notes, "model");
    MG_RETURN(check_file(notes, MG_KEYS_TOKENIZER_CONFIG, &facts, f->tokenizer, "tokenizer_config.json"));
    MG_RETURN(check_file(notes, MG_KEYS_TOKENIZER_JSON, &facts, f->tokenizer, "tokenizer.json"));
    return check_file(notes, MG_KEYS_TOKENS_MAP, &facts, f->tokenizer, "special_tokens_map.json");
}

void mg_model_notes_say(const mg_model_files *files)
{
    mg_text notes = {0};

    if (mg_model_notes(&notes, files) != MG_OK) mg_clear_error();
    for (char *at = notes.data; at && *at;) {
        const size_t n = strcspn(at, "\n");
        const bool more = at[n] == '\n';
        at[n] = '\0';
        mg_log_warn("%s", at);
        at += n + more;
    }
    mg_text_reset(&notes);
}
