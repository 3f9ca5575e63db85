/* The processor's own instructions. */
#define MG_TABLE mg_intrinsics_real
#include "intrinsics.inc"
