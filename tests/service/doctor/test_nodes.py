"""What is said of a cluster's machines, by facts made by hand; ``integration`` has real ones."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from service.cluster_nodes import NoAnswer, Node
from service.doctor import nodes
from service.doctor.finding import Finding
from service.ledger.clock import Reading, surest
from service.node import Facts

GIB = 2**30
HEAD = Node(
    node_id="1",
    host="a",
    address="10.0.0.1",
    is_head=True,
    is_alive=True,
    end="",
    num_cpus=0.0,
    num_gpus=0.0,
    object_store_bytes=GIB,
)
WORKER = replace(HEAD, node_id="2", host="b", address="10.0.0.2", is_head=False, num_cpus=4.0)
OTHER = replace(WORKER, node_id="3", host="c", address="10.0.0.3")
VERSIONS = {
    "python": "3.11.7",
    "ray": "2.60.0",
    "monosweep": "0.2.0",
    "torch": "2.13.0",
    "numpy": "2.4.6",
    "numba": "0.68.1",
    "processor": "Xeon",
}
FACTS = Facts(
    versions=VERSIONS,
    has_bfloat16=True,
    asks_for_a_token=True,
    memory_bytes=100 * GIB,
    free_memory_bytes=50 * GIB,
    disk_bytes=100 * GIB,
    free_disk_bytes=50 * GIB,
)


def with_versions(**changed: str) -> Facts:
    return replace(FACTS, versions={**VERSIONS, **changed})


def wrong(findings: list[Finding]) -> list[str]:
    return [finding.message for finding in findings if not finding.is_well]


def test_who_does_not_answer_is_named_with_the_reason() -> None:
    answers = {HEAD: FACTS, WORKER: FACTS, OTHER: NoAnswer("nothing was heard of it for 60 s")}
    (said,) = wrong(nodes.presence(list(answers), answers))
    assert said == "c (10.0.0.3) does not answer: nothing was heard of it for 60 s"
    assert wrong(nodes.presence([HEAD, WORKER], {HEAD: FACTS, WORKER: FACTS})) == []


def test_a_cluster_without_a_processor_for_cohorts_is_of_no_use() -> None:
    assert wrong(nodes.presence([HEAD], {HEAD: FACTS})) == ["No node lends a processor to cohorts."]


def test_who_left_is_told_and_is_nobodys_fault() -> None:
    gone = replace(OTHER, is_alive=False, end="health check failed")
    findings = nodes.presence([HEAD, WORKER, gone], {HEAD: FACTS, WORKER: FACTS})
    assert wrong(findings) == []
    assert "c (10.0.0.3): health check failed" in findings[-1].message


def test_another_version_of_what_changes_numbers_or_of_rays_is_wrong() -> None:
    for name in ("monosweep", "torch", "numpy", "numba", "python", "ray"):
        (said,) = wrong(
            nodes.versions(FACTS, {HEAD: FACTS, WORKER: with_versions(**{name: "9.9"})})
        )
        assert said.startswith(f"{name} is {VERSIONS[name]} here, but b (10.0.0.2) has 9.9")
    assert wrong(nodes.versions(FACTS, {HEAD: FACTS, WORKER: FACTS})) == []


def test_a_machine_with_an_earlier_monosweep_may_not_tell_of_all() -> None:
    earlier = replace(FACTS, versions={k: v for k, v in VERSIONS.items() if k != "numba"})
    (said,) = wrong(nodes.versions(FACTS, {HEAD: FACTS, WORKER: earlier}))
    assert said.startswith("numba is 0.68.1 here, but b (10.0.0.2) has none")


def test_kinds_of_processor_are_a_notice_among_those_that_train() -> None:
    epyc = with_versions(processor="EPYC")
    findings = nodes.versions(FACTS, {WORKER: FACTS, OTHER: epyc})
    assert wrong(findings) == []
    assert "2 kinds of processor (EPYC, Xeon)" in findings[-1].message
    # A head that takes no cohorts may be of any kind.
    assert len(nodes.versions(FACTS, {HEAD: epyc, WORKER: FACTS})) == 1


def test_a_machine_without_bfloat16_products_would_refuse_cohorts() -> None:
    without = replace(FACTS, has_bfloat16=False)
    (said,) = wrong(nodes.versions(FACTS, {WORKER: FACTS, OTHER: without}))
    assert "on c (10.0.0.3)" in said
    # Where nobody has them, nobody is asked for them.
    assert wrong(nodes.versions(without, {WORKER: without})) == []


def test_ray_without_a_token_is_wrong_unless_it_is_alone_on_loopback() -> None:
    without = replace(FACTS, asks_for_a_token=False)
    (said,) = wrong(nodes.tokens({HEAD: FACTS, WORKER: without}, None, None))
    assert "on b (10.0.0.2)" in said
    alone = replace(WORKER, address="127.0.0.1")
    assert wrong(nodes.tokens({alone: without}, "127.0.0.1:8265", 200)) == []


def test_a_dashboard_that_answers_without_a_token_is_wrong() -> None:
    asked: Mapping[Node, Facts] = {HEAD: FACTS}
    assert wrong(nodes.tokens(asked, "10.0.0.1:8265", 401)) == []
    (said,) = wrong(nodes.tokens(asked, "10.0.0.1:8265", 200))
    assert "10.0.0.1:8265" in said


def test_clocks_may_differ_by_what_the_answer_took_and_a_minute() -> None:
    assert wrong(nodes.clocks({WORKER: Reading(-60.5, 2.0)}, Reading(0.1, 0.01))) == []
    (said,) = wrong(nodes.clocks({WORKER: Reading(-62.0, 2.0)}, Reading(0.1, 0.01)))
    assert "b (10.0.0.2) -62000 ms (± 1000 ms)" in said
    (said,) = wrong(nodes.clocks({WORKER: Reading(0.0, 0.01)}, Reading(61.0, 0.01)))
    assert "the ledger's database +61000 ms" in said
    assert surest([Reading(5.0, 2.0), Reading(1.0, 0.5)]) == Reading(1.0, 0.5)


def test_memory_and_disks_that_ray_takes_for_full_are_wrong() -> None:
    full = replace(FACTS, free_memory_bytes=4 * GIB, free_disk_bytes=4 * GIB)
    assert wrong(nodes.fullness({HEAD: FACTS, WORKER: full})) == [
        "The memory of b (10.0.0.2) is more than 95% full.",
        "The disk of b (10.0.0.2) is more than 95% full.",
    ]
    assert wrong(nodes.fullness({HEAD: FACTS})) == []


@pytest.mark.parametrize("status", [404, 500, 502])
def test_a_dashboard_that_fails_does_not_ask_for_a_token(status: int) -> None:
    (said,) = wrong(nodes.tokens({HEAD: FACTS}, "10.0.0.1:8265", status))
    assert f"says nothing of its token, found status {status}" in said
