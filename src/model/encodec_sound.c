/* All channels of a sound through the codec, one after the other. */
#include "encodec_impl.h"

static mg_encodec_codes codes_of(int32_t *codes, int64_t row_stride, int64_t T, const mg_sound *s, int64_t c)
{
    return (mg_encodec_codes){codes + c * row_stride, s->n_channels * row_stride, T};
}

static mg_encodec_pcm pcm_of(const mg_sound *s, int64_t c)
{
    return (mg_encodec_pcm){s->pcm + c, s->n_channels, s->n_frames};
}

mg_status mg_encodec_decode_sound(mg_encodec *codec, const mg_sound *sound, int32_t *codes, int64_t T)
{
    for (int64_t c = 0; c < sound->n_channels; c++) {
        const mg_encodec_codes rows = codes_of(codes, T, T, sound, c);
        const mg_encodec_pcm pcm = pcm_of(sound, c);
        MG_RETURN(mg_encodec_decode(codec, &pcm, &rows));
    }
    return MG_OK;
}

mg_status mg_encodec_encode_sound(mg_encodec *codec, int32_t *codes, int64_t row_stride,
                                  const mg_sound *sound)
{
    const int64_t T = mg_encodec_frames(&codec->config, sound->n_frames);

    for (int64_t c = 0; c < sound->n_channels; c++) {
        const mg_encodec_codes rows = codes_of(codes, row_stride, T, sound, c);
        const mg_encodec_pcm pcm = pcm_of(sound, c);
        MG_RETURN(mg_encodec_encode(codec, &rows, &pcm));
    }
    return MG_OK;
}
