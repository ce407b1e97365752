"""Passes of one network through its active neurons alone, compiled to machine code by numba.

A ReLU network with sparse features is mostly silent: soon nine of ten hidden numbers are zero, and
neither they nor the gradients behind them matter. So all that comes after the encoder's product is
done for the pairs of a sample and a neuron in which the neuron is active. It is exact, apart from
the order in which numbers are added, as long as weights are finite: what a silent neuron would
multiply by zero is not looked at. That order is fixed, so that equal numbers in give equal bits
out.

Compiled when first imported, in two to three seconds, for these types alone.

Dimensions: B samples, S of them at a time, N outputs, m inputs, k neurons. N, m and k are multiples
as in ``sizes``: no kernel asks where an array ends. Arrays are contiguous, float32 or int32.
"""

from numba import boolean, float32, int32, int64, njit, types, void

from trainers.passes.lanes import (
    NUM_LANES,
    above_zero,
    add_product,
    get,
    load,
    lowest,
    put,
    spread,
    store,
    sum_of,
)

# So many sums fit into a core's registers, and weights of so many neurons to so many outputs into
# half of its nearest memory.
AT_A_TIME = 4 * NUM_LANES
ZERO = float32(0.0)

_MATRIX = types.Array(float32, 2, "C")
_VECTOR = types.Array(float32, 1, "C")
_PLACES = types.Array(int32, 2, "C")
_COUNTS = types.Array(int32, 1, "C")


@njit(
    void(
        *(_MATRIX, _MATRIX, _VECTOR, int64, boolean, _MATRIX),
        *(_COUNTS, _VECTOR, _COUNTS, _COUNTS, _VECTOR, _COUNTS),
    ),
    nogil=True,
)
def find_active(  # type: ignore[no-untyped-def]
    inputs,
    encoder,
    bias,
    first,
    is_listed,
    tile,
    neurons,
    numbers,
    ends,
    samples,
    hidden,
    counts,
):
    """Where ``inputs @ encoder.T + bias`` is above zero or NaN: in which pairs.

    A pair is of a sample and a neuron. They come by block of ``AT_A_TIME`` neurons, then sample,
    then neuron.

    Args:
        inputs: Some of a batch's samples. Shape ``[S, m]``.
        encoder: Shape ``[k, m]``.
        bias: Shape ``[k]``.
        first: Which of the batch's the first of them is.
        is_listed: Whether the last three are written.
        tile: Scratch. Shape ``[m + 2, AT_A_TIME]``.
        neurons: Overwritten: each pair's neuron. Shape ``[S * k]``.
        numbers: Overwritten: the number there. Shape ``[S * k]``.
        ends: Overwritten: where the pairs of each block and sample end. Shape ``[blocks * S]``.
        samples: The batch's samples in which each neuron is active are put into its row, those of
            the next call after them. Shape ``[k * B]``, rows one after the other.
        hidden: Its number there. Shape ``[k * B]``.
        counts: How many they are; zero before a batch's first call. Shape ``[k]``.
    """
    num_neurons, num_inputs = encoder.shape
    batch_size = len(samples) // num_neurons
    at1, at2, at3 = NUM_LANES, 2 * NUM_LANES, 3 * NUM_LANES
    found, end = 0, 0
    for start in range(0, num_neurons, AT_A_TIME):
        # A row for each input, then the bias; the last is for what comes of them.
        for lane in range(AT_A_TIME):
            for one in range(num_inputs):
                tile[one, lane] = encoder[start + lane, one]
            tile[num_inputs, lane] = bias[start + lane]
        for sample in range(len(inputs)):
            pre0, pre1 = load(tile, num_inputs, 0), load(tile, num_inputs, at1)
            pre2, pre3 = load(tile, num_inputs, at2), load(tile, num_inputs, at3)
            for one in range(num_inputs):
                number = spread(inputs[sample, one])
                pre0 = add_product(pre0, number, load(tile, one, 0))
                pre1 = add_product(pre1, number, load(tile, one, at1))
                pre2 = add_product(pre2, number, load(tile, one, at2))
                pre3 = add_product(pre3, number, load(tile, one, at3))
            store(tile, num_inputs + 1, 0, pre0)
            store(tile, num_inputs + 1, at1, pre1)
            store(tile, num_inputs + 1, at2, pre2)
            store(tile, num_inputs + 1, at3, pre3)
            active = above_zero(pre0) | above_zero(pre1) << at1
            active |= above_zero(pre2) << at2 | above_zero(pre3) << at3
            while active:
                lane = lowest(active)
                active ^= 1 << lane
                number = tile[num_inputs + 1, lane]
                neuron = start + lane
                put(neurons, found, neuron)
                put(numbers, found, number)
                found += 1
                if is_listed:
                    count = get(counts, neuron)
                    put(samples, neuron * batch_size + count, first + sample)
                    put(hidden, neuron * batch_size + count, number)
                    put(counts, neuron, count + 1)
            put(ends, end, found)
            end += 1


@njit(void(_COUNTS, _VECTOR, _COUNTS, _MATRIX, _MATRIX, _MATRIX, _MATRIX), nogil=True)
def add_up(  # type: ignore[no-untyped-def]
    neurons, numbers, ends, decoder, tile, sums, outputs
):
    """Outputs, each the sum over active neurons, ascending.

    Args:
        neurons: As ``find_active`` left it, like the next two.
        numbers: See there.
        ends: See there.
        decoder: Shape ``[k, N]``.
        tile: Scratch. Shape ``[k, AT_A_TIME]``.
        sums: Scratch. Shape ``[S, AT_A_TIME]``, or more.
        outputs: Overwritten. Shape ``[S, N]``.
    """
    num_samples, num_outputs = outputs.shape
    at1, at2, at3 = NUM_LANES, 2 * NUM_LANES, 3 * NUM_LANES
    for at in range(0, num_outputs, AT_A_TIME):
        for neuron in range(len(decoder)):
            for lane in range(0, AT_A_TIME, NUM_LANES):
                store(tile, neuron, lane, load(decoder, neuron, at + lane))
        pair, end = 0, 0
        for start in range(0, len(decoder), AT_A_TIME):
            for sample in range(num_samples):
                if start:
                    sum0, sum1 = load(sums, sample, 0), load(sums, sample, at1)
                    sum2, sum3 = load(sums, sample, at2), load(sums, sample, at3)
                else:
                    sum0 = sum1 = sum2 = sum3 = spread(ZERO)
                first, pair = pair, get(ends, end)
                end += 1
                for one in range(first, pair):
                    neuron, number = get(neurons, one), spread(get(numbers, one))
                    sum0 = add_product(sum0, number, load(tile, neuron, 0))
                    sum1 = add_product(sum1, number, load(tile, neuron, at1))
                    sum2 = add_product(sum2, number, load(tile, neuron, at2))
                    sum3 = add_product(sum3, number, load(tile, neuron, at3))
                store(sums, sample, 0, sum0)
                store(sums, sample, at1, sum1)
                store(sums, sample, at2, sum2)
                store(sums, sample, at3, sum3)
        for sample in range(num_samples):
            for lane in range(0, AT_A_TIME, NUM_LANES):
                store(outputs, sample, at + lane, load(sums, sample, lane))


@njit(
    void(
        *(_MATRIX, _MATRIX, _MATRIX, _PLACES, _MATRIX, _COUNTS),
        *(float32, float32, _MATRIX, _MATRIX, _VECTOR, _MATRIX),
    ),
    nogil=True,
)
def backward(  # type: ignore[no-untyped-def]
    inputs,
    error,
    decoder,
    samples,
    hidden,
    counts,
    half_l1,
    scale,
    partials,
    d_encoder,
    d_bias,
    d_decoder,
):
    """Gradients of one network, ``scale`` times those of half the squared error and L1 penalty.

    Args:
        inputs: Shape ``[B, m]``.
        error: Outputs less targets. Shape ``[B, N]``.
        decoder: Shape ``[k, N]``.
        samples: In which each neuron is active; see ``find_active``. Shape ``[k, B]``.
        hidden: Its hidden number there. Shape ``[k, B]``.
        counts: How many they are. Shape ``[k]``.
        half_l1: Added to the derivative by each active hidden number.
        scale: What everything is multiplied by.
        partials: Scratch. Shape ``[B, NUM_LANES]``.
        d_encoder: Overwritten. Shape ``[k, m]``.
        d_bias: Overwritten. Shape ``[k]``.
        d_decoder: Overwritten. Shape ``[k, N]``.
    """
    num_neurons, num_outputs = decoder.shape
    scales, zeros = spread(scale), spread(ZERO)
    for neuron in range(num_neurons):
        count = counts[neuron]
        for one in range(count):
            store(partials, one, 0, zeros)
        for at in range(0, num_outputs, 2 * NUM_LANES):
            at1 = at + NUM_LANES
            weights0, weights1 = load(decoder, neuron, at), load(decoder, neuron, at1)
            sum0, sum1 = zeros, zeros
            for one in range(count):
                sample = samples[neuron, one]
                number = spread(hidden[neuron, one])
                error0, error1 = load(error, sample, at), load(error, sample, at1)
                sum0 = add_product(sum0, number, error0)
                sum1 = add_product(sum1, number, error1)
                product = add_product(load(partials, one, 0), weights0, error0)
                store(partials, one, 0, add_product(product, weights1, error1))
            store(d_decoder, neuron, at, add_product(zeros, scales, sum0))
            store(d_decoder, neuron, at1, add_product(zeros, scales, sum1))
        # From here on each one's first lane is the derivative by the neuron's number.
        derivatives = ZERO
        for one in range(count):
            derivative = sum_of(load(partials, one, 0)) + half_l1
            partials[one, 0] = derivative
            derivatives += derivative
        d_bias[neuron] = scale * derivatives
        for at in range(0, inputs.shape[1], NUM_LANES):
            sums = zeros
            for one in range(count):
                seen = load(inputs, samples[neuron, one], at)
                sums = add_product(sums, spread(partials[one, 0]), seen)
            store(d_encoder, neuron, at, add_product(zeros, scales, sums))
