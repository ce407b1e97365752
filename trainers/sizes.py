"""How large the arrays are; imports neither torch nor numpy."""

from trainers.settings import Task, TrainingSettings

# Every width is padded to its own multiple of this, alone or in company: products and sums over
# neurons then run over the same length whatever other widths are in the cohort.
WIDTH_MULTIPLE = 64

# A chunk of the data stream is this many steps, or fewer where that would be more numbers than
# this (8 MB in float32); it depends on the task and the batch alone, never on the members.
CHUNK_STEPS = 32
CHUNK_NUMBERS = 2**21

HELD_OUT_BLOCKS = 16
HELD_OUT_BLOCK_SIZE = 512


def padded_width(num_neurons: int) -> int:
    """Neurons with padding: the least multiple of ``WIDTH_MULTIPLE`` that holds them."""
    return -(-num_neurons // WIDTH_MULTIPLE) * WIDTH_MULTIPLE


def num_weights(width: int, num_inputs: int, num_outputs: int) -> int:
    """Numbers in one network of a (padded) width."""
    return width * (num_inputs + 1 + num_outputs)


def chunk_steps(task: Task, settings: TrainingSettings) -> int:
    """Steps in one chunk of the data stream."""
    sample_numbers = task.num_inputs + task.num_features * task.feature_density
    fitting = int(CHUNK_NUMBERS / (settings.batch_size * sample_numbers))
    return max(1, min(CHUNK_STEPS, fitting))
