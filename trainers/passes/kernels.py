"""Passes of one network through its active neurons alone, as numba compiles them for LLVM.

A ReLU network with sparse features is mostly silent: soon nine of ten hidden numbers are zero, and
neither they nor the gradients behind them matter. So all that comes after the encoder's product is
done for the pairs of a sample and a neuron in which the neuron is active. It is exact, apart from
the order in which numbers are added, as long as weights are finite: what a silent neuron would
multiply by zero is not looked at. That order is fixed, so that equal numbers in give equal bits
out.

Only ``compiled`` imports this module, where no machine code is kept: it takes two to three seconds.

Dimensions: B samples, S of them at a time, N outputs, m inputs, k neurons. N, m and k are multiples
as in ``sizes``: no kernel asks where an array ends. Arrays are pointers to where they begin,
float32 or int32, their rows one after the other.
"""

from numba import cfunc, float32, int32, int64, types, void

from trainers.passes.lanes import (
    above_zero,
    add_product,
    add_products,
    load,
    lowest,
    spread,
    store,
    sum_at,
)
from trainers.sizes import AT_A_TIME, NUM_LANES, NUM_SUMS

ZERO = float32(0.0)

_NUMBERS = types.CPointer(float32)
_PLACES = types.CPointer(int32)


@cfunc(
    void(
        *(int64, int64, int64, int64, int64, int64, _NUMBERS, _NUMBERS, _NUMBERS, _NUMBERS),
        *(_PLACES, _NUMBERS, _PLACES, _PLACES, _NUMBERS, _PLACES),
    )
)
def find_active(  # type: ignore[no-untyped-def]
    num_samples,
    num_inputs,
    num_neurons,
    row_stride,
    first_sample,
    is_listed,
    inputs,
    encoder,
    bias,
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
        num_samples: S.
        num_inputs: m.
        num_neurons: k.
        row_stride: From one row of ``samples`` and of ``hidden`` to the next one.
        first_sample: Which of the batch's the first of them is.
        is_listed: Whether the last three are written; 0 or 1.
        inputs: Some of a batch's samples. Shape ``[S, m]``.
        encoder: Shape ``[k, m]``.
        bias: Shape ``[k]``.
        tile: Scratch. Shape ``[m + 2, AT_A_TIME]``.
        neurons: Overwritten: each pair's neuron. Shape ``[S * k]``.
        numbers: Overwritten: the number there. Shape ``[S * k]``.
        ends: Overwritten: where the pairs of each block and sample end. Shape ``[blocks * S]``.
        samples: The batch's samples in which each neuron is active are put into its row, those of
            the next call after them. Shape ``[k, row_stride]``.
        hidden: Its number there. Shape ``[k, row_stride]``.
        counts: How many they are; zero before a batch's first call. Shape ``[k]``.
    """
    at1, at2, at3 = NUM_LANES, 2 * NUM_LANES, 3 * NUM_LANES
    # A row for each input, then the bias; the last is for what comes of them.
    biases, result = num_inputs * AT_A_TIME, (num_inputs + 1) * AT_A_TIME
    found, end = 0, 0
    for start in range(0, num_neurons, AT_A_TIME):
        for lane in range(AT_A_TIME):
            for one in range(num_inputs):
                tile[one * AT_A_TIME + lane] = encoder[(start + lane) * num_inputs + one]
            tile[biases + lane] = bias[start + lane]
        for sample in range(num_samples):
            pre0, pre1 = load(tile, biases), load(tile, biases + at1)
            pre2, pre3 = load(tile, biases + at2), load(tile, biases + at3)
            for one in range(num_inputs):
                number = spread(inputs[sample * num_inputs + one])
                row = one * AT_A_TIME
                pre0 = add_product(pre0, number, load(tile, row))
                pre1 = add_product(pre1, number, load(tile, row + at1))
                pre2 = add_product(pre2, number, load(tile, row + at2))
                pre3 = add_product(pre3, number, load(tile, row + at3))
            store(tile, result, pre0)
            store(tile, result + at1, pre1)
            store(tile, result + at2, pre2)
            store(tile, result + at3, pre3)
            active = above_zero(pre0) | above_zero(pre1) << at1
            active |= above_zero(pre2) << at2 | above_zero(pre3) << at3
            while active:
                lane = lowest(active)
                active ^= 1 << lane
                number = tile[result + lane]
                neuron = start + lane
                neurons[found] = neuron
                numbers[found] = number
                found += 1
                if is_listed:
                    count = counts[neuron]
                    samples[neuron * row_stride + count] = first_sample + sample
                    hidden[neuron * row_stride + count] = number
                    counts[neuron] = count + 1
            ends[end] = found
            end += 1


@cfunc(
    void(
        *(int64, int64, int64, _PLACES, _NUMBERS, _PLACES, _NUMBERS),
        *(_NUMBERS, _NUMBERS, _NUMBERS),
    )
)
def add_up(  # type: ignore[no-untyped-def]
    num_samples, num_neurons, num_outputs, neurons, numbers, ends, decoder, tile, sums, outputs
):
    """Outputs, each the sum over active neurons, ascending.

    Args:
        num_samples: S.
        num_neurons: k.
        num_outputs: N.
        neurons: As ``find_active`` left it, like the next two.
        numbers: See there.
        ends: See there.
        decoder: Shape ``[k, N]``.
        tile: Scratch. Shape ``[AT_A_TIME, AT_A_TIME]``.
        sums: Scratch. Shape ``[S, AT_A_TIME]``, or more.
        outputs: Overwritten. Shape ``[S, N]``.
    """
    at1, at2, at3 = NUM_LANES, 2 * NUM_LANES, 3 * NUM_LANES
    for at in range(0, num_outputs, AT_A_TIME):
        pair, end = 0, 0
        for start in range(0, num_neurons, AT_A_TIME):
            for neuron in range(AT_A_TIME):
                row = (start + neuron) * num_outputs + at
                for lane in range(0, AT_A_TIME, NUM_LANES):
                    store(tile, neuron * AT_A_TIME + lane, load(decoder, row + lane))
            for sample in range(num_samples):
                row = sample * AT_A_TIME
                if start:
                    sum0, sum1 = load(sums, row), load(sums, row + at1)
                    sum2, sum3 = load(sums, row + at2), load(sums, row + at3)
                else:
                    sum0 = sum1 = sum2 = sum3 = spread(ZERO)
                first, pair = pair, int64(ends[end])
                end += 1
                for one in range(first, pair):
                    weights = (int64(neurons[one]) - start) * AT_A_TIME
                    number = spread(numbers[one])
                    sum0 = add_product(sum0, number, load(tile, weights))
                    sum1 = add_product(sum1, number, load(tile, weights + at1))
                    sum2 = add_product(sum2, number, load(tile, weights + at2))
                    sum3 = add_product(sum3, number, load(tile, weights + at3))
                store(sums, row, sum0)
                store(sums, row + at1, sum1)
                store(sums, row + at2, sum2)
                store(sums, row + at3, sum3)
        for sample in range(num_samples):
            for lane in range(0, AT_A_TIME, NUM_LANES):
                part = load(sums, sample * AT_A_TIME + lane)
                store(outputs, sample * num_outputs + at + lane, part)


@cfunc(
    void(
        *(int64, int64, int64, int64, _NUMBERS, _NUMBERS, _NUMBERS, _PLACES, _NUMBERS, _PLACES),
        *(float32, float32, _NUMBERS, _NUMBERS, _NUMBERS, _NUMBERS),
    )
)
def backward(  # type: ignore[no-untyped-def]
    num_inputs,
    num_neurons,
    num_outputs,
    row_stride,
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
        num_inputs: m.
        num_neurons: k.
        num_outputs: N.
        row_stride: From one row of ``samples`` and of ``hidden`` to the next one: even, B or more.
        inputs: Shape ``[B, m]``.
        error: Outputs less targets. Shape ``[B, N]``.
        decoder: Shape ``[k, N]``.
        samples: In which each neuron is active; see ``find_active``. Shape ``[k, row_stride]``.
        hidden: Its hidden number there. Shape ``[k, row_stride]``.
        counts: How many they are. Shape ``[k]``.
        half_l1: Added to the derivative by each active hidden number.
        scale: What everything is multiplied by.
        partials: Scratch. Shape ``[row_stride, NUM_SUMS]``.
        d_encoder: Overwritten. Shape ``[k, m]``.
        d_bias: Overwritten. Shape ``[k]``.
        d_decoder: Overwritten. Shape ``[k, N]``.
    """
    scales, zeros = spread(scale), spread(ZERO)
    for neuron in range(num_neurons):
        count = int64(counts[neuron])
        listed, row = neuron * row_stride, neuron * num_outputs
        for one in range(0, count * NUM_SUMS, NUM_LANES):
            store(partials, one, zeros)
        for at in range(0, num_outputs, 2 * NUM_LANES):
            at1 = at + NUM_LANES
            weights0, weights1 = load(decoder, row + at), load(decoder, row + at1)
            sum0, sum1 = zeros, zeros
            for one in range(count):
                sample = int64(samples[listed + one])
                number = spread(hidden[listed + one])
                error0 = load(error, sample * num_outputs + at)
                error1 = load(error, sample * num_outputs + at1)
                sum0 = add_product(sum0, number, error0)
                sum1 = add_product(sum1, number, error1)
                add_products(partials, one * NUM_SUMS, weights0, error0)
                add_products(partials, one * NUM_SUMS, weights1, error1)
            store(d_decoder, row + at, add_product(zeros, scales, sum0))
            store(d_decoder, row + at1, add_product(zeros, scales, sum1))
        # From here on each one's first sum is the derivative by the neuron's number.
        derivatives = ZERO
        for one in range(count):
            derivative = sum_at(partials, one * NUM_SUMS) + half_l1
            partials[one * NUM_SUMS] = derivative
            derivatives += derivative
        d_bias[neuron] = scale * derivatives
        for at in range(0, num_inputs, NUM_LANES):
            sums = zeros
            for one in range(count):
                seen = load(inputs, int64(samples[listed + one]) * num_inputs + at)
                sums = add_product(sums, spread(partials[one * NUM_SUMS]), seen)
            store(d_encoder, neuron * num_inputs + at, add_product(zeros, scales, sums))
