/* SentencePiece behind a C face. No exception and no status of the library leaves this file. */
#include <sentencepiece_processor.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <vector>

extern "C" {
#include "tokenizer_impl.h"
}

struct mg_spm {
    sentencepiece::SentencePieceProcessor processor;
};

static mg_status open_model(mg_spm *m, const char *name, const void *model, int64_t bytes)
{
    const absl::string_view serialized(static_cast<const char *>(model), static_cast<size_t>(bytes));
    const sentencepiece::util::Status status = m->processor.LoadFromSerializedProto(serialized);

    if (!status.ok())
        return mg_fail(MG_ECHECKPOINT, "%s: not a SentencePiece model: %s", name, status.ToString().c_str());
    return MG_OK;
}

extern "C" mg_status mg_spm_open(mg_spm **out, const char *name, const void *model, int64_t bytes)
{
    mg_status st = MG_OK;
    mg_spm *m = nullptr;

    *out = nullptr;
    try {
        m = new mg_spm;
        st = open_model(m, name, model, bytes);
    } catch (const std::bad_alloc &) {
        st = mg_fail(MG_ENOMEM, "%s: SentencePiece model of %lld bytes", name, static_cast<long long>(bytes));
    } catch (const std::exception &e) {
        st = mg_fail(MG_ECHECKPOINT, "%s: not a SentencePiece model: %s", name, e.what());
    } catch (...) {
        st = mg_fail(MG_ECHECKPOINT, "%s: not a SentencePiece model", name);
    }
    if (st == MG_OK)
        *out = m;
    else
        mg_spm_close(m);
    return st;
}

extern "C" void mg_spm_close(mg_spm *m)
{
    delete m;
}

extern "C" int64_t mg_spm_n_pieces(const mg_spm *m)
{
    return m->processor.GetPieceSize();
}

extern "C" const char *mg_spm_piece(const mg_spm *m, int64_t id)
{
    if (id < 0 || id >= m->processor.GetPieceSize()) return "";
    return m->processor.IdToPiece(static_cast<int>(id)).c_str();
}

extern "C" int32_t mg_spm_piece_id(const mg_spm *m, const char *piece)
{
    const int id = m->processor.PieceToId(absl::string_view(piece, std::strlen(piece)));

    return std::strcmp(mg_spm_piece(m, id), piece) == 0 ? id : -1;
}

static mg_status encode(const mg_spm *m, const char *text, int64_t bytes, int32_t **ids, int64_t *n_ids)
{
    std::vector<int> found;
    const sentencepiece::util::Status status =
        m->processor.Encode(absl::string_view(text, static_cast<size_t>(bytes)), &found);

    if (!status.ok()) return mg_fail(MG_EFAIL, "tokenizer: %s", status.ToString().c_str());
    *ids = static_cast<int32_t *>(std::malloc((found.size() + 1) * sizeof **ids));
    if (!*ids) return mg_fail(MG_ENOMEM, "tokenizer: %zu ids", found.size());
    for (size_t i = 0; i < found.size(); i++) (*ids)[i] = found[i];
    *n_ids = static_cast<int64_t>(found.size());
    return MG_OK;
}

extern "C" mg_status mg_spm_encode(const mg_spm *m, const char *text, int64_t bytes, int32_t **ids,
                                   int64_t *n_ids)
{
    *ids = nullptr;
    *n_ids = 0;
    try {
        return encode(m, text, bytes, ids, n_ids);
    } catch (const std::bad_alloc &) {
        return mg_fail(MG_ENOMEM, "tokenizer: a text of %lld bytes", static_cast<long long>(bytes));
    } catch (const std::exception &e) {
        return mg_fail(MG_EFAIL, "tokenizer: %s", e.what());
    } catch (...) {
        return mg_fail(MG_EFAIL, "tokenizer: the SentencePiece library failed");
    }
}
