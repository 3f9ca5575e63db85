/* A device backend behind host memory, for tests that look at tensors with the host's eyes: alloc gives host
 * memory, and a slot copies what it needs to the device, runs there, and copies back what was written. So the
 * tests of the CPU backend run over a GPU's as they are. A fault that the device finds is the slot's own. */
#ifndef HOST_VIEW_H
#define HOST_VIEW_H

#include "ops.h"

/* Takes `device` over: closing the view closes it. */
mg_status host_view_open(mg_ops **out, mg_ops *device);

#endif
