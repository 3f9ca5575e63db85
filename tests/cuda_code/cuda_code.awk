# Two tables (sm_80, sm_90a) of: kernel, registers, static shared bytes, 16-byte loads before and after the wait,
# to registers or to shared memory; and what cuda_code.sh counts beside them.
# Prints docs/GPU_KERNELS.md; a kernel that breaks a rule is a line "cuda_code: …" and exit 1.
BEGIN {
    FS = "\t"
    THREADS = 256
    print "# What the compiler makes of the CUDA kernels"
    print ""
    print "Written by `tests/cuda_code/cuda_code.sh . --write` (nvcc " version "), and compared by that test. No number here"
    print "was measured on a GPU."
    print ""
    print "- *blocks*: blocks that the registers of an SM (65,536) hold, of 256 threads but for `tiled_k` and"
    print "  `pack_normed_k`; shared memory may hold fewer: of `tiled_k` and `attend_many_k` two, of `few_attended_k` one."
    print "- *asked before*: 16-byte loads of a lane that stand before the wait for the kernel's predecessor. Those of"
    print "  a matrix kernel's weights all do: they are on their way while the kernel before still computes."
    print "- *in flight*: what the blocks of an SM ask for at once by these loads. An H100 needs 18 KB of it at all"
    print "  times to read at its full speed (3.35 TB/s x 0.7 us / 132 SMs); a matrix kernel has 32 KB at least, a tiled"
    print "  one with the rows that it asks for behind the wait."
    print ""
    print "`few_k<format, row tiles of 8, loads at once, through a norm, blocks asked for>`, whose loads go to shared memory,"
    print "and those of a norm\047s parameters; where it takes slices or parts, both ways are counted; `few_attended_k<format>`,"
    print "with 16 steps of weights and the keys and values of one of its heads, 8 pieces of each; `product_k<format, row tiles"
    print "of 8, loads at once, blocks asked for>`; `tiled_k<format, row tiles of 8, tiles of 16 outputs, of these and of those a"
    print "warp, all slices>`: packed rows; `pack_normed_k<format, four values at a time of a lane>`; `few_rows_k<rows>`: fp32;"
    print "`tile_k<outputs, rows, lanes over outputs, outputs and rows of a thread, steps on their way, blocks of an SM, x in"
    print "fours>`: fp32, blocks of 128 threads; `attend_k<format, lanes of a position, loads at once, of K and V both before the"
    print "wait, blocks asked for>`; `attend_many_k<format, segments of 32 keys on their way to a warp>`; `oneshot_k<ranks>`;"
    print "`recur_k<sequences>`."
    print ""
    print "A layer of a step on few rows is 8 kernels, one after the other, or 7: `few_attended_k` is 5 and 6 where texts are"
    print "short (docs/GPU_SPEED.md). Under tensor parallelism a sum over ranks, which adds the residual, follows 3, 6 and 8:"
    print ""
    print "| | kernel | asked before the wait |"
    print "|---|---|---|"
    print "| 1 | norm, QKV product, keys and values into the cache | weights |"
    print "| 2 | self-attention: chunks of 256 positions, the last block of a head combines them | K and V but the newest |"
    print "| 3 | out product, slices, residual | weights |"
    print "| 4 | norm, cross-Q product (rows with a text) | weights |"
    print "| 5 | cross-attention | K and V of the text but its last token |"
    print "| 6 | cross-out product, slices, residual | weights |"
    print "| 7 | norm, FC1 product, GELU | weights |"
    print "| 8 | FC2 product, slices, residual | weights |"
}
FNR == 1 {
    table++
    print ""
    print "## " (table == 1 ? "sm_80 (A100; nothing overlaps)" : "sm_90a (H100, H200)")
    print ""
    if (table == 1) {
        print "| kernel | registers | blocks | shared |"
        print "|---|---|---|---|"
    } else {
        print "| kernel | registers | blocks | shared | asked before | in flight |"
        print "|---|---|---|---|---|---|"
    }
}
{
    n = split($1, part, /[<,>]/)
    threads = THREADS
    if ($1 ~ /^tiled_k/) threads = 32 * part[4] / part[5] * part[3] / part[6]
    if ($1 ~ /^pack_normed_k/) threads = 32
    most = $1 ~ /^tiled_k|^attend_many_k/ ? 2 : $1 ~ /^few_attended_k/ ? 1 : threads == THREADS ? 8 : 32
    rounded = int(($2 + 7) / 8) * 8
    blocks = int(65536 / (rounded * threads))
    if (blocks > most) blocks = most
    row = "| `" $1 "` | " $2 " | " blocks " | " $3 " |"
    if (table == 1) { print row; next }
    look_at_order()
    if ($1 ~ /^attend_many_k/ && $4 == 8) $4 = 8 * part[3] # a loop over the segments that is not unrolled
    kb = blocks * threads * $4 * 16 / 1024
    if ($1 ~ /^few_k/) { # a ring of 16 bytes a thread and step, and 8 KB of x, of an SM's 227 KB
        ring_kb = THREADS * part[4] * 16 / 1024
        fit = int(227 / (ring_kb + 9))
        kb = (blocks < fit ? blocks : fit) * ring_kb
    }
    print row " " ($4 ? $4 : "") " | " ($4 ? kb " KB" : "") " |"
    if ($1 ~ /^tiled_k/) { look_at_tiled(part[3], part[4], threads); next }
    if ($1 ~ /^pack_normed_k/ && $4 < 2 * part[3]) wrong($1 ": " $4 " of " 2 * part[3] " loads before the wait")
    if ($1 ~ /^few_attended_k/ && $4 < 32) wrong($1 ": " $4 " of 32 loads of weights, keys and values before the wait")
    if ($1 ~ /^attend_many_k/ && $4 < 8) wrong($1 ": " $4 " of 8 loads before the wait")
    if ($1 !~ /^(product_k|few_k|few_rows_k|attend_k)/) next
    want = 8
    if ($1 ~ /^attend_k/) {
        want = part[4] * ($1 ~ /true/ ? 2 : 1)
        wide = $1 ~ /^attend_k<(bf16|fp16), 8,|^attend_k<float, 16,/ # 64 wide: the heads of every model
        if (wide && kb < 32) wrong($1 ": " kb " KB in flight an SM, at least 32 are wanted")
        if ($4 < want) wrong($1 ": " $4 " of " want " loads before the wait")
        next
    }
    if ($1 ~ /^(product_k|few_k)/) { want = part[4] + 0; asked = part[n - 1] + 0 }
    if ($4 < want) wrong($1 ": " $4 " of " want " loads before the wait")
    if (kb < 32) wrong($1 ": " kb " KB in flight an SM, at least 32 are wanted")
    if ($1 ~ /^(product_k|few_k)/ && blocks < asked) wrong($1 ": " blocks " blocks an SM, " asked " asked for")
}
# The weights of all stages but one before the wait; with the rows, what two blocks have in flight.
function look_at_tiled(n_row_tiles, n_out_tiles, threads,    steps, weights, rows, stages, want, kb) {
    steps = n_row_tiles < 16 ? 8 : 4
    weights = steps * n_out_tiles * 512
    rows = steps * n_row_tiles * 256
    stages = int(96 * 1024 / (weights + rows))
    if (stages > 6) stages = 6
    want = (stages - 1) * weights / 16 / threads
    kb = blocks * (stages - 1) * (weights + rows) / 1024
    if ($4 < want) wrong($1 ": " $4 " of " want " loads before the wait")
    if (kb < 32) wrong($1 ": " kb " KB in flight an SM, at least 32 are wanted")
    if (blocks < (n_out_tiles == 8 ? 1 : 2)) wrong($1 ": " blocks " blocks an SM")
}
# Before the wait: weights, a norm's parameters, and what attention knows of its tokens and keys, which nobody
# writes meanwhile; a fault that attention finds. Who comes after the LSTM would wait in the SMs as long as it lasts.
# So would attention's blocks of keys that are not there yet, most of a grid that is made for the longest clip.
function look_at_order() {
    if ($9 != 1) wrong($1 ": " $9 " waits for its predecessor")
    if ($6 && $1 !~ /^(attend|dots_k|few_|pack_normed_k|product_k|recur_k|tiled?_k)/) wrong($1 ": " $6 " loads before the wait")
    if ($7 && $1 !~ /^attend/) wrong($1 ": " $7 " writes before the wait")
    if ($1 ~ /^attend_k/ && !$11) wrong($1 ": blocks without keys wait too")
    if ($8 && $1 !~ /^(recur_k|tile_k)/) wrong($1 ": " $8 " loads that may miss what the predecessor wrote")
    if ($10 != ($1 ~ /^recur_k/ ? "late" : "early")) wrong($1 ": its successor starts " $10)
}
function wrong(what) { print "cuda_code: " what; failed = 1 }
END { exit failed }
