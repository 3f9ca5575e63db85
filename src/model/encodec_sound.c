/* All channels of sounds through the codec: each is a clip of its own. */
#include "encodec_impl.h"

static mg_encodec_codes codes_of(const mg_encodec_sound *s, int64_t c)
{
    return (mg_encodec_codes){s->codes + c * s->row_stride, s->sound.n_channels * s->row_stride, s->T};
}

static mg_encodec_pcm pcm_of(const mg_encodec_sound *s, int64_t c)
{
    return (mg_encodec_pcm){s->sound.pcm + c, s->sound.n_channels, s->sound.n_frames};
}

typedef mg_status code_fn(mg_encodec *c, const mg_encodec_pcm *pcm, const mg_encodec_codes *codes, int64_t n);

/* Every channel of every sound, as many at once as the codec takes. */
static mg_status pass_channels(mg_encodec *codec, const mg_encodec_sound *sounds, int64_t n, code_fn *pass)
{
    mg_encodec_codes codes[MG_ENCODEC_MOST_AT_ONCE];
    mg_encodec_pcm pcm[MG_ENCODEC_MOST_AT_ONCE];
    int64_t n_here = 0;

    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < sounds[i].sound.n_channels; c++) {
            codes[n_here] = codes_of(&sounds[i], c);
            pcm[n_here++] = pcm_of(&sounds[i], c);
            if (n_here < codec->n_at_once) continue;
            MG_RETURN(pass(codec, pcm, codes, n_here));
            n_here = 0;
        }
    return n_here > 0 ? pass(codec, pcm, codes, n_here) : MG_OK;
}

mg_status mg_encodec_decode_sounds(mg_encodec *codec, const mg_encodec_sound *sounds, int64_t n)
{
    for (int64_t i = 0; i < n; i++) MG_RETURN(mg_encodec_check_codes(codec, &sounds[i]));
    return pass_channels(codec, sounds, n, mg_encodec_decode);
}

mg_status mg_encodec_decode_live(mg_encodec *codec, const mg_encodec_sound *s, const mg_encodec_listener *l)
{
    enum { MOST_CHANNELS = 2 };
    mg_encodec_codes codes[MOST_CHANNELS];
    mg_encodec_pcm pcm[MOST_CHANNELS];

    MG_REQUIRE(s->sound.n_channels <= MOST_CHANNELS);
    for (int64_t c = 0; c < s->sound.n_channels; c++) {
        codes[c] = codes_of(s, c);
        pcm[c] = pcm_of(s, c);
    }
    return mg_encodec_decode_pieces(codec, pcm, codes, s->sound.n_channels, l);
}

static mg_status encode(mg_encodec *codec, const mg_encodec_pcm *pcm, const mg_encodec_codes *codes,
                        int64_t n)
{
    return mg_encodec_encode(codec, codes, pcm, n);
}

mg_status mg_encodec_encode_sounds(mg_encodec *codec, const mg_encodec_sound *sounds, int64_t n)
{
    return pass_channels(codec, sounds, n, encode);
}

mg_status mg_encodec_check_codes(const mg_encodec *codec, const mg_encodec_sound *sound)
{
    for (int64_t c = 0; c < sound->sound.n_channels; c++) {
        const mg_encodec_codes codes = codes_of(sound, c);
        MG_RETURN(mg_encodec_check(codec, &codes));
    }
    return MG_OK;
}
