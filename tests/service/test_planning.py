from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import trainers
from service.errors import UserError
from service.planning import (
    Calibration,
    Resolved,
    cohort_bytes,
    fastest,
    resolve,
    training_settings,
)
from service.room import RESERVED_BYTES, Machine, Room
from service.spec import Spec

MakeSpec = Callable[..., Spec]

SPACE = "search_space: bias_and_width"
COMPUTE = "compute: {cohort_size: 2, max_concurrent: 1}"
PLENTY = 2**36


@pytest.mark.parametrize(
    ("asked", "settled"),  # trials, processors of a cohort and in all; cohorts, trials in each
    [
        ((12, 1, 1), (1, 2)),  # four rounds of three would do; sizes are powers of two
        ((12, 1, 4), (4, 1)),  # three rounds would do with four workers
        ((13, 1, 1), (1, 4)),  # three rounds of four and one of one
        ((1, 1, 8), (8, 1)),
        ((4096, 1, 2), (2, 8)),  # one of 16 would train hardly more trials in an hour
        ((16, 2, 4), (2, 2)),  # two processors a cohort: two at a time
        ((16, 4, 2), (1, 1)),  # more than there are: one at a time, refused later by name
    ],
)
def test_auto_leaves_each_worker_four_rounds(
    make_spec: MakeSpec, asked: tuple[int, int, int], settled: tuple[int, int]
) -> None:
    num_trials, cpus, num_cpus = asked
    spec = make_spec(
        (COMPUTE, f"compute: {{cpus: {cpus}}}"), ("num_trials: 4", f"num_trials: {num_trials}")
    )
    resolved = resolve(spec, Room((Machine(num_cpus, PLENTY),)))
    assert (resolved.max_concurrent, resolved.cohort_size) == settled
    assert resolved.cpus == cpus
    assert resolved.step_s == {}


@pytest.mark.parametrize(
    ("num_steps", "size"),
    [
        (2**5, 16),  # what lies between two cohorts takes longer than their training
        (2**12, 1),
    ],
)
def test_on_processors_arithmetic_settles_the_size(
    make_spec: MakeSpec, num_steps: int, size: int
) -> None:
    def measure(calibration: Calibration) -> dict[int, float]:
        raise AssertionError(calibration)

    spec = make_spec(
        (COMPUTE, "early_stopping: null\ncompute: {cpus: 1}"),
        ("num_trials: 4", "num_trials: 64"),
        ("num_steps: 256", f"num_steps: {num_steps}"),
    )
    resolved = resolve(spec, Room((Machine(1, PLENTY),)), measure)
    assert (resolved.cohort_size, resolved.step_s) == (size, {})
    # A plan that nobody has run says the same.
    assert resolve(spec, Room((Machine(1, PLENTY),))) == resolved


ON_GPUS = "compute: {cpus: 3, gpus: 1}"
ONE_GPU = Room((Machine(3, PLENTY, num_gpus=1.0),))


def test_on_gpus_the_size_that_was_measured_to_be_fastest_is_taken(make_spec: MakeSpec) -> None:
    asked: list[Calibration] = []

    def measure(calibration: Calibration) -> dict[int, float]:
        asked.append(calibration)
        return {1: 0.004, 2: 0.002, 4: 0.001, 8: 0.001}

    spec = make_spec((COMPUTE, ON_GPUS), ("num_trials: 4", "num_trials: 64"))
    resolved = resolve(spec, ONE_GPU, measure)
    assert resolved.cohort_size == 4
    assert resolved.step_s == {"1": 0.004, "2": 0.002, "4": 0.001, "8": 0.001}
    (calibration,) = asked
    assert calibration.sizes == (1, 2, 4, 8, 16)
    assert (calibration.num_threads, calibration.replicates) == (3, 1)
    # bias_and_width goes from half to twice the model's 64 neurons.
    assert calibration.settings["num_neurons"] == 80
    assert calibration.training["num_steps"] == 256


@pytest.mark.parametrize("compute", ["cohort_size: 2", "max_concurrent: 64"])
def test_nothing_is_measured_where_there_is_no_choice(make_spec: MakeSpec, compute: str) -> None:
    def measure(calibration: Calibration) -> dict[int, float]:
        raise AssertionError(calibration)

    spec = make_spec((COMPUTE, f"compute: {{gpus: 1, {compute}}}"))
    room = Room((Machine(64, PLENTY, num_gpus=64.0),))
    assert resolve(spec, room, measure).step_s == {}


@pytest.mark.parametrize(
    ("step_s", "num_steps", "size"),
    [
        ({1: 1.0, 2: 0.9, 4: 0.5}, 1000, 4),
        ({1: 1.0, 2: 0.97, 4: 0.96}, 1000, 1),  # a cohort of one is less than a twentieth slower
        ({1: 1.0, 2: 1.2, 4: 1.4}, 1000, 1),
        # Steps of 1 ms, 50 of them: each trial of a cohort of one waits another 50 ms.
        ({1: 0.001, 2: 0.001, 4: 0.001, 16: 0.001}, 50, 16),
        ({1: 0.001, 2: 0.001, 4: 0.001, 16: 0.001}, 500, 2),  # 550, 525, 512 and 503 ms
        ({1: 0.001}, 50, 1),  # there was no time for more
    ],
)
def test_the_smallest_of_the_fastest(step_s: dict[int, float], num_steps: int, size: int) -> None:
    assert fastest(step_s, num_steps) == size


def test_a_size_that_early_stopping_halves_more_often_is_faster(make_spec: MakeSpec) -> None:
    """A step of a trial takes as long in any company, but larger cohorts do fewer of them."""
    spec = make_spec(
        (COMPUTE, "early_stopping: {first_step: 32}\ncompute: {cpus: 1}"),
        ("num_trials: 4", "num_trials: 64"),
        ("num_steps: 256", "num_steps: 262144"),
    )
    assert resolve(spec, Room((Machine(1, PLENTY),))).cohort_size == 16
    # Of fewer than four the best one is stopped too often.
    assert resolve(spec, Room((Machine(64, PLENTY),))).cohort_size == 4


def test_auto_never_plans_past_memory(make_spec: MakeSpec) -> None:
    """Whatever the memory, what is planned fits in it, or the file is refused."""
    spec = make_spec(
        # The larger a cohort, the earlier most of its trials are stopped: all memory is wanted.
        (COMPUTE, "early_stopping: {first_step: 32}\ncompute: {cpus: 1}"),
        ("num_trials: 4", "num_trials: 256"),
        ("num_steps: 256", "num_steps: 262144"),
        ("num_features: 64", "num_features: 4096"),  # so that a network counts
        ("num_neurons: 64", "num_neurons: 2048"),
    )
    one = cohort_bytes(spec, 4, "float32")
    planned = []
    for num_bytes in range(RESERVED_BYTES, RESERVED_BYTES + 16 * one, one // 12):
        try:
            resolved = resolve(spec, Room((Machine(4, num_bytes),)))
        except UserError:
            assert num_bytes - RESERVED_BYTES < one
            continue
        taken = cohort_bytes(spec, resolved.cohort_size, "float32") * resolved.max_concurrent
        assert taken <= num_bytes - RESERVED_BYTES
        planned.append((resolved.max_concurrent, resolved.cohort_size))
    assert planned[0] == (1, 4)
    assert planned[-1] == (4, 16)
    assert planned == sorted(planned)


def test_a_network_beyond_memory_is_refused_before_training(make_spec: MakeSpec) -> None:
    spec = make_spec(
        (COMPUTE, "compute: {cpus: 1}"),
        (SPACE, "search_space: {num_neurons: {int: [64, 60000]}}"),
        ("num_features: 64", "num_features: 8192"),
    )
    with pytest.raises(UserError) as refused:
        resolve(spec, Room((Machine(2, 8 * 2**30),)))
    # Weights and two moments of 60000 neurons of 8209 numbers each are 5.5 GiB alone.
    said = str(refused.value)
    assert "1 at a time (1 trial of up to 60000 neurons in each)" in said
    assert "8.0 GiB on the largest machine, of which 1.5 GiB are for the driver and Ray" in said
    assert said.endswith("What takes most is num_neurons: lower it.")


@pytest.mark.parametrize(
    ("replaced", "cause"),
    [
        (("num_inputs: 16", "num_inputs: 60000"), "task.num_inputs"),
        (("batch_size: 32", "batch_size: 1048576"), "training.batch_size"),
    ],
)
def test_what_takes_most_is_named(
    make_spec: MakeSpec, replaced: tuple[str, str], cause: str
) -> None:
    spec = make_spec(
        (COMPUTE, "compute: {cpus: 1}"), ("num_features: 64", "num_features: 65536"), replaced
    )
    with pytest.raises(UserError, match=f"What takes most is {cause}: lower it"):
        resolve(spec, Room((Machine(2, 8 * 2**30),)))


def test_what_merely_needs_no_compiler_is_not_to_blame(make_spec: MakeSpec) -> None:
    """With half the inputs passes would be whole products: a good deal less memory, once."""
    spec = make_spec(
        (COMPUTE, "compute: {cpus: 1}"),
        (SPACE, "search_space: {num_neurons: {int: [64, 1024]}}"),
        ("num_features: 64", "num_features: 128"),
    )
    with pytest.raises(UserError, match="What takes most is num_neurons: lower it"):
        resolve(spec, Room((Machine(2, RESERVED_BYTES + 300 * 2**20),)))


def test_a_cohort_larger_than_its_sweep_takes_no_more_memory_than_the_sweep(
    make_spec: MakeSpec,
) -> None:
    spec = make_spec((COMPUTE, "compute: {cohort_size: 65536}"))
    # The confirmation has most: baseline, finalist and one at the baseline's width on two seeds.
    assert cohort_bytes(spec, 65536, "float32") == cohort_bytes(spec, 6, "float32")


def test_what_was_asked_for_beyond_memory_is_refused_not_changed(make_spec: MakeSpec) -> None:
    spec = make_spec((COMPUTE, "compute: {cohort_size: 4, max_concurrent: 64}"))
    with pytest.raises(UserError, match=r"64 at a time \(4 trials of up to"):
        resolve(spec, Room((Machine(64, 8 * 2**30),)))
    assert resolve(spec, Room((Machine(64, PLENTY),))).max_concurrent == 64


def test_given_values_stay_as_given(make_spec: MakeSpec) -> None:
    spec = make_spec(
        (COMPUTE, "compute: {cohort_size: 5, max_concurrent: 7, cpus: 3, gpus: 0.5}"),
        ("search: {num_trials: 4}", "search: {num_trials: 4, sampler: random}"),
    )
    assert resolve(spec, Room((Machine(1, PLENTY),))) == Resolved(
        cohort_size=5,
        max_concurrent=7,
        sampler="random",
        precision="float32",
        device="cuda",
        cpus=3,
        gpus=0.5,
    )


def test_auto_sampler_is_tpe_and_without_gpus_the_device_is_the_processor(
    make_spec: MakeSpec,
) -> None:
    resolved = resolve(make_spec(), Room((Machine(1, PLENTY),)))
    assert (resolved.sampler, resolved.device, resolved.gpus) == ("tpe", "cpu", 0.0)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_precision_is_as_given(make_spec: MakeSpec, precision: str) -> None:
    spec = make_spec(("precision: float32", f"precision: {precision}"))
    assert resolve(spec, Room((Machine(1, PLENTY),))).precision == precision


def test_auto_precision_is_what_the_processor_multiplies_by_torchs_own_word(
    make_spec: MakeSpec,
) -> None:
    spec = make_spec(("precision: float32", "precision: auto"))
    expected = "bfloat16" if trainers.bfloat16_is_native() else "float32"
    assert resolve(spec, Room((Machine(1, PLENTY),))).precision == expected


def test_auto_precision_on_a_gpu_is_bfloat16(make_spec: MakeSpec) -> None:
    spec = make_spec(("precision: float32", "precision: auto"), (COMPUTE, "compute: {gpus: 1}"))
    assert resolve(spec, Room((Machine(1, PLENTY),))).precision == "bfloat16"


def test_what_is_resolved_reads_back_from_json(make_spec: MakeSpec) -> None:
    resolved = resolve(make_spec(), Room((Machine(3, PLENTY),)))
    assert Resolved(**resolved.as_json()) == resolved


def test_more_at_a_time_than_processors_takes_no_memory_for_the_rest(make_spec: MakeSpec) -> None:
    spec = make_spec((COMPUTE, "compute: {cohort_size: 4, max_concurrent: 64}"))
    assert resolve(spec, Room((Machine(2, 4 * 2**30),))).max_concurrent == 64


def test_a_cohort_must_fit_in_one_machine_not_in_all_together(make_spec: MakeSpec) -> None:
    spec = make_spec(
        (COMPUTE, "compute: {cpus: 1}"),
        ("num_features: 64", "num_features: 8192"),
        ("num_neurons: 64", "num_neurons: 8192"),
    )
    assert 4 * 2**30 < cohort_bytes(spec, 1, "float32") < 14 * 2**30
    with pytest.raises(UserError, match="on the largest machine"):
        resolve(spec, Room((Machine(1, 4 * 2**30),) * 4))
    room = Room((Machine(8, 4 * 2**30), Machine(8, 32 * 2**30)))
    resolved = resolve(spec, room)
    # All of them on the second machine.
    one = cohort_bytes(spec, resolved.cohort_size, "float32")
    assert 1 <= resolved.max_concurrent <= (32 * 2**30 - RESERVED_BYTES) // one


@pytest.mark.parametrize(("gpus", "at_a_time"), [("1", 2), ("0.5", 4), ("2", 1)])
def test_gpus_bound_the_cohorts_at_a_time(make_spec: MakeSpec, gpus: str, at_a_time: int) -> None:
    spec = make_spec((COMPUTE, f"compute: {{gpus: {gpus}}}"), ("num_trials: 4", "num_trials: 2048"))
    resolved = resolve(spec, Room((Machine(16, PLENTY, num_gpus=2.0),)))
    assert (resolved.max_concurrent, resolved.cohort_size) == (at_a_time, 64)


def test_what_cannot_be_measured_gets_one_trial_a_cohort(make_spec: MakeSpec) -> None:
    spec = make_spec((COMPUTE, ON_GPUS), ("num_trials: 4", "num_trials: 64"))
    assert resolve(spec, ONE_GPU, lambda _: {}).cohort_size == 1


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(8, 32).map(lambda k: 64 * k), st.sampled_from(["relu", "gelu"])),
        min_size=1,
        max_size=16,
    ),
    st.sampled_from([64, 8192]),
    st.booleans(),
)
def test_every_cohort_of_a_sweep_takes_what_is_foreseen_or_less(
    make_spec: MakeSpec, shapes: list[tuple[int, str]], batch_size: int, searched: bool
) -> None:
    """A search's cohort: any shapes on one seed; a baseline's: one shape on as many seeds."""
    spec = make_spec(
        (SPACE, "search_space: {num_neurons: {int: [512, 2048], step: 64}, "
         "nonlinearity: {choice: [relu, gelu]}}"),
        ("batch_size: 32", f"batch_size: {batch_size}"),
        ("num_trials: 4", "num_trials: 16"),
    )  # fmt: skip
    members = [
        trainers.Member(
            seed=0 if searched else seed,
            num_neurons=width if searched else 2048,
            nonlinearity=kind,
            learning_rate=0.01,
        )
        for seed, (width, kind) in enumerate(shapes)
    ]
    task = trainers.Task(**spec.task.model_dump())
    training = trainers.TrainingSettings(**training_settings(spec, "float32", "cpu"))
    taken = trainers.peak_bytes(task, training, members)
    taken += trainers.checkpoint_bytes(task, training, members)
    # Half of a kind and half unlike may take a little more than either.
    assert taken <= 1.05 * cohort_bytes(spec, len(members), "float32")
