/* mg-dist inspect: what a file or folder is, and whether generate would load it. */
#include <stdlib.h>

#include "cli.h"
#include "cpu.h"
#include "inspect.h"
#include "model_options.h"

#define AT(field) offsetof(mg_inspect_settings, field)

/* clang-format off */
static const mg_option options[] = {
    {.name = "MODEL", .type = MG_OPT_STRING, .is_operand = true, .offset = AT(source), .group = "Operand",
     .help = "a folder, a weight file or the id of a cached model"},
    {.name = "keys", .type = MG_OPT_FLAG, .offset = AT(keys), .group = "Output",
     .help = "list every tensor: its name in the file, dtype, shape, and the name it goes to"},
    {.name = "json", .type = MG_OPT_FLAG, .offset = AT(json), .group = "Output",
     .help = "print one JSON object instead of tables"},
    MG_PART_OPTIONS(mg_inspect_settings, parts),
};
/* clang-format on */

static mg_status inspect(const mg_inspect_settings *settings, const mg_backend *backend)
{
    mg_status st = MG_OK;
    mg_inspection *i = calloc(1, sizeof *i);

    if (!i) return mg_fail(MG_ENOMEM, "inspect: %zu bytes", sizeof *i);
    i->settings = settings;
    i->backend = *backend;
    MG_TRY(mg_inspection_open(i));
    if (settings->json)
        MG_TRY(mg_inspection_print_json(i));
    else
        mg_inspection_print(i);
    if (!i->is_sound) {
        fflush(stdout);
        st = mg_fail(MG_ECHECKPOINT, "inspect: %s: not as it should be; see above", settings->source);
    }
done:
    mg_inspection_close(i);
    free(i);
    return st;
}

static mg_status run(mg_context *context, const void *settings)
{
    mg_world *world = context->world;
    mg_status st = MG_OK;
    mg_backend backend = {0};
    mg_machine machine = {.threads = 1,
                          .device = MG_MACHINE_CPU,
                          .cpu_level = (int)mg_cpu_best_level()}; /* of this rank alone */
    mg_comm *alone = NULL;

    if (world->rank == 0) {
        MG_TRY(mg_comm_self_open(&alone));
        MG_TRY(mg_machine_open(&backend, &machine, world));
        backend.group = alone;
        st = inspect(settings, &backend);
    }
done:
    mg_machine_close(&backend); /* it looks at its group */
    mg_comm_close(alone);
    return mg_world_await_first(world, st);
}

const mg_command mg_cmd_inspect = {
    .name = "inspect",
    .meant_by = "info|show|describe|ls",
    .summary = "say what a checkpoint is, and whether it would load",
    .usage = "MODEL [options]",
    .details = "Reads headers alone, so it is quick on any size. Exit code 4: something that is there is "
               "wrong, or it\n"
               "is none of ours; what could be found out is printed all the same.\n"
               "\n"
               "  mg-dist inspect facebook/musicgen-small\n"
               "  mg-dist inspect state_dict.bin --text-encoder t5-base --keys",
    .options = options,
    .n_options = sizeof options / sizeof *options,
    .settings_bytes = sizeof(mg_inspect_settings),
    .is_single = true,
    .run = run,
};
