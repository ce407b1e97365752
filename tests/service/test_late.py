import subprocess
import sys

import pytest

import service
from service.late import importer
from trainers import names


def test_a_name_is_that_of_the_module_that_it_is_in() -> None:
    get = importer("trainers", {"METRICS": "names"})
    assert get("METRICS") is names.METRICS
    with pytest.raises(AttributeError, match="module 'trainers' has no attribute 'METRIC'"):
        get("METRIC")


def test_a_module_may_not_stand_in_the_place_of_a_name() -> None:
    with pytest.raises(AssertionError, match="trainers: a module is called like a name"):
        importer("trainers", {"names": "names"})


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    code = (
        "import sys, service, service.tracking, service.search\n"
        "print(*{name.partition('.')[0] for name in sys.modules})\n"
        "assert service.load_spec.__module__ == 'service.spec.spec'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"mlflow", "optuna", "ray", "torch", "sqlalchemy"} & set(done.stdout.split())


def test_all_that_a_package_offers_is_there() -> None:
    for name in service.__all__:
        assert getattr(service, name).__name__ == name
    with pytest.raises(AttributeError, match="module 'service' has no attribute 'Sweep'"):
        service.Sweep  # noqa: B018
