"""How long a training takes, by arithmetic alone."""

from service.spec import Spec
from trainers.settings import Task
from trainers.sizes import (
    HELD_OUT_BLOCK_SIZE,
    HELD_OUT_BLOCKS,
    num_outputs_of,
    padded_width,
    suits_sparse_passes,
)

# Rates of a core, for estimates and the size of cohorts, as measured on a server processor of
# today: its matrix products; what a step takes beside them, as such and for each weight that it
# moves; evaluations, by their products (always float32) and the outputs they compare; and samples
# and projections, by the features that they are of.
GFLOPS = {"float32": 80.0, "bfloat16": 350.0}
# As if: what is done for active neurons alone, in products that would be whole otherwise.
SPARSE_GFLOPS = 160.0
STEP_OVERHEAD_S = 0.0004
STEP_S_PER_WEIGHT = 1.1e-9
EVALUATION_GFLOPS = 140.0
EVALUATION_S_PER_OUTPUT = 0.7e-9
BEGIN_S_PER_FEATURE = 1e-4


def training_s(spec: Spec, num_neurons: float, precision: str, cpus: int) -> float:
    """Seconds to train one network on the cores of one cohort.

    Five matrix products a step: two forward, three backward; of ReLU networks in float32 on one
    core mostly for active neurons alone. Short trainings of many features are mostly evaluations,
    of which there is one at each power of two of the steps.

    Args:
        spec: The sweep file.
        num_neurons: Its width.
        precision: Of the matrix products.
        cpus: Cores of a cohort.
    """
    task, num_steps, cores = spec.task, spec.training.num_steps, 1e9 * cpus
    num_weights = num_neurons * (task.num_inputs + task.num_features)
    products = 2 * task.num_inputs + 3 * task.num_features
    flop = 2.0 * spec.training.batch_size * num_neurons * products
    gflops = SPARSE_GFLOPS if _is_sparse(spec, num_neurons, precision, cpus) else GFLOPS[precision]
    step_s = flop / (gflops * cores)
    step_s += num_weights * STEP_S_PER_WEIGHT + STEP_OVERHEAD_S
    held_out = HELD_OUT_BLOCKS * HELD_OUT_BLOCK_SIZE
    evaluation_s = 2.0 * held_out * num_weights / (EVALUATION_GFLOPS * cores)
    evaluation_s += held_out * task.num_features * EVALUATION_S_PER_OUTPUT
    begin_s = task.num_features * BEGIN_S_PER_FEATURE
    return begin_s + num_steps * step_s + (num_steps.bit_length() + 1) * evaluation_s


def _is_sparse(spec: Spec, num_neurons: float, precision: str, cpus: int) -> bool:
    """Whether networks of this width are passed through by their active neurons alone."""
    task, width = Task(**spec.task.model_dump()), padded_width(round(num_neurons))
    return (
        precision == "float32"
        and cpus == 1
        and spec.model.nonlinearity == "relu"
        and suits_sparse_passes(width, task.num_inputs, num_outputs_of(task))
    )
