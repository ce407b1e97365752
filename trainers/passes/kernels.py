"""Passes of one network through its active neurons alone, compiled to machine code by numba.

A ReLU network with sparse features is mostly silent: soon nine of ten hidden numbers are zero, and
neither they nor the gradients behind them matter. So what is done here for a sample or a neuron is
done for the pairs of them in which the neuron is active. It is exact, apart from the order in which
numbers are added, as long as weights are finite: what a silent neuron would multiply by zero is not
looked at. That order is fixed, so that equal numbers in give equal bits out.

Compiled when first imported, in two to three seconds, for these types alone.

Dimensions: B samples, N outputs, m inputs, k neurons. N and m are multiples as in ``sizes``.
Arrays are contiguous, float32 or int32.
"""

from numba import boolean, float32, int32, njit, types, void

from trainers.passes.lanes import NUM_LANES, add_product, load, spread, store, sum_of

# A core keeps what belongs to so many neurons near while it goes through all samples: at some 256
# outputs their weights take 128 KiB.
NEURONS_AT_A_TIME = 128
ZERO = float32(0.0)

_MATRIX = types.Array(float32, 2, "C")
_VECTOR = types.Array(float32, 1, "C")
_PLACES = types.Array(int32, 2, "C")
_COUNTS = types.Array(int32, 1, "C")


@njit(void(_MATRIX, _MATRIX, boolean, _COUNTS, _PLACES, _MATRIX, _COUNTS, _MATRIX), nogil=True)
def forward(  # type: ignore[no-untyped-def]
    pre, decoder, is_listed, found, samples, hidden, counts, outputs
):
    """``outputs = relu(pre) @ decoder``, and where neurons are active.

    Args:
        pre: Shape ``[B, k]``.
        decoder: Shape ``[k, N]``.
        is_listed: Whether ``samples`` and ``hidden`` are written.
        found: Scratch. Shape ``[NEURONS_AT_A_TIME]``.
        samples: Overwritten: the samples in which each neuron is active come first in its row,
            ascending; a number that is NaN is active. Shape ``[k, B]``.
        hidden: Overwritten: its hidden number there. Shape ``[k, B]``.
        counts: Overwritten: how many they are. Shape ``[k]``.
        outputs: Overwritten. Shape ``[B, N]``.
    """
    num_samples, num_neurons = pre.shape
    zeros = spread(ZERO)
    for neuron in range(num_neurons):
        counts[neuron] = 0
    for sample in range(num_samples):
        for at in range(0, decoder.shape[1], NUM_LANES):
            store(outputs, sample, at, zeros)
    for first in range(0, num_neurons, NEURONS_AT_A_TIME):
        end = min(first + NEURONS_AT_A_TIME, num_neurons)
        for sample in range(num_samples):
            num_found = 0
            for neuron in range(first, end):
                # Without a branch, which would be guessed wrong half of the time.
                found[num_found] = neuron
                num_found += not pre[sample, neuron] <= 0
            for at in range(0, decoder.shape[1], 4 * NUM_LANES):
                at1, at2, at3 = at + NUM_LANES, at + 2 * NUM_LANES, at + 3 * NUM_LANES
                sum0, sum1 = load(outputs, sample, at), load(outputs, sample, at1)
                sum2, sum3 = load(outputs, sample, at2), load(outputs, sample, at3)
                for one in range(num_found):
                    neuron = found[one]
                    number = spread(pre[sample, neuron])
                    sum0 = add_product(sum0, number, load(decoder, neuron, at))
                    sum1 = add_product(sum1, number, load(decoder, neuron, at1))
                    sum2 = add_product(sum2, number, load(decoder, neuron, at2))
                    sum3 = add_product(sum3, number, load(decoder, neuron, at3))
                store(outputs, sample, at, sum0)
                store(outputs, sample, at1, sum1)
                store(outputs, sample, at2, sum2)
                store(outputs, sample, at3, sum3)
            if is_listed:
                for one in range(num_found):
                    neuron = found[one]
                    count = counts[neuron]
                    samples[neuron, count] = sample
                    hidden[neuron, count] = pre[sample, neuron]
                    counts[neuron] = count + 1


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
        samples: In which each neuron is active; see ``forward``. Shape ``[k, B]``.
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
