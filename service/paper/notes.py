"""How a batch differs from the paper's own, in words."""

from collections.abc import Iterator, Sequence

from search_spaces.paper import BATCH_SIZE, NUM_STEPS, Batch
from service.paper.scaling import ScaledBatch, Scaling, decays, largest_decay
from service.wording import listed

# With fewer inputs hardly any neuron becomes monosemantic, whatever the settings.
INPUTS_THAT_SHOW = 16
# Steps from the top of the learning rate's cycle to its top again: the paper's runs end there.
CYCLE = 1024


def notes(scaled: ScaledBatch) -> tuple[str, ...]:
    """Size and budget of a batch and whatever differs from the paper's, a sentence each."""
    original, scaling = scaled.original, scaled.scaling
    return (
        *_size(original, scaled.batch, scaling.scale),
        *_length(scaling),
        *_bias_decay(original, scaling),
    )


def _size(original: Batch, batch: Batch, scale: int) -> Iterator[str]:
    neurons = listed_numbers(batch.values("num_neurons"))
    sizes = f"{batch.num_features} features, {batch.num_inputs} inputs, {neurons} neurons"
    if scale == 1:
        yield f"Size: {sizes}, the paper's own."
        return
    yield f"Size: {sizes}, the paper's divided by {scale}."
    densities = original.values("feature_density")
    active, papers = (
        " to ".join(dict.fromkeys(f"{end * size:.3g}" for end in (min(densities), max(densities))))
        for size in (batch.num_features, original.num_features)
    )
    yield (
        f"The feature density is the paper's, so a sample has {active} active features on average "
        f"instead of {papers}."
    )
    if batch.num_inputs < INPUTS_THAT_SHOW:
        yield (
            f"With fewer than {INPUTS_THAT_SHOW} inputs, here {batch.num_inputs}, hardly any "
            "neuron becomes monosemantic, whatever the settings."
        )


def _length(scaling: Scaling) -> Iterator[str]:
    steps, samples = scaling.num_steps, scaling.batch_size
    yield (
        f"Training: {steps} steps{_times(steps, NUM_STEPS)} on batches of {samples}"
        f"{_times(samples, BATCH_SIZE)}, {_seeds(scaling.num_seeds)}."
    )
    if steps % CYCLE:
        yield (
            f"{steps} steps are no multiple of {CYCLE}: training ends elsewhere in the learning "
            "rate's cycle than the paper's, which ends at its top."
        )


def listed_numbers(values: Sequence[float]) -> str:
    """``0.001, 0.003 and 0.005``."""
    return listed(f"{value:.4g}" for value in values)


def _seeds(num_seeds: int) -> str:
    return "one seed a point" if num_seeds == 1 else f"{num_seeds} seeds a point"


def _times(mine: int, papers: int) -> str:
    """A number beside the paper's: `` (1/16 of the paper's 131072)``."""
    if mine == papers:
        return " (the paper's)"
    share = f"1/{papers // mine} of" if papers % mine == 0 else f"{mine / papers:.3g} times"
    return f" ({share} the paper's {papers})"


def _bias_decay(original: Batch, scaling: Scaling) -> Iterator[str]:
    """How the bias decay was adjusted, and where the cap bit."""
    papers = original.values("bias_decay")
    if not any(papers) or scaling.num_steps == NUM_STEPS:
        return
    adjusted = decays(original, scaling.num_steps)
    longer = NUM_STEPS / scaling.num_steps
    product = f"{listed_numbers(papers)} times {longer:.6g}"
    alike = f"as much in all over {'fewer' if longer > 1.0 else 'more'} steps as the paper's"
    capped = [
        paper for paper, decay in zip(papers, adjusted, strict=True) if decay < paper * longer
    ]
    if not capped:
        yield f"Bias decay: {listed_numbers(adjusted)}, the paper's {product}, which pulls {alike}."
        return
    most, rate = largest_decay(original), max(original.values("learning_rate"))
    yield (
        f"Bias decay: {listed_numbers(adjusted)}. The paper's {product} would pull {alike}, but it "
        f"is capped at {most * rate:g} / {rate:g} = {most:.4g}, so that bias decay times the "
        f"learning rate stays below 1: {listed_numbers(capped)} pulls less here than in the paper."
    )
    num_same = len(adjusted) - len(set(adjusted))
    if num_same:
        yield f"Capped values that have become the same are one: the grid has {num_same} fewer."
