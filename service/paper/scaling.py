"""A batch of the paper's made smaller and shorter."""

from dataclasses import dataclass, replace

from search_spaces.named import LARGEST_PULL_PER_STEP
from search_spaces.paper import BATCH_SIZE, NUM_STEPS, Batch, Grid
from service.errors import UserError
from service.spec.parts import MAX_BATCH_SIZE, MAX_SEEDS, MAX_STEPS

MIN_INPUTS = 2
MIN_STEPS = 2


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """How much smaller and shorter than the paper's a batch is trained.

    Attributes:
        scale: Divides features, inputs and neurons together.
        num_steps: Training steps of each network.
        batch_size: Samples in each step.
        num_seeds: Networks trained at each point, on seeds of their own.
    """

    scale: int = 1
    num_steps: int = NUM_STEPS
    batch_size: int = BATCH_SIZE
    num_seeds: int = 1

    def options(self, usual: "Scaling") -> tuple[tuple[str, int], ...]:
        """Options of the command that ask for it: name and value.

        Args:
            usual: What the command trains without options, which goes without saying.
        """
        asked = (
            ("--scale", self.scale, usual.scale),
            ("--steps", self.num_steps, usual.num_steps),
            ("--batch-size", self.batch_size, usual.batch_size),
            ("--seeds", self.num_seeds, usual.num_seeds),
        )
        return tuple((name, value) for name, value, without in asked if value != without)


# What a batch is trained at where nothing else is asked for.
PAPERS_OWN = Scaling()


@dataclass(frozen=True, kw_only=True)
class ScaledBatch:
    """A batch as it is trained.

    Attributes:
        batch: Its settings at this size and length.
        original: The paper's own.
        scaling: What was asked for.
    """

    batch: Batch
    original: Batch
    scaling: Scaling


def scaled(original: Batch, scaling: Scaling) -> ScaledBatch:
    """A batch of the paper's at another size and length.

    Features, inputs and neurons are divided together. The bias decay grows as the training gets
    shorter, so that biases feel the same pull in all; at most so far that no step takes more than
    half of a bias away.

    Raises:
        UserError: If a number is out of range, the sizes cannot be divided so, or too few inputs
            are left.
    """
    _check_ranges(scaling)
    _check_divides(original, scaling.scale)
    pulls = decays(original, scaling.num_steps)
    batch = replace(
        original,
        num_features=original.num_features // scaling.scale,
        num_inputs=original.num_inputs // scaling.scale,
        num_neurons=_narrower(original.num_neurons, scaling.scale),
        bias_decay=tuple(dict.fromkeys(pulls)) if "bias_decay" in original.grids else pulls[0],
    )
    return ScaledBatch(batch=batch, original=original, scaling=scaling)


def _narrower(widths: int | Grid, scale: int) -> int | Grid:
    return (
        tuple(int(width) // scale for width in widths)
        if isinstance(widths, tuple)
        else widths // scale
    )


def _check_ranges(scaling: Scaling) -> None:
    for option, value, low, high in (
        ("--steps", scaling.num_steps, MIN_STEPS, MAX_STEPS),
        ("--batch-size", scaling.batch_size, 1, MAX_BATCH_SIZE),
        ("--seeds", scaling.num_seeds, 1, MAX_SEEDS),
    ):
        if not low <= value <= high:
            raise UserError(
                f"{option} must be from {low} to {high}, found {value}. "
                f"{'Raise' if value < low else 'Lower'} it."
            )


def _check_divides(batch: Batch, scale: int) -> None:
    if _divides(batch, scale):
        return
    widths = batch.values("num_neurons")
    neurons = " to ".join(dict.fromkeys(f"{width:g}" for width in (widths[0], widths[-1])))
    fitting = [str(other) for other in range(1, batch.num_inputs + 1) if _divides(batch, other)]
    raise UserError(
        f"--scale must divide {batch.num_features} features, {batch.num_inputs} inputs and "
        f"{neurons} neurons into whole numbers and leave at least {MIN_INPUTS} inputs, found "
        f"{scale} ({batch.name}). Take one of {', '.join(fitting)}."
    )


def _divides(batch: Batch, scale: int) -> bool:
    sizes = (batch.num_features, batch.num_inputs, *batch.values("num_neurons"))
    return 1 <= scale <= batch.num_inputs // MIN_INPUTS and not any(size % scale for size in sizes)


def decays(original: Batch, num_steps: int) -> list[float]:
    """The bias decays of so many steps, one for each of the paper's; some may be capped."""
    most = largest_decay(original)
    longer = NUM_STEPS / num_steps
    return [min(decay * longer, most) for decay in original.values("bias_decay")]


def largest_decay(batch: Batch) -> float:
    """With which half of a bias is gone in a step at the batch's largest learning rate."""
    return LARGEST_PULL_PER_STEP / max(batch.values("learning_rate"))
