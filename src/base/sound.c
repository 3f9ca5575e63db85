#include "sound.h"

#include <stdlib.h>

void mg_sound_close(mg_sound *s)
{
    free(s->pcm);
    *s = (mg_sound){0};
}
