/* What the checks of `doctor` share. */
#ifndef MG_DOCTOR_H
#define MG_DOCTOR_H

#include "cli.h"
#include "machine.h"
#include "world.h"

typedef struct mg_doctor_settings {
    const char *model; /* NULL: none */
    mg_machine machine;
} mg_doctor_settings;

typedef enum mg_doctor_verdict { MG_DOCTOR_FINE, MG_DOCTOR_NOTE, MG_DOCTOR_BAD } mg_doctor_verdict;

typedef struct mg_doctor {
    mg_world *world;
    const mg_doctor_settings *settings;
    mg_backend backend, beside;          /* after check_machine; ops NULL: none could be opened */
    const struct mg_cuda_plugin *plugin; /* after check_gpu, on rank 0 where there are devices; borrowed */
    bool has_no_gpu; /* after check_gpu: --device cuda, and a rank has none; all ranks know it */
    bool is_stuck;   /* after try_peers: a device never ends what it does */
    int n_bad;
} mg_doctor;

/* One line, "ok", "note" or "BAD" first. Rank 0 prints; a fault that another rank alone knows comes as an
 * error message of its own. */
void mg_doctor_say(mg_doctor *d, mg_doctor_verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* From now on, and from each `next` on, the process ends with a verdict of its own after most_s seconds. `at`
 * is what begins; borrowed. */
void mg_doctor_limit_begin(int rank, double most_s);
void mg_doctor_limit_next(const char *at);
void mg_doctor_limit_end(void);

/* Driver, CUDA, NCCL, devices and how they reach each other. A rank without a GPU is a note, or bad if
 * --device cuda was given. Collective; an error is a finding. */
mg_status mg_doctor_check_gpu(mg_doctor *d);

/* Opens what a run would compute with; on a GPU also compares it with the CPU, and times a sum over the
 * group. */
mg_status mg_doctor_check_machine(mg_doctor *d);

/* Copies between the devices of this host, by one rank alone: with several the sum over them tells. The last
 * check, since a copy that never ends keeps its device. */
void mg_doctor_try_peers(mg_doctor *d);

/* The plan for a clip of 30 s. */
mg_status mg_doctor_check_model(mg_doctor *d);

void mg_doctor_close(mg_doctor *d);

#endif
