#include "model_survey.h"

#include <stdlib.h>

#include "comm.h"
#include "encodec.h"
#include "lm.h"
#include "style.h"
#include "t5.h"

typedef struct survey {
    mg_weights_requests requests; /* what the architecture needs */
    mg_mapping_report report;     /* missing, unexpected and misshapen tensors */
    char *problems;               /* what a stage cannot compute, a line each; NULL if nothing */
} survey;

static mg_status survey_parts(const mg_model_files *f, mg_weights *w, mg_comm *alone)
{
    mg_t5 *t5 = NULL;
    mg_lm *lm = NULL;
    mg_encodec *codec = NULL;
    mg_style *style = NULL;
    mg_status st = MG_OK;

    if (f->t5.checkpoint) {
        w->checkpoint = f->t5.checkpoint;
        w->prefix = f->t5.prefix;
        MG_TRY(mg_t5_load(&t5, &f->config.t5, w));
    }
    if (f->lm.checkpoint) {
        w->checkpoint = f->lm.checkpoint;
        w->prefix = f->lm.prefix;
        MG_TRY(mg_lm_load(&lm, &f->config.lm, (mg_lm_formats){MG_FORMAT_F32, MG_FORMAT_F32}, alone, w));
    }
    if (f->codec.checkpoint) {
        w->checkpoint = f->codec.checkpoint;
        w->prefix = f->codec.prefix;
        MG_TRY(mg_encodec_load(&codec, &f->config.codec, MG_ENCODEC_DECODER | MG_ENCODEC_ENCODER, w));
    }
    if (f->mert.checkpoint) {
        w->checkpoint = f->lm.checkpoint;
        w->prefix = MG_STYLE_PREFIX;
        MG_TRY(mg_style_load(&style, &f->config.style, w, f->mert.checkpoint, f->mert.prefix));
    }
done:
    mg_t5_close(t5);
    mg_lm_close(lm);
    mg_encodec_close(codec);
    mg_style_close(style);
    return st;
}

static void close_survey(survey *s)
{
    mg_mapping_report_close(&s->report);
    mg_weights_requests_close(&s->requests);
    free(s->problems);
    s->problems = NULL;
}

/* A tensor's fault goes into the report and is no failure here. */
static mg_status open_survey(survey *s, const mg_model_files *files, const mg_ops *ops)
{
    mg_arena measure = mg_arena_measure("survey");
    mg_comm *alone = NULL;
    mg_status st = MG_OK;
    mg_weights w;

    *s = (survey){0};
    mg_weights_init(&w, ops, NULL, &measure, "");
    w.requests = &s->requests;
    MG_TRY(mg_comm_self_open(&alone));
    alone->space = ops->space; /* a survey moves no numbers */
    MG_TRY(survey_parts(files, &w, alone));
    MG_TRY(mg_mapping_report_make(&s->report, &s->requests));
    s->problems = w.problems.data;
    w.problems = (mg_text){0};
done:
    mg_weights_close(&w);
    mg_comm_close(alone);
    if (st != MG_OK) close_survey(s);
    return st;
}

mg_status mg_model_survey_judge(mg_model_files *files, const mg_ops *ops, mg_mapping_renames *renames)
{
    const size_t n_before = renames ? renames->n : 0;
    survey s = {0};
    mg_status st = MG_OK;

    MG_TRY(mg_model_files_check_tensors(files));
    MG_TRY(open_survey(&s, files, ops));
    if (renames) {
        MG_TRY(mg_mapping_report_apply(&s.report, files->opened, files->n_opened, renames));
        if (renames->n > n_before) {
            close_survey(&s);
            MG_TRY(open_survey(&s, files, ops));
            MG_TRY(mg_mapping_report_forgive(&s.report, renames));
        }
    }
    MG_TRY(mg_mapping_report_check(&s.report, s.problems));
done:
    close_survey(&s);
    return st;
}
