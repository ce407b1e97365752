"""How large the arrays are; imports neither torch nor numpy."""

from trainers.settings import Task, TrainingSettings

# Every width is padded to its own multiple of this, alone or in company: products and sums over
# neurons then run over the same length whatever other widths are in the cohort.
WIDTH_MULTIPLE = 64

# A chunk of the data stream is this many steps, or fewer where that would be more numbers than
# this (8 MB in float32); it depends on the task and the batch alone, never on the members.
CHUNK_STEPS = 32
CHUNK_NUMBERS = 2**21

# Weights of the second layer from which on passes through active neurons are worth the two to three
# seconds that it takes to compile them where that was not done before; what is smaller takes a
# fraction of a millisecond a step.
COMPILED_FROM = 2**15
# Their kernels take so many numbers as one: two registers of AVX, or a line of near memory.
NUM_LANES = 16
# Sums that one register of AVX takes.
NUM_SUMS = 8
# Neurons, and outputs, at a time: so many sums fit into a core's registers, and weights of so many
# neurons to so many outputs into half of its nearest memory.
AT_A_TIME = 4 * NUM_LANES
INPUTS_MULTIPLE = NUM_LANES
OUTPUTS_MULTIPLE = AT_A_TIME
# They keep the active pairs of so many samples.
SAMPLES_AT_A_TIME = 512

HELD_OUT_BLOCKS = 16
HELD_OUT_BLOCK_SIZE = 512


def padded_width(num_neurons: int) -> int:
    """Neurons with padding: the least multiple of ``WIDTH_MULTIPLE`` that holds them."""
    return -(-num_neurons // WIDTH_MULTIPLE) * WIDTH_MULTIPLE


def suits_sparse_passes(width: int, num_inputs: int, num_outputs: int) -> bool:
    """Whether a network of this (padded) width is better passed through by active neurons alone.

    ReLU networks on one thread of a processor are, in float32; see ``passes.choice``.
    """
    return (
        width * num_outputs >= COMPILED_FROM
        and num_inputs % INPUTS_MULTIPLE == 0
        and num_outputs % OUTPUTS_MULTIPLE == 0
    )


def list_stride(batch_size: int) -> int:
    """Numbers from one neuron's list of samples to the next one's: an odd number of lines.

    Lists that begin a power of two apart displace each other from near memory.
    """
    return (-(-batch_size // NUM_LANES) | 1) * NUM_LANES


def num_outputs_of(task: Task) -> int:
    """Outputs of a network."""
    return task.num_inputs if task.kind == "random_reprojector" else task.num_features


def num_weights(width: int, num_inputs: int, num_outputs: int) -> int:
    """Numbers in one network of a (padded) width."""
    return width * (num_inputs + 1 + num_outputs)


def chunk_steps(task: Task, settings: TrainingSettings) -> int:
    """Steps in one chunk of the data stream."""
    sample_numbers = task.num_inputs + task.num_features * task.feature_density
    fitting = int(CHUNK_NUMBERS / (settings.batch_size * sample_numbers))
    return max(1, min(CHUNK_STEPS, fitting))
