/* The group of any ranks, over MPI; and the start and end of MPI itself, so that nobody else needs mpi.h. */
#ifndef MG_COMM_MPI_H
#define MG_COMM_MPI_H

#include <stdbool.h>

#include "comm.h"
#include "watchdog.h"

/* Were we started by a launcher that MPI can talk to: mpirun or prterun, srun --mpi=pmix, or a PMI launcher.
 */
bool mg_mpi_launched(void);

/* MPI_Init, and the end of it; mg_mpi_end does nothing if MPI was not begun. */
mg_status mg_mpi_begin(void);
void mg_mpi_end(void);

/* MG_ECOMM: what MPI says of the code that `call` gave. */
mg_status mg_mpi_fail(const char *call, int code);

/* End every rank of the run now, this one included, with this exit code. Does not return. */
_Noreturn void mg_mpi_abort(int exit_code);

/* All ranks. `watchdog` is borrowed; it may be filled further until the first wait that needs it. */
mg_status mg_comm_mpi_open_world(mg_comm **out, const mg_watchdog *watchdog);

/* The ranks of `parent` that give the same `color`, in the parent's order. Collective over `parent`. */
mg_status mg_comm_mpi_split(mg_comm **out, mg_comm *parent, int color, const mg_watchdog *watchdog);

/* The ranks of `parent` that can share memory with us: those of this host. */
mg_status mg_comm_mpi_split_host(mg_comm **out, mg_comm *parent, const mg_watchdog *watchdog);

/* True if a wait was given up, so that a message may still be on its way and MPI cannot end in good order. */
bool mg_comm_mpi_is_torn(const mg_comm *c);

#endif
