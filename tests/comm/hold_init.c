/* Loaded before the program: MPI_Init_thread takes HOLD_S seconds longer. Without it, it never returns, as
 * now and then when a launcher is killed. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int MPI_Init_thread(int *argc, char ***argv, int wanted, int *provided)
{
    char name[512];
    const char *folder = getenv("HOLD_FOLDER"), *rank = getenv("OMPI_COMM_WORLD_RANK");

    if (getenv("HOLD_S")) {
        sleep((unsigned)atoi(getenv("HOLD_S")));
        return PMPI_Init_thread(argc, argv, wanted, provided);
    }
    snprintf(name, sizeof name, "%s/ready%s", folder ? folder : ".", rank ? rank : "");
    FILE *f = fopen(name, "w");
    if (f) {
        fprintf(f, "%d\n", (int)getpid());
        fclose(f);
    }
    for (;;) pause();
}
