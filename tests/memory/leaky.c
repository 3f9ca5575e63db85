/* A program that leaks under MPI: leaks_under_mpi.sh must see it, or it sees nothing. */
#include <math.h>
#include <stdlib.h>

#include "world.h"

int main(void)
{
    mg_world world = {0};
    mg_status st = mg_world_begin(&world, (double)NAN, false);
    void *volatile lost = malloc(777);

    lost = NULL;
    mg_world_end(&world, st);
    return lost || st != MG_OK;
}
