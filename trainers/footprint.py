"""How much memory a cohort will need, said before it starts; imports neither torch nor numpy."""

from collections.abc import Sequence

from trainers.settings import Member, Task, TrainingSettings
from trainers.sizes import (
    HELD_OUT_BLOCK_SIZE,
    HELD_OUT_BLOCKS,
    SAMPLES_AT_A_TIME,
    chunk_steps,
    list_stride,
    num_outputs_of,
    num_weights,
    padded_width,
    suits_sparse_passes,
)

# A process that has imported torch and trained one small network; measured, CPU build, Linux.
RUNTIME_BYTES = 250 * 2**20
# What it takes to compile the passes through active neurons, which also evaluate: numba and LLVM.
# It is reckoned with where they were compiled before, too: that may have been on another machine.
COMPILER_BYTES = 125 * 2**20
FLOAT32 = 4
PRODUCT_BYTES = {"float32": 4, "bfloat16": 2}
NUM_MOMENTS = {"lamb": 2, "adam": 2, "adamw": 2, "sgd": 1}
# Of one non-zero feature: place and value, and while it is drawn its arrival, gap and row.
SPARSE_BYTES = 16
DRAWING_BYTES = 48


def peak_bytes(task: Task, settings: TrainingSettings, members: Sequence[Member]) -> int:
    """Most resident memory of a process that trains this cohort on a CPU and nothing else.

    Within a fifth of what was measured for each kind of task up to 64 networks or 2048 neurons.

    What a checkpoint takes meanwhile is not in it; see ``checkpoint_bytes``.

    Args:
        task: The task.
        settings: What the members share.
        members: The members.
    """
    num_outputs = num_outputs_of(task)
    is_compiled = any(
        _is_sparse(task, padded_width(one.num_neurons), one.nonlinearity, num_outputs)
        for one in members
    )
    runtime = RUNTIME_BYTES + COMPILER_BYTES * is_compiled
    return runtime + arrays_bytes(task, settings, members)


def arrays_bytes(task: Task, settings: TrainingSettings, members: Sequence[Member]) -> int:
    """What of ``peak_bytes`` are arrays: the part that grows with every size.

    Args:
        task: The task.
        settings: What the members share.
        members: The members.
    """
    num_outputs = num_outputs_of(task)
    kept = _kept_bytes(task, settings, members)
    # The weights once more: of 16 to 64 networks about so much more was measured with AMX.
    kept += kept // (1 + NUM_MOMENTS[settings.optimizer])
    shapes = {(padded_width(one.num_neurons), one.nonlinearity) for one in members}
    work = sum(_workspace_bytes(task, settings, *shape, num_outputs) for shape in shapes)
    seeds = {one.seed for one in members}
    samples = len(seeds) * _held_out_bytes(task, num_outputs)
    # While a network is made or judged, its noise or its responses are there a few times over.
    widest = max(shapes)[0]
    judged = 3 * num_weights(widest, task.num_inputs, num_outputs) * FLOAT32
    judged += _evaluation_bytes(task, widest, num_outputs)
    chunk = _chunk_bytes(task, settings, num_outputs)
    return kept + work + samples + chunk + judged


def checkpoint_bytes(task: Task, settings: TrainingSettings, members: Sequence[Member]) -> int:
    """What comes on top of ``peak_bytes`` while a checkpoint is made or read.

    The weights and moments twice more: as bytes of each array, and as those of the whole.

    Args:
        task: The task.
        settings: What the members share.
        members: The members.
    """
    return 2 * _kept_bytes(task, settings, members)


def _is_sparse(task: Task, width: int, nonlinearity: str, num_outputs: int) -> bool:
    """Whether networks of a shape are passed through by their active neurons, in float32."""
    return nonlinearity == "relu" and suits_sparse_passes(width, task.num_inputs, num_outputs)


def _kept_bytes(task: Task, settings: TrainingSettings, members: Sequence[Member]) -> int:
    """Weights and moments of all networks."""
    sizes = [padded_width(one.num_neurons) for one in members]
    numbers = sum(num_weights(width, task.num_inputs, num_outputs_of(task)) for width in sizes)
    return numbers * FLOAT32 * (1 + NUM_MOMENTS[settings.optimizer])


def _workspace_bytes(
    task: Task, settings: TrainingSettings, width: int, nonlinearity: str, num_outputs: int
) -> int:
    """Buffers of one step of the networks of one shape."""
    product = PRODUCT_BYTES[settings.precision]
    num_weights_each = num_weights(width, task.num_inputs, num_outputs)
    # In float32 a network's own weights are read, and its gradient is what the products write.
    in_products = 2 * product if settings.precision != "float32" else 0
    weights = num_weights_each * (in_products + 2 * FLOAT32)
    num_hidden = 2 if nonlinearity == "relu" else 3
    errors = product + (FLOAT32 if settings.precision != "float32" else 0)
    is_sparse = _is_sparse(task, width, nonlinearity, num_outputs)
    num_listed = list_stride(settings.batch_size) if is_sparse else settings.batch_size
    passes = num_listed * num_hidden * width * product
    passes += settings.batch_size * num_outputs * errors
    # oneDNN's float32 products come in an array of their own, and are copied from there. Passes
    # through active neurons keep which they are by neuron, and of some samples by sample too.
    rows = max(settings.batch_size, num_outputs)
    if is_sparse:
        rows = max(rows, 2 * min(settings.batch_size, SAMPLES_AT_A_TIME))
    product_rows = rows if settings.precision == "float32" else 0
    return weights + passes + product_rows * width * FLOAT32


def _samples_bytes(task: Task, num_samples: int, num_outputs: int, number: int) -> int:
    """Samples with ``number`` bytes in each."""
    inputs = num_samples * task.num_inputs * number
    if task.kind == "random_reprojector":
        return inputs + num_samples * num_outputs * number
    return int(inputs + num_samples * task.num_features * task.feature_density * SPARSE_BYTES)


def _held_out_bytes(task: Task, num_outputs: int) -> int:
    """What the members of one seed share."""
    projections = 2 * task.num_inputs * task.num_features * FLOAT32
    num_samples = HELD_OUT_BLOCKS * HELD_OUT_BLOCK_SIZE
    return projections + _samples_bytes(task, num_samples, num_outputs, FLOAT32)


def _chunk_bytes(task: Task, settings: TrainingSettings, num_outputs: int) -> int:
    """One chunk of the data stream, as drawn and as the products want it."""
    num_samples = chunk_steps(task, settings) * settings.batch_size
    drawn = _samples_bytes(task, num_samples, num_outputs, FLOAT32)
    drawing = num_samples * task.num_features * task.feature_density * DRAWING_BYTES
    converted = _samples_bytes(task, num_samples, num_outputs, PRODUCT_BYTES[settings.precision])
    return int(drawn + drawing + converted)


def _evaluation_bytes(task: Task, width: int, num_outputs: int) -> int:
    """One network's passes over a block of held-out samples, and its responses to features."""
    passes = HELD_OUT_BLOCK_SIZE * (2 * width + num_outputs) * FLOAT32
    return passes + 3 * width * task.num_features * FLOAT32
