"""The words that may be used agree with what there is, and cost nothing to read."""

import subprocess
import sys
from dataclasses import fields

import trainers
from trainers import evaluation, features, model, names, optimizers, precision, schedules, tasks


def test_each_name_has_its_function():
    assert tuple(tasks.TASKS) == names.TASK_KINDS
    assert tuple(features.DISTRIBUTIONS) == names.FEATURE_DISTRIBUTIONS
    assert tuple(model.NONLINEARITIES) == names.NONLINEARITIES
    assert tuple(optimizers.OPTIMIZERS) == names.OPTIMIZERS
    assert tuple(schedules.SCHEDULES) == names.SCHEDULES
    assert tuple(precision.PRODUCT_DTYPES) == names.PRECISIONS


def test_each_metric_is_a_field():
    assert tuple(field.name for field in fields(evaluation.Evaluation)) == names.METRICS
    assert ("steps", *names.METRICS) == tuple(field.name for field in fields(evaluation.Curve))


def test_public_names_can_all_be_had():
    for name in trainers.__all__:
        assert getattr(trainers, name) is not None


def test_reading_the_names_imports_neither_torch_nor_numpy():
    code = (
        "import sys, trainers, trainers.names; print(sorted({'torch', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
