"""Kernels of attention, a tile of queries × keys at a time: what `attention.py` launches.

A program works on one head of one sequence. Scores and their exponentials are in powers of 2. Arguments end in the strides of a
replica and of a row of queries and of keys, the strides of the tables of starts and lengths, the width of the bias table, its reach
and N, B, H.
"""

import triton
import triton.language as tl


@triton.jit
def _load(base, rows, width, row_stride, count, WIDTH: tl.constexpr, W: tl.constexpr):
    """A tile (rows × width) of a matrix, zeros outside."""
    mask = (rows < count)[:, None]
    if WIDTH < W:
        mask = mask & (width < WIDTH)[None, :]
    return tl.load(base + rows[:, None] * row_stride + width[None, :], mask=mask, other=0.0)


@triton.jit
def _store(base, values, rows, width, row_stride, count, WIDTH: tl.constexpr):
    mask = (rows < count)[:, None] & (width < WIDTH)[None, :]
    tl.store(base + rows[:, None] * row_stride + width[None, :], values.to(base.dtype.element_ty), mask=mask)


@triton.jit
def _place(STARTS, LENGTHS, replica, sequence, stride):
    """First position and length of a sequence."""
    at = replica * stride + sequence
    return tl.load(STARTS + at), tl.load(LENGTHS + at).to(tl.int32)


@triton.jit
def _base(POINTER, replica, position, head, replica_stride, row_stride, WIDTH: tl.constexpr):
    """Where one head of one position lies."""
    return POINTER + replica.to(tl.int64) * replica_stride + position.to(tl.int64) * row_stride + head * WIDTH


@triton.jit
def _is_near(row, col, reach, BM: tl.constexpr, BN: tl.constexpr):
    """Whether some query of the tile that starts at (row, col) is less than `reach` from some key."""
    return (col - row - BM < reach - 1) & (row - col - BN < reach - 1)


@triton.jit
def _biased(scores, TABLE, row, col, offsets, reach, BIASED: tl.constexpr, FAR: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr):
    """Add the bias, in powers of 2; TABLE points at offset 0, and beyond `reach` there is one value to either side."""
    if BIASED:
        if FAR:
            if _is_near(row, col, reach, BM, BN):
                scores += tl.load(TABLE + offsets)
            else:
                scores += tl.load(TABLE + tl.where(col > row, reach, -reach))
        else:
            scores += tl.load(TABLE + offsets)
    return scores


@triton.jit
def forward(Q, K, V, TABLE, Q_STARTS, Q_LENGTHS, K_STARTS, K_LENGTHS, OUT, LSE,
             q_replica, q_row, k_replica, k_row, q_table, k_table, table_row, reach, N, B, H, LOG2E: tl.constexpr,
             BIASED: tl.constexpr, FAR: tl.constexpr, CAUSAL: tl.constexpr, WIDTH: tl.constexpr, W: tl.constexpr,
             BM: tl.constexpr, BN: tl.constexpr):  # fmt: skip
    """Weighted values of a tile of queries, and the logarithm of the sum of their exponentials."""
    sequence, head, replica = tl.program_id(0) // H % B, tl.program_id(0) % H, tl.program_id(0) // (H * B)
    q_start, T = _place(Q_STARTS, Q_LENGTHS, replica, sequence, q_table)
    row = tl.program_id(1) * BM
    if row >= T:
        return
    k_start, S = _place(K_STARTS, K_LENGTHS, replica, sequence, k_table)
    rows, width = row + tl.arange(0, BM), tl.arange(0, W)
    q = _load(_base(Q, replica, q_start, head, q_replica, q_row, WIDTH), rows, width, q_row, T, WIDTH, W)
    keys = _base(K, replica, k_start, head, k_replica, k_row, WIDTH)
    values = _base(V, replica, k_start, head, k_replica, k_row, WIDTH)
    table = TABLE + (replica * H + head) * table_row + table_row // 2
    top = tl.full([BM], float("-inf"), tl.float32)
    total = tl.zeros([BM], tl.float32)
    out = tl.zeros([BM, W], tl.float32)
    stop = S
    if CAUSAL:
        stop = tl.minimum(S, row + BM)
    for col in range(0, stop, BN):
        cols = col + tl.arange(0, BN)
        scores = tl.dot(q, tl.trans(_load(keys, cols, width, k_row, S, WIDTH, W))) * LOG2E
        scores = _biased(scores, table, row, col, cols[None, :] - rows[:, None], reach, BIASED, FAR, BM, BN)
        seen = (cols < S)[None, :]
        if CAUSAL:
            seen = seen & (cols[None, :] <= rows[:, None])
        scores = tl.where(seen, scores, float("-inf"))
        higher = tl.maximum(top, tl.max(scores, 1))
        weights = tl.exp2(scores - higher[:, None])
        shrink = tl.exp2(top - higher)
        total = total * shrink + tl.sum(weights, 1)
        v = _load(values, cols, width, k_row, S, WIDTH, W)
        out = out * shrink[:, None] + tl.dot(weights.to(v.dtype), v)
        top = higher
    out_row = H * WIDTH
    base = _base(OUT, replica, q_start, head, N * out_row, out_row, WIDTH)
    _store(base, out / tl.where(total > 0.0, total, 1.0)[:, None], rows, width, out_row, T, WIDTH)
    line = LSE + (replica * H + head).to(tl.int64) * N + q_start
    tl.store(line + rows, top + tl.log2(total), mask=rows < T)


@triton.jit
def backward_queries(Q, K, V, TABLE, Q_STARTS, Q_LENGTHS, K_STARTS, K_LENGTHS, OUT, LSE, D_OUT, DELTA, D_Q, D_FAR,
                      q_replica, q_row, k_replica, k_row, q_table, k_table, table_row, reach, N, B, H, LOG2E: tl.constexpr,
                      BIASED: tl.constexpr, FAR: tl.constexpr, CAUSAL: tl.constexpr, WIDTH: tl.constexpr, W: tl.constexpr,
                      BM: tl.constexpr, BN: tl.constexpr, FAR_ROWS: tl.constexpr, FAR_COLUMNS: tl.constexpr):  # fmt: skip
    """Also the sums of score gradients in tiles beyond `reach`: D_FAR (R * B * H, row tiles, 2), earlier keys first."""
    sequence, head, replica = tl.program_id(0) // H % B, tl.program_id(0) % H, tl.program_id(0) // (H * B)
    q_start, T = _place(Q_STARTS, Q_LENGTHS, replica, sequence, q_table)
    row = tl.program_id(1) * BM
    before, behind = 0.0, 0.0
    if row < T:
        k_start, S = _place(K_STARTS, K_LENGTHS, replica, sequence, k_table)
        rows, width = row + tl.arange(0, BM), tl.arange(0, W)
        out_row = H * WIDTH
        line = (replica * H + head).to(tl.int64) * N + q_start + rows
        q = _load(_base(Q, replica, q_start, head, q_replica, q_row, WIDTH), rows, width, q_row, T, WIDTH, W)
        d_out = _load(_base(D_OUT, replica, q_start, head, N * out_row, out_row, WIDTH), rows, width, out_row, T, WIDTH, W)
        out = _load(_base(OUT, replica, q_start, head, N * out_row, out_row, WIDTH), rows, width, out_row, T, WIDTH, W)
        delta = tl.sum(d_out.to(tl.float32) * out.to(tl.float32), 1)
        tl.store(DELTA + line, delta, mask=rows < T)
        lse = tl.load(LSE + line, mask=rows < T, other=0.0)
        keys = _base(K, replica, k_start, head, k_replica, k_row, WIDTH)
        values = _base(V, replica, k_start, head, k_replica, k_row, WIDTH)
        table = TABLE + (replica * H + head) * table_row + table_row // 2
        d_q = tl.zeros([BM, W], tl.float32)
        stop = S
        if CAUSAL:
            stop = tl.minimum(S, row + BM)
        for col in range(0, stop, BN):
            cols = col + tl.arange(0, BN)
            k = _load(keys, cols, width, k_row, S, WIDTH, W)
            v = _load(values, cols, width, k_row, S, WIDTH, W)
            scores = tl.dot(q, tl.trans(k)) * LOG2E
            scores = _biased(scores, table, row, col, cols[None, :] - rows[:, None], reach, BIASED, FAR, BM, BN)
            seen = (cols < S)[None, :]
            if CAUSAL:
                seen = seen & (cols[None, :] <= rows[:, None])
            weights = tl.exp2(tl.where(seen, scores - lse[:, None], float("-inf")))
            d_scores = weights * (tl.dot(d_out, tl.trans(v)) - delta[:, None])
            d_q += tl.dot(d_scores.to(k.dtype), k)
            if FAR:
                near = _is_near(row // FAR_ROWS * FAR_ROWS, col // FAR_COLUMNS * FAR_COLUMNS, reach, FAR_ROWS, FAR_COLUMNS)
                found = tl.where(near, 0.0, tl.sum(tl.sum(d_scores, 1), 0))
                before += tl.where(col < row, found, 0.0)
                behind += tl.where(col < row, 0.0, found)
        _store(_base(D_Q, replica, q_start, head, q_replica, q_row, WIDTH), d_q, rows, width, q_row, T, WIDTH)
    if FAR:
        place = D_FAR + (tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)) * 2
        tl.store(place, before)
        tl.store(place + 1, behind)


@triton.jit
def backward_keys(Q, K, V, TABLE, Q_STARTS, Q_LENGTHS, K_STARTS, K_LENGTHS, LSE, D_OUT, DELTA, D_K, D_V,
                   q_replica, q_row, k_replica, k_row, q_table, k_table, table_row, reach, N, B, H, LOG2E: tl.constexpr,
                   BIASED: tl.constexpr, FAR: tl.constexpr, CAUSAL: tl.constexpr, WIDTH: tl.constexpr, W: tl.constexpr,
                   BM: tl.constexpr, BN: tl.constexpr):  # fmt: skip
    """Tiles are (keys × queries) here, which spares two of their transpositions."""
    sequence, head, replica = tl.program_id(0) // H % B, tl.program_id(0) % H, tl.program_id(0) // (H * B)
    k_start, S = _place(K_STARTS, K_LENGTHS, replica, sequence, k_table)
    col = tl.program_id(1) * BN
    if col >= S:
        return
    q_start, T = _place(Q_STARTS, Q_LENGTHS, replica, sequence, q_table)
    cols, width = col + tl.arange(0, BN), tl.arange(0, W)
    k = _load(_base(K, replica, k_start, head, k_replica, k_row, WIDTH), cols, width, k_row, S, WIDTH, W)
    v = _load(_base(V, replica, k_start, head, k_replica, k_row, WIDTH), cols, width, k_row, S, WIDTH, W)
    out_row = H * WIDTH
    queries = _base(Q, replica, q_start, head, q_replica, q_row, WIDTH)
    d_outs = _base(D_OUT, replica, q_start, head, N * out_row, out_row, WIDTH)
    line = (replica * H + head).to(tl.int64) * N + q_start
    table = TABLE + (replica * H + head) * table_row + table_row // 2
    d_k, d_v = tl.zeros([BN, W], tl.float32), tl.zeros([BN, W], tl.float32)
    first = 0
    if CAUSAL:
        first = col // BM * BM
    for row in range(first, T, BM):
        rows = row + tl.arange(0, BM)
        q = _load(queries, rows, width, q_row, T, WIDTH, W)
        d_out = _load(d_outs, rows, width, out_row, T, WIDTH, W)
        lse = tl.load(LSE + line + rows, mask=rows < T, other=0.0)
        delta = tl.load(DELTA + line + rows, mask=rows < T, other=0.0)
        scores = tl.dot(k, tl.trans(q)) * LOG2E
        scores = _biased(scores, table, row, col, cols[:, None] - rows[None, :], reach, BIASED, FAR, BM, BN)
        seen = (rows < T)[None, :]
        if CAUSAL:
            seen = seen & (cols[:, None] <= rows[None, :])
        weights = tl.exp2(tl.where(seen, scores - lse[None, :], float("-inf")))
        d_v += tl.dot(weights.to(d_out.dtype), d_out)
        d_scores = weights * (tl.dot(v, tl.trans(d_out)) - delta[None, :])
        d_k += tl.dot(d_scores.to(q.dtype), q)
    _store(_base(D_K, replica, k_start, head, k_replica, k_row, WIDTH), d_k, cols, width, k_row, S, WIDTH)
    _store(_base(D_V, replica, k_start, head, k_replica, k_row, WIDTH), d_v, cols, width, k_row, S, WIDTH)


@triton.jit
def backward_bias(Q, K, V, TABLE, Q_STARTS, Q_LENGTHS, K_STARTS, K_LENGTHS, LSE, D_OUT, DELTA, D_BIAS,
                   q_replica, q_row, k_replica, k_row, q_table, k_table, table_row, reach, N, B, H, CHUNKS, LONGEST,
                   LOG2E: tl.constexpr, BIASED: tl.constexpr, FAR: tl.constexpr, CAUSAL: tl.constexpr, WIDTH: tl.constexpr,
                   W: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr,
                   FAR_ROWS: tl.constexpr, FAR_COLUMNS: tl.constexpr):  # fmt: skip
    """One tile of the bias gradient (R, H, chunks, longest, longest), added up over the sequences of a chunk: every CHUNKS-th.

    Zeros beyond `reach`, where `backward_queries` has the sums.
    """
    chunk, head, replica = tl.program_id(0) % CHUNKS, tl.program_id(0) // CHUNKS % H, tl.program_id(0) // (CHUNKS * H)
    row, col = tl.program_id(1) * BM, tl.program_id(2) * BN
    rows, cols, width = row + tl.arange(0, BM), col + tl.arange(0, BN), tl.arange(0, W)
    out_row = H * WIDTH
    table = TABLE + (replica * H + head) * table_row + table_row // 2
    total = tl.zeros([BM, BN], tl.float32)
    last = B
    if FAR:
        near = _is_near(row // FAR_ROWS * FAR_ROWS, col // FAR_COLUMNS * FAR_COLUMNS, reach, FAR_ROWS, FAR_COLUMNS)
        last = tl.where(near, B, 0)
    if CAUSAL:
        last = tl.where(col < row + BM, last, 0)
    for sequence in range(chunk, last, CHUNKS):
        q_start, T = _place(Q_STARTS, Q_LENGTHS, replica, sequence, q_table)
        k_start, S = _place(K_STARTS, K_LENGTHS, replica, sequence, k_table)
        if (row < T) & (col < S):
            line = (replica * H + head).to(tl.int64) * N + q_start + rows
            q = _load(_base(Q, replica, q_start, head, q_replica, q_row, WIDTH), rows, width, q_row, T, WIDTH, W)
            d_out = _load(_base(D_OUT, replica, q_start, head, N * out_row, out_row, WIDTH), rows, width, out_row, T, WIDTH, W)
            lse = tl.load(LSE + line, mask=rows < T, other=0.0)
            delta = tl.load(DELTA + line, mask=rows < T, other=0.0)
            k = _load(_base(K, replica, k_start, head, k_replica, k_row, WIDTH), cols, width, k_row, S, WIDTH, W)
            v = _load(_base(V, replica, k_start, head, k_replica, k_row, WIDTH), cols, width, k_row, S, WIDTH, W)
            scores = tl.dot(q, tl.trans(k)) * LOG2E
            scores += tl.load(table + cols[None, :] - rows[:, None])
            seen = (rows < T)[:, None] & (cols < S)[None, :]
            if CAUSAL:
                seen = seen & (cols[None, :] <= rows[:, None])
            weights = tl.exp2(tl.where(seen, scores - lse[:, None], float("-inf")))
            total += weights * (tl.dot(d_out, tl.trans(v)) - delta[:, None])
    place = D_BIAS + tl.program_id(0).to(tl.int64) * LONGEST * LONGEST + rows[:, None] * LONGEST + cols[None, :]
    tl.store(place, total, mask=(rows < LONGEST)[:, None] & (cols < LONGEST)[None, :])
