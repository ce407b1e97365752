from collections.abc import Callable

import pytest

from service.estimate import START_UP_S, estimate
from service.phases import BaselinePhase, ConfirmationPhase
from service.planning import resolve
from service.room import Machine, Room
from service.spec import Spec
from service.training_time import training_s
from service.trials import Trial

MakeSpec = Callable[..., Spec]

COMPUTE = "compute: {cohort_size: 2, max_concurrent: 1}"
SPACE = "search_space: bias_and_width"
FIXED_WIDTH = "search_space: {initial_bias: {float: [-1.0, 0.0]}}"
ENQUEUED = "num_trials: 4, enqueue: [{initial_bias: -0.5}]"
ROOM = Room((Machine(1, 2**36),))


def trainings(spec: Spec) -> dict[str, int]:
    return dict(estimate(spec, resolve(spec, ROOM)).trainings)


def test_trainings_with_a_given_baseline(make_spec: MakeSpec) -> None:
    # Two baseline seeds; four trials; baseline, finalist and one of the baseline's width, 2 seeds.
    assert trainings(make_spec()) == {"baseline": 2, "search": 4, "confirmation": 6}


def test_every_replicate_is_a_training(make_spec: MakeSpec) -> None:
    spec = make_spec(
        ("num_trials: 4", "num_trials: 5, replicates: 3"),
        ("baseline: {num_seeds: 2}", "baseline: {num_seeds: 3}"),
    )
    assert trainings(spec) == {"baseline": 3, "search": 15, "confirmation": 6}


@pytest.mark.parametrize(
    ("rate", "decay", "num_trainings"),
    [
        (0.02, "", 13),  # seven rates on the first seed, two of them on three more
        (0.04, "", 14),  # and the given one, which is not among the seven
        (0.01, "bias_decay: 60.0, ", 10 + 1),  # 0.02 * 60 and 0.03 * 60 would turn biases round
    ],
)
def test_trainings_with_a_tuned_baseline(
    make_spec: MakeSpec, rate: float, decay: str, num_trainings: int
) -> None:
    spec = make_spec(
        (SPACE, f"search_space: {{{decay}initial_bias: {{float: [-1.0, 0.0]}}}}"),
        ("baseline: {num_seeds: 2}", "baseline: {learning_rate: tuned, num_seeds: 4}"),
        ("learning_rate: 0.02", f"learning_rate: {rate}"),
    )
    assert trainings(spec)["baseline"] == num_trainings


def test_a_search_at_the_baselines_width_confirms_no_third_candidate(
    make_spec: MakeSpec, make_trial: Callable[..., Trial]
) -> None:
    """Every finalist has the baseline's width: it and the finalist, on two seeds each."""
    spec = make_spec((SPACE, FIXED_WIDTH))
    assert trainings(spec)["confirmation"] == 4
    trial = make_trial("search", 0, loss_ratio=1.0, monosemantic_per_feature=0.5)
    phase = ConfirmationPhase(spec, BaselinePhase(spec)._settings, [trial])
    assert phase.num_trials == 4


def test_an_enqueued_point_may_be_one_more_to_confirm(
    make_spec: MakeSpec, make_trial: Callable[..., Trial]
) -> None:
    """Baseline, finalist, one of the baseline's width and the enqueued one, on two seeds each."""
    point = "enqueue: [{initial_bias: -0.5, bias_decay: 1.0, num_neurons: 96}]"
    spec = make_spec(("num_trials: 4", f"num_trials: 4, {point}"))
    assert trainings(spec)["confirmation"] == 8
    widths = {0: 96, 1: 64, 2: 128}
    trials = [
        make_trial(
            "search",
            number,
            settings={"num_neurons": width},
            loss_ratio=1.0,
            monosemantic_per_feature=width / 256,
        )
        for number, width in widths.items()
    ]
    phase = ConfirmationPhase(spec, BaselinePhase(spec)._settings, trials)
    assert [one.role for one in phase.candidates] == [
        "baseline",
        "search/2",
        "search/1 at 64",
        "search/0 as enqueued",
    ]
    assert phase.num_trials == 8
    # At the baseline's own width alone: baseline, finalist and the enqueued one.
    own = make_spec((SPACE, FIXED_WIDTH), ("num_trials: 4", ENQUEUED))
    assert trainings(own)["confirmation"] == 6


def memory(spec: Spec) -> int:
    return estimate(spec, resolve(spec, ROOM)).cohort_bytes


def test_memory_grows_by_more_than_weights_moments_and_their_checkpoint(
    make_spec: MakeSpec,
) -> None:
    # 128 neurons of 16 inputs, 64 outputs and a bias: weights and two moments, 4 bytes each.
    network = 128 * (16 + 64 + 1) * 3 * 4
    more = memory(make_spec(("cohort_size: 2", "cohort_size: 12"))) - memory(make_spec())
    assert more >= 10 * 3 * network


@pytest.mark.parametrize(
    "space",
    [
        "{num_neurons: {int: [64, 1024]}}",
        "{num_neurons: {choice: [64, 1024]}}",
        "{num_neurons: 1024, initial_bias: {float: [-1.0, 0.0]}}",
    ],
)
def test_memory_is_that_of_the_widest_however_the_width_is_written(
    make_spec: MakeSpec, space: str
) -> None:
    written = make_spec((SPACE, f"search_space: {space}"))
    widest = make_spec((SPACE, FIXED_WIDTH), ("num_neurons: 64", "num_neurons: 1024"))
    # Shapes of their own have small workspaces of their own.
    assert memory(written) == pytest.approx(memory(widest), rel=0.02)


def test_replicates_take_memory_of_their_own(make_spec: MakeSpec) -> None:
    one = make_spec((COMPUTE, "compute: {cohort_size: 4}"))
    two = make_spec(
        (COMPUTE, "compute: {cohort_size: 2}"),
        ("num_trials: 4", "num_trials: 4, replicates: 2"),
    )
    assert memory(one) == pytest.approx(memory(two), rel=0.02)


def test_time_grows_with_steps_and_shrinks_with_workers(make_spec: MakeSpec) -> None:
    def all_s(*replaced: tuple[str, str]) -> float:
        spec = make_spec(*replaced)
        return estimate(spec, resolve(spec, ROOM)).seconds - START_UP_S

    once = all_s()
    assert once > 0
    assert 2 * once < all_s(("num_steps: 256", "num_steps: 768")) < 3 * once
    assert all_s(("max_concurrent: 1", "max_concurrent: 2")) == pytest.approx(once / 2)


# Features, inputs, neurons, batch, steps, and the seconds they took on one core of an AMD EPYC with
# AVX-512, in bfloat16, beginning included; other work was going on.
MEASURED = [
    (64, 16, 64, 32, 1024, 0.29),
    (256, 32, 512, 256, 1024, 1.43),
    (512, 64, 1024, 256, 1024, 4.45),
    (1024, 64, 1024, 256, 32, 1.13),
    (2048, 64, 512, 64, 256, 1.99),
    (8192, 64, 64, 32, 8, 1.31),
    (8192, 64, 64, 32, 256, 2.15),
    (8192, 64, 512, 32, 256, 6.76),
    (8192, 64, 512, 256, 32, 3.60),
]


@pytest.mark.parametrize("measured", MEASURED, ids=str)
def test_a_training_takes_about_as_long_as_foreseen(
    make_spec: MakeSpec, measured: tuple[int, int, int, int, int, float]
) -> None:
    features, inputs, neurons, batch, steps, seconds = measured
    spec = make_spec(
        ("num_features: 64, num_inputs: 16", f"num_features: {features}, num_inputs: {inputs}"),
        ("num_neurons: 64", f"num_neurons: {neurons}"),
        ("batch_size: 32", f"batch_size: {batch}"),
        ("num_steps: 256", f"num_steps: {steps}"),
        ("precision: float32", "precision: bfloat16"),
    )
    foreseen = training_s(spec, neurons, "bfloat16", 1)
    assert seconds / 2 < foreseen < 2 * seconds


def test_relu_networks_in_float32_are_foreseen_by_their_active_neurons(
    make_spec: MakeSpec,
) -> None:
    """2.4 s on one core of an AMD EPYC with AVX2; whole products took 4.9 s there."""
    large = (
        ("num_features: 64, num_inputs: 16", "num_features: 256, num_inputs: 32"),
        ("num_neurons: 64", "num_neurons: 512"),
        ("batch_size: 32", "batch_size: 256"),
        ("num_steps: 256", "num_steps: 1024"),
    )
    relu = make_spec(*large)
    foreseen = training_s(relu, 512, "float32", 1)
    assert 2.4 / 2 < foreseen < 2 * 2.4
    gelu = make_spec(*large, ("num_neurons: 512", "num_neurons: 512, nonlinearity: gelu"))
    assert training_s(gelu, 512, "float32", 1) > 1.3 * foreseen
    # Whole products, on two cores: not half of what those of active neurons take on one.
    assert training_s(relu, 512, "float32", 2) > 0.6 * foreseen


def test_early_stopping_shortens_the_search_alone(make_spec: MakeSpec) -> None:
    """Of 256 steps two trials are trained 128 and one is trained 128 more: three quarters."""

    def search_s(early_stopping: str) -> float:
        def seconds(num_trials: int) -> float:
            spec = make_spec(
                ("num_trials: 4", f"num_trials: {num_trials}"),
                (COMPUTE, f"early_stopping: {early_stopping}\n{COMPUTE}"),
            )
            return estimate(spec, resolve(spec, ROOM)).seconds

        return seconds(40) - seconds(20)

    assert search_s("{first_step: 128}") == pytest.approx(0.75 * search_s("null"))


def test_the_estimate_is_what_a_life_trains(
    make_spec: MakeSpec, make_trial: Callable[..., Trial]
) -> None:
    """The phases themselves ask for as many, with a finalist that is not of the model's width."""
    spec = make_spec()
    trial = make_trial(
        "search", 0, settings={"num_neurons": 96}, loss_ratio=1.0, monosemantic_per_feature=0.5
    )
    phase = ConfirmationPhase(spec, BaselinePhase(spec)._settings, [trial])
    assert len(phase.missing([], 99)) == trainings(spec)["confirmation"]
    assert len(BaselinePhase(spec).missing([], 99)) == trainings(spec)["baseline"]
