/* Records that are JSON: an object or a text a line, or the elements of an array. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job_reader_impl.h"
#include "json.h"

static mg_status skip_blanks(mg_job_bytes *b)
{
    for (;;) {
        MG_RETURN(mg_job_bytes_need(b, 1));
        if (b->at == b->n || !b->data[b->at] || !strchr(" \t\r\n", b->data[b->at])) return MG_OK;
        b->line += b->data[b->at++] == '\n';
    }
}

mg_status mg_job_begin_array(mg_job_reader *r)
{
    MG_RETURN(skip_blanks(&r->bytes));
    r->bytes.at++;
    return MG_OK;
}

/* The element of an array before `at`, and the ',' or ']' behind it. */
static mg_status next_value(mg_job_reader *r, mg_job_piece *piece)
{
    mg_job_bytes *b = &r->bytes;

    *piece = (mg_job_piece){0};
    MG_RETURN(skip_blanks(b));
    const mg_status st = mg_job_bytes_cut(b, piece, MG_JOB_VALUE);
    if (st != MG_OK || !piece->text) {
        r->array_over = b->at == b->n && b->ended;
        return st != MG_OK
                   ? st
                   : mg_fail(MG_EUSAGE, "%s: line %lld: the array has no end", b->name, (long long)b->line);
    }
    r->array_over = b->data[b->at] == ']';
    b->data[b->at++] = '\0';
    return MG_OK;
}

/* Behind the array nothing but blanks. */
static mg_status end_array(mg_job_reader *r)
{
    mg_job_bytes *b = &r->bytes;

    MG_RETURN(skip_blanks(b));
    if (b->at == b->n) return MG_OK;
    b->at = b->n, b->ended = true;
    return mg_fail(MG_EUSAGE, "%s: line %lld: something stands behind the array", b->name,
                   (long long)b->line);
}

static mg_status next_element(mg_job_reader *r, mg_job_piece *piece, bool *over)
{
    if (!r->array_over) {
        MG_RETURN(next_value(r, piece));
        if (!mg_job_is_blank(piece)) {
            for (char *p = piece->text; *p; p++) {
                if (*p == '\n' || *p == '\r') *p = ' '; /* in a string it would be refused anyway */
            }
            r->has_element = true;
            return mg_job_check_text(r, piece);
        }
        if (!r->array_over || r->has_element)
            return mg_fail(MG_EUSAGE, "%s: line %lld: nothing %s", r->bytes.name, (long long)piece->line,
                           r->array_over ? "between a comma and the end of the array" : "between two commas");
    }
    MG_RETURN(end_array(r));
    *over = true;
    return MG_OK;
}

/* What `key` holds stands for `name`: a text or a whole number; null says nothing. */
static mg_status rename_key(mg_json_text *t, const char *name, const char *key, const cJSON *object,
                            const char *where)
{
    const cJSON *found = NULL;
    int64_t whole;
    char number[MG_JSON_SHOWN];

    for (const cJSON *item = object->child; item; item = item->next) {
        if (strcmp(item->string, key) != 0) continue;
        if (found) return mg_fail(MG_EUSAGE, "%s: %.64s: given twice", where, key);
        found = item;
    }
    if (!found) return mg_fail(MG_EUSAGE, "%s: there is no key \"%.64s\"; null is no text", where, key);
    if (cJSON_IsNull(found)) return MG_OK;
    if (!cJSON_IsString(found) && !mg_json_exact_int(found, &whole)) {
        mg_json_show(number, found);
        return mg_fail(MG_EUSAGE, "%s: %.64s: %s: must be a text", where, key, number);
    }
    if (!cJSON_IsString(found)) snprintf(number, sizeof number, "%lld", (long long)whole);
    mg_json_text_string(t, name, cJSON_IsString(found) ? found->valuestring : number);
    return MG_OK;
}

/* Of an object whose keys have other names, what they stand for. A key that is asked for by its name must be
 * there: without a prompt it would be a clip without text. */
static mg_status rename_keys(mg_job_reader *r, mg_job_record *record)
{
    const char *prompt = r->prompt_column ? r->prompt_column : "prompt";
    const char *id = r->id_column ? r->id_column : "id";
    char where[MG_JOB_WHERE_SIZE];
    cJSON *object = NULL;
    mg_json_text t = {0};

    mg_job_where(where, r->bytes.name, record->line);
    mg_status st = mg_json_parse(&object, where, record->text, record->bytes);
    if (st == MG_ECHECKPOINT) st = MG_EUSAGE; /* JSON's reader takes all for checkpoints */
    MG_TRY(st);
    if (!cJSON_IsObject(object)) MG_TRY(mg_fail(MG_EUSAGE, "%s: not a JSON object", where));
    mg_json_text_object(&t, NULL);
    MG_TRY(rename_key(&t, "prompt", prompt, object, where));
    if (r->id_column || cJSON_HasObjectItem(object, id)) MG_TRY(rename_key(&t, "id", id, object, where));
    free(r->line); /* it may be the record's */
    r->line = NULL;
    st = mg_job_end_record(r, record, &t, record->line);
done:
    mg_text_reset(&t.text);
    cJSON_Delete(object);
    return st;
}

/* A text in an array, or in a line, is a prompt. */
static mg_status wrap_text(mg_job_reader *r, mg_job_record *record, const mg_job_piece *piece)
{
    mg_json_text t = {0};
    cJSON *text;

    mg_status st = mg_json_parse(&text, r->bytes.name, piece->text, (int64_t)piece->bytes);
    if (st == MG_ECHECKPOINT)
        return mg_fail(MG_EUSAGE, "%s: line %lld: a text that is not JSON", r->bytes.name,
                       (long long)piece->line);
    MG_RETURN(st);
    mg_json_text_object(&t, NULL);
    mg_json_text_string(&t, "prompt", text->valuestring);
    cJSON_Delete(text);
    return mg_job_end_record(r, record, &t, piece->line);
}

/* An object that was laid out over several lines is none of JSON lines. */
static mg_status check_whole(const mg_job_reader *r, const mg_job_piece *piece)
{
    const char *begin = mg_job_skip(piece->text, piece->text + piece->bytes);
    size_t n = piece->bytes;

    while (n > 0 && strchr(" \t\r", piece->text[n - 1])) n--;
    if (*begin != '{' || (n > 0 && piece->text[n - 1] == '}')) return MG_OK;
    if (n > 1 && piece->text[n - 1] == ',' && piece->text[n - 2] == '}')
        return mg_fail(
            MG_EUSAGE,
            "%s: line %lld: a comma behind the object: JSON lines have none; with commas it is an array: "
            "[{…}, {…}]",
            r->bytes.name, (long long)piece->line);
    return mg_fail(
        MG_EUSAGE,
        "%s: line %lld: not JSON: the object does not end in its line; write each on a line of its "
        "own, or all of them in an array: [{…}, {…}]",
        r->bytes.name, (long long)piece->line);
}

/* An object without a prompt, but with a caption or a text, as a table's column may be called: that is its
 * prompt. *record stays empty if it is none. */
static mg_status take_caption(mg_job_reader *r, mg_job_record *record, const mg_job_piece *piece)
{
    static const char *const names[] = {"caption", "text"};
    cJSON *found = NULL;
    int n = 0;

    *record = (mg_job_record){0};
    if (!memmem(piece->text, piece->bytes, "\"caption\"", 9) &&
        !memmem(piece->text, piece->bytes, "\"text\"", 6))
        return MG_OK;
    cJSON *object;
    if (mg_json_parse(&object, r->bytes.name, piece->text, (int64_t)piece->bytes) != MG_OK) {
        mg_clear_error(); /* who reads the record says what is wrong with it */
        return MG_OK;
    }
    for (int i = 0; i < 2; i++) {
        cJSON *item = cJSON_GetObjectItemCaseSensitive(object, names[i]);
        if (cJSON_IsString(item)) found = item, n++;
    }
    if (n == 1 && !cJSON_GetObjectItemCaseSensitive(object, "prompt")) {
        cJSON *prompt = cJSON_DetachItemViaPointer(object, found);
        if (cJSON_AddItemToObject(object, "prompt", prompt)) r->line = cJSON_PrintUnformatted(object);
        if (!r->line) {
            cJSON_Delete(object);
            return mg_fail(MG_ENOMEM, "%s: %zu bytes", r->bytes.name, piece->bytes);
        }
        *record = (mg_job_record){r->line, (int64_t)strlen(r->line), piece->line};
    }
    cJSON_Delete(object);
    return MG_OK;
}

mg_status mg_job_next_object(mg_job_reader *r, mg_job_record *record, bool *over)
{
    mg_job_piece piece = {0};

    MG_RETURN(r->in_array ? next_element(r, &piece, over) : mg_job_next_piece(r, &piece));
    *over = *over || !piece.text;
    if (*over) return MG_OK;
    if (*mg_job_skip(piece.text, piece.text + piece.bytes) == '"') return wrap_text(r, record, &piece);
    if (!r->in_array) MG_RETURN(check_whole(r, &piece));
    if (!r->prompt_column) MG_RETURN(take_caption(r, record, &piece));
    if (!record->text) *record = (mg_job_record){piece.text, (int64_t)piece.bytes, piece.line};
    if (!r->prompt_column && !r->id_column) return MG_OK;
    return rename_keys(r, record);
}
