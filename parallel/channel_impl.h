/* What channel.c (messages to oneself, and the doors) and channel_mpi.c (to others) share. */
#ifndef MG_CHANNEL_IMPL_H
#define MG_CHANNEL_IMPL_H

#include "channel.h"

typedef struct mg_channel_mpi mg_channel_mpi;

mg_status mg_channel_mpi_open(mg_channel_mpi **out);
void mg_channel_mpi_close(mg_channel_mpi *m);
/* Takes `data`, which is malloc'ed. */
mg_status mg_channel_mpi_send(mg_channel_mpi *m, int rank, char *data, size_t bytes);
mg_status mg_channel_mpi_receive(mg_channel_mpi *m, int *rank, char **data, size_t *bytes);

#endif
