/* A plan for programs. */
#include <stdlib.h>

#include "json_text.h"
#include "plan_fit.h"
#include "planning.h"

static const char *const part_name[MG_PREDICT_PARTS] = {"products_s", "attention_s", "all_reduce_s",
                                                        "sampling_s", "launches_s",  "outside_s"};

static void put_layout(mg_json_text *t, const mg_planning *p, int i)
{
    const mg_planning_layout *l = &p->layout[i];

    mg_json_text_object(t, NULL);
    mg_json_text_int(t, "tp", l->tp);
    mg_json_text_int(t, "replicas", l->n_replicas);
    mg_json_text_int(t, "batch", l->n_clips);
    mg_json_text_bool(t, "fits", l->fits);
    mg_json_text_int(t, "layers_outside", l->n_outside);
    mg_json_text_number(t, "leader_bytes", l->leader_bytes);
    mg_json_text_number(t, "other_bytes", l->other_bytes);
    mg_json_text_number(t, "step_s", l->times.step_s);
    for (int k = 0; k < MG_PREDICT_PARTS; k++) mg_json_text_number(t, part_name[k], l->times.part_s[k]);
    mg_json_text_number(t, "clips_h", l->clips_h);
    mg_json_text_number(t, "run_s", l->run_s);
    mg_json_text_number(t, "node_hours", l->node_h);
    mg_json_text_bool(t, "chosen", i == p->chosen);
    mg_json_text_bool(t, "unasked", i == p->unasked);
    mg_json_text_close(t);
}

static void put_memory(mg_json_text *t, const mg_planning *p, const mg_planning_memory *m)
{
    const mg_replica_bytes *b = &m->leader;
    const int64_t most = mg_plan_most_outside(&p->config.lm, &p->formats);

    mg_json_text_object(t, NULL);
    mg_json_text_int(t, "tp", m->tp);
    mg_json_text_int(t, "leader_bytes", (int64_t)mg_replica_bytes_all(b));
    mg_json_text_int(t, "half_outside_bytes", (int64_t)mg_planning_outside_bytes(b, p->config.lm.L / 2));
    mg_json_text_int(t, "all_outside_bytes", (int64_t)mg_planning_outside_bytes(b, most));
    mg_json_text_int(t, "layer_bytes", (int64_t)b->lm_layer.all_bytes);
    mg_json_text_close(t);
}

static void put_machine(mg_json_text *t, const mg_predict_machine *m)
{
    mg_json_text_object(t, "machine");
    mg_json_text_string(t, "name", m->name);
    mg_json_text_number(t, "read_bytes_s", m->read_bytes_s);
    mg_json_text_number(t, "attend_bytes_s", m->attend_bytes_s);
    mg_json_text_number(t, "product_flop_s", m->product_flop_s);
    mg_json_text_number(t, "launch_s", m->launch_s);
    mg_json_text_number(t, "reduce_s", m->reduce_s);
    mg_json_text_number(t, "reduce_bytes_s", m->reduce_bytes_s);
    mg_json_text_number(t, "draw_s", m->draw_s);
    mg_json_text_number(t, "decode_sound_s", m->decode_sound_s);
    mg_json_text_number(t, "decode_lot_s", m->decode_lot_s);
    mg_json_text_int(t, "decoded_at_once", m->n_decoded);
    mg_json_text_number(t, "text_s", m->text_s);
    mg_json_text_array(t, "rates");
    for (int i = 0; i < m->n_rates; i++) {
        mg_json_text_object(t, NULL);
        mg_json_text_int(t, "rows", m->rate[i].n_rows);
        mg_json_text_number(t, "bytes_s", m->rate[i].bytes_s);
        mg_json_text_close(t);
    }
    mg_json_text_close(t);
    mg_json_text_close(t);
}

static void put_sentence(mg_json_text *t, const char *key, const mg_planning *p,
                         void (*say)(mg_text *, const mg_planning *))
{
    mg_text sentence = {0};

    say(&sentence, p);
    mg_json_text_string(t, key, sentence.data);
    mg_text_reset(&sentence);
}

mg_status mg_planning_print_json(mg_text *out, const mg_planning *p)
{
    const mg_planning_settings *s = p->settings;
    mg_json_text t = {.layout = MG_JSON_LINE};
    char *text = NULL;

    mg_json_text_object(&t, NULL);
    mg_json_text_int(&t, "clips", s->n_clips);
    mg_json_text_int(&t, "nodes", s->n_nodes);
    mg_json_text_int(&t, "ranks_per_node", s->n_per_node);
    mg_json_text_number(&t, "duration_s", s->dur_s);
    mg_json_text_number(&t, "memory_bytes", p->memory_bytes);
    mg_json_text_number(&t, "sound_bytes", mg_planning_sound_bytes(p));
    mg_json_text_string(&t, "dtype", mg_format_name(p->formats.weights));
    mg_json_text_string(&t, "kv", mg_format_name(p->formats.kv));
    put_machine(&t, &p->machine);
    mg_json_text_array(&t, "memory");
    for (int i = 0; i < p->n_memories; i++) put_memory(&t, p, &p->memory[i]);
    mg_json_text_close(&t);
    mg_json_text_array(&t, "layouts");
    for (int i = 0; i < p->n_layouts; i++) put_layout(&t, p, i);
    mg_json_text_close(&t);
    if (p->chosen >= 0) put_sentence(&t, "why", p, mg_planning_why);
    if (p->chosen >= 0) put_sentence(&t, "twice_as_fast", p, mg_planning_faster);
    mg_json_text_close(&t);
    MG_RETURN(mg_json_text_end(&t, &text));
    mg_text_format(out, "%s\n", text);
    free(text);
    return MG_OK;
}
