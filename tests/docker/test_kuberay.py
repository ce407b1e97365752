"""The manifests: by Kubernetes' and KubeRay's own schemas, and by laws of ours."""

import json
import re
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from yaml_files import documents

DATA = Path(__file__).parent / "data"
KUBERNETES = "1.33"


def pods(manifests: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What every pod is made from: a template with ``metadata`` and ``spec``."""
    for one in manifests:
        if one["kind"] == "Deployment":
            yield one["metadata"]["name"], one["spec"]["template"]
        if one["kind"] == "RayCluster":
            yield "head", one["spec"]["headGroupSpec"]["template"]
            for group in one["spec"]["workerGroupSpecs"]:
                yield group["groupName"], group["template"]


def of_kind(manifests: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in manifests if one["kind"] == kind]


def test_kubernetes_takes_them(manifests: list[dict[str, Any]]) -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    for one in manifests:
        if not one["apiVersion"].startswith("ray.io/"):
            kubernetes_validate.validate(one, KUBERNETES, strict=True)


def test_kuberay_takes_the_cluster(manifests: list[dict[str, Any]]) -> None:
    (cluster,) = of_kind(manifests, "RayCluster")
    schema = json.loads((DATA / "raycluster-v1.json").read_text(encoding="utf-8"))
    # Kubernetes drops keys that it does not know without a word: here they are mistakes.
    _refuse_unknown_keys(schema["properties"]["spec"])
    errors = jsonschema.Draft7Validator(schema).iter_errors(cluster)
    assert [f"{list(error.absolute_path)}: {error.message}" for error in errors] == []


def _refuse_unknown_keys(schema: Any) -> None:
    if isinstance(schema, dict):
        if "properties" in schema and "x-kubernetes-preserve-unknown-fields" not in schema:
            schema.setdefault("additionalProperties", False)
        for part in schema.values():
            _refuse_unknown_keys(part)
    elif isinstance(schema, list):
        for part in schema:
            _refuse_unknown_keys(part)


def test_all_of_them_are_applied_but_the_empty_secrets(folder: Path) -> None:
    (kustomization,) = documents(folder / "kuberay" / "kustomization.yaml")
    there = {path.name for path in (folder / "kuberay").glob("*.yaml")}
    assert {*kustomization["resources"]} == there - {"kustomization.yaml", "secrets.template.yaml"}


def test_the_templates_of_secrets_hold_none(manifests: list[dict[str, Any]]) -> None:
    secrets = of_kind(manifests, "Secret")
    assert {value for one in secrets for value in one["stringData"].values()} == {""}


def test_every_secret_and_key_that_is_mounted_has_a_template(
    manifests: list[dict[str, Any]],
) -> None:
    keys = {one["metadata"]["name"]: set(one["stringData"]) for one in of_kind(manifests, "Secret")}
    (cluster,) = of_kind(manifests, "RayCluster")
    used = {cluster["spec"]["authOptions"]["secretName"]}
    for name, pod in pods(manifests):
        mounted = {
            mount["mountPath"]: keys[volume["secret"]["secretName"]]
            for volume in pod["spec"]["volumes"]
            if "secret" in volume
            for mount in pod["spec"]["containers"][0]["volumeMounts"]
            if mount["name"] == volume["name"]
        }
        used |= {v["secret"]["secretName"] for v in pod["spec"]["volumes"] if "secret" in v}
        for variable in pod["spec"]["containers"][0]["env"]:
            if variable["value"].startswith("/run/secrets/"):
                place, _, key = variable["value"].rpartition("/")
                assert key in mounted[place], f"{name}: {variable['name']}"
    assert used == set(keys)


def test_every_pod_has_the_secrets_it_needs_and_no_other(manifests: list[dict[str, Any]]) -> None:
    found = {
        name: {one["secret"]["secretName"] for one in pod["spec"]["volumes"] if "secret" in one}
        for name, pod in pods(manifests)
    }
    # Ray's own token is given to its nodes by KubeRay.
    assert found == {
        "monosweep": {"monosweep-ledger", "monosweep-storage", "monosweep-ray"},
        "head": {"monosweep-ledger", "monosweep-storage"},
        "spot": {"monosweep-storage"},
    }


def test_every_pod_is_locked_down(manifests: list[dict[str, Any]]) -> None:
    """As the namespace enforces it (Pod Security Standards, restricted), and read-only too."""
    for name, pod in pods(manifests):
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True, name
        assert pod["spec"]["securityContext"]["runAsUser"] > 0, name
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod["spec"]["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }, name
            assert container["livenessProbe"], name
            assert container["readinessProbe"], name
            assert container["resources"]["limits"]["memory"], name
    (namespace,) = of_kind(manifests, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def _selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    assert set(selector) <= {"matchLabels", "matchExpressions"}
    wanted = {name: [value] for name, value in selector.get("matchLabels", {}).items()}
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In"
        wanted[expression["key"]] = expression["values"]
    return all(labels.get(name) in values for name, values in wanted.items())


def _labels(manifests: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Of every pod, with the one that KubeRay gives those of a cluster."""
    return {
        name: {
            **pod["metadata"]["labels"],
            **({} if name == "monosweep" else {"ray.io/cluster": "monosweep"}),
        }
        for name, pod in pods(manifests)
    }


def _allowed(manifests: list[dict[str, Any]], pod: str, direction: str) -> set[tuple[str, Any]]:
    """With whom a pod may talk, and at which port, by all policies together."""
    labels = _labels(manifests)
    peers = {"Ingress": "from", "Egress": "to"}[direction]
    found: set[tuple[str, Any]] = set()
    for policy in of_kind(manifests, "NetworkPolicy"):
        if not _selects(policy["spec"]["podSelector"], labels[pod]):
            continue
        for rule in policy["spec"].get(direction.lower(), []):
            assert direction in policy["spec"]["policyTypes"]
            who = {name for peer in rule.get(peers, [None]) for name in _named(peer, labels)}
            ports = {port["port"] for port in rule.get("ports", [{"port": "any"}])}
            found |= {(name, port) for name in who for port in ports}
    return found


def _named(peer: dict[str, Any] | None, labels: dict[str, dict[str, str]]) -> set[str]:
    if peer is None:
        return {"anybody"}
    assert set(peer) <= {"namespaceSelector", "podSelector"}
    if "namespaceSelector" not in peer:
        return {name for name, each in labels.items() if _selects(peer["podSelector"], each)}
    chosen = (peer["namespaceSelector"], peer.get("podSelector", {}))
    return {
        " ".join(str(value) for part in chosen for value in part.get("matchLabels", {}).items())
    }


INGRESS = "('monosweep.dev/ingress', 'true')"
KUBERAY = "('app.kubernetes.io/name', 'kuberay-operator')"
NAMES = ("('kubernetes.io/metadata.name', 'kube-system')", 53)
AMONG_RAY = {("head", "any"), ("spot", "any")}
STORAGE, POSTGRES, MLFLOW = ("anybody", 443), ("anybody", 5432), ("anybody", 5000)
KUBERNETES_ITSELF = ("anybody", 6443)


@pytest.mark.parametrize(
    ("pod", "asked_by", "asks"),
    [
        ("monosweep", {(INGRESS, 8700)}, {NAMES, ("head", 8265), STORAGE, POSTGRES, MLFLOW}),
        (
            "head",
            {("monosweep", 8265), (KUBERAY, 8265), *AMONG_RAY},
            {NAMES, *AMONG_RAY, STORAGE, POSTGRES, MLFLOW, KUBERNETES_ITSELF},
        ),
        # Neither the ledger nor MLflow, wherever they are.
        ("spot", AMONG_RAY, {NAMES, *AMONG_RAY, STORAGE}),
    ],
)
def test_nothing_talks_but_to_whom_it_may(
    manifests: list[dict[str, Any]],
    pod: str,
    asked_by: set[tuple[str, Any]],
    asks: set[tuple[str, Any]],
) -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in of_kind(manifests, "NetworkPolicy")}
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert _allowed(manifests, pod, "Ingress") == asked_by
    assert _allowed(manifests, pod, "Egress") == asks


def test_selectors_select_something(manifests: list[dict[str, Any]]) -> None:
    """A policy or a budget for pods that there are none of protects nobody."""
    labels = _labels(manifests).values()
    chosen = {
        f"{one['kind']} {one['metadata']['name']}": selector
        for one in manifests
        for key in ("podSelector", "selector")
        if (selector := one.get("spec", {}).get(key)) is not None
    }
    assert len(chosen) > 10
    for name, selector in chosen.items():
        # A service's is of labels alone.
        whole = {"matchLabels": selector} if name.startswith("Service ") else selector
        assert any(_selects(whole, pod) for pod in labels), name


def test_the_server_believes_the_ingress_about_callers(manifests: list[dict[str, Any]]) -> None:
    """Else the cookie is not kept to https, and all strangers are one."""
    (config,) = of_kind(manifests, "ConfigMap")
    assert ip_network(config["data"]["FORWARDED_ALLOW_IPS"]).prefixlen > 0
    server = dict(pods(manifests))["monosweep"]["spec"]["containers"][0]
    assert server["envFrom"] == [{"configMapRef": {"name": config["metadata"]["name"]}}]


def test_pods_that_are_told_to_end_have_time_to(manifests: list[dict[str, Any]]) -> None:
    from service.dispatch.jobs import STOP_WAIT_S

    told = {name: pod["spec"]["terminationGracePeriodSeconds"] for name, pod in pods(manifests)}
    assert told["head"] > STOP_WAIT_S
    assert min(told.values()) >= 30
    (cluster,) = of_kind(manifests, "RayCluster")
    (head,) = cluster["spec"]["headGroupSpec"]["template"]["spec"]["containers"]
    assert head["lifecycle"]["preStop"]["exec"]["command"][-1].startswith("drain;")


def test_workers_come_and_go_on_spot_machines(manifests: list[dict[str, Any]]) -> None:
    (cluster,) = of_kind(manifests, "RayCluster")
    assert cluster["spec"]["enableInTreeAutoscaling"] is True
    assert cluster["spec"]["autoscalerOptions"]["idleTimeoutSeconds"] > 0
    (group,) = cluster["spec"]["workerGroupSpecs"]
    assert 1 <= group["minReplicas"] < group["maxReplicas"]
    assert any("spot" in key for key in group["template"]["spec"]["nodeSelector"])


def test_the_probes_ask_what_needs_no_token(manifests: list[dict[str, Any]]) -> None:
    asked = {
        probe["httpGet"]["path"]
        for _, pod in pods(manifests)
        for container in pod["spec"]["containers"]
        for name, probe in container.items()
        if name.endswith("Probe")
    }
    assert asked == {"/v1/health", "/api/local_raylet_healthz"}


def test_rays_version_is_the_one_that_is_installed(manifests: list[dict[str, Any]]) -> None:
    (cluster,) = of_kind(manifests, "RayCluster")
    constraints = (DATA.parents[2] / "constraints.txt").read_text(encoding="utf-8")
    assert re.search(rf"^ray=={re.escape(cluster['spec']['rayVersion'])}$", constraints, re.M)
