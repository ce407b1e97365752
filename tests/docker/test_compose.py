"""The compose file: by the specification's own schema, and by laws of ours."""

import json
import re
import shutil
import subprocess
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import jsonschema
import pytest

DATA = Path(__file__).parent / "data"
# What each container may be given, and no other.
SECRETS = {
    "proxy": {"tls_certificate", "tls_key"},
    "server": {"ray_token", "s3_credentials", "ledger_url"},
    "head": {"ray_token", "s3_credentials", "ledger_url"},
    "worker": {"ray_token", "s3_credentials"},
    "mlflow": {"mlflow_url"},
    "postgres": {"postgres_password", "ledger_password", "mlflow_password"},
    "s3": {"s3_identities"},
    "bucket": {"s3_credentials"},
}


def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def test_it_keeps_to_the_specification(compose: dict[str, Any]) -> None:
    schema = json.loads((DATA / "compose-spec.json").read_text(encoding="utf-8"))
    errors = jsonschema.Draft202012Validator(schema).iter_errors(compose)
    assert [f"{list(error.absolute_path)}: {error.message}" for error in errors] == []


def test_only_the_proxy_is_published_and_only_over_tls(compose: dict[str, Any]) -> None:
    published = {name: one["ports"] for name, one in services(compose).items() if "ports" in one}
    assert published == {"proxy": ["443:8443"]}


def test_only_the_proxys_network_leads_outside(compose: dict[str, Any]) -> None:
    open_ones = [name for name, one in compose["networks"].items() if not one.get("internal")]
    assert open_ones == ["outside"]
    on_it = [name for name, one in services(compose).items() if "outside" in one["networks"]]
    assert on_it == ["proxy"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("proxy", other) for other in ("head", "worker", "postgres", "s3")),
        *(("worker", other) for other in ("proxy", "postgres", "mlflow")),
        *(("s3", other) for other in ("proxy", "postgres")),
    ],
)
def test_who_cannot_reach_whom(one: str, other: str, compose: dict[str, Any]) -> None:
    named = services(compose)
    assert not set(named[one]["networks"]) & set(named[other]["networks"])


def test_the_server_believes_the_proxy_alone_about_callers(compose: dict[str, Any]) -> None:
    def given(text: str) -> str:
        return re.sub(r"\$\{\w+:-(.*?)\}", r"\1", text)

    named = services(compose)
    believed = ip_address(given(named["server"]["environment"]["FORWARDED_ALLOW_IPS"]))
    assert believed == ip_address(given(named["proxy"]["networks"]["web"]["ipv4_address"]))
    (web,) = compose["networks"]["web"]["ipam"]["config"]
    assert believed in ip_network(given(web["subnet"]))
    # Nobody else is given it, however late the proxy comes.
    assert believed not in ip_network(given(web["ip_range"]))
    assert ip_network(given(web["ip_range"])).subnet_of(ip_network(given(web["subnet"])))


def test_every_container_is_locked_down(compose: dict[str, Any]) -> None:
    for name, one in services(compose).items():
        assert int(one["user"].partition(":")[0]) > 0, name
        assert one["read_only"] is True, name
        assert one["cap_drop"] == ["ALL"], name
        assert one.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else []), name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "pid", "network_mode", "devices", "env_file"} & set(one), name


def test_every_container_has_a_pinned_image_and_time_to_end(compose: dict[str, Any]) -> None:
    for name, one in services(compose).items():
        tag = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", one["image"]).rpartition(":")[2]
        assert re.match(r"\d", tag), f"{name}: {one['image']}"
        assert one["stop_grace_period"].endswith("s"), name


def test_every_container_that_stays_has_a_health_check(
    compose: dict[str, Any], folder: Path
) -> None:
    without = {
        name for name, one in services(compose).items() if "test" not in one.get("healthcheck", {})
    }
    # The image's own is the server's.
    assert without == {"server", "bucket"}
    assert "/v1/health" in (folder / "Dockerfile").read_text(encoding="utf-8")


def test_each_container_has_the_secrets_it_needs_and_no_other(compose: dict[str, Any]) -> None:
    assert {name: set(one["secrets"]) for name, one in services(compose).items()} == SECRETS


def test_the_servers_pages_link_to_mlflows(compose: dict[str, Any], folder: Path) -> None:
    named = services(compose)
    host = "https://${MONOSWEEP_HOST:-localhost}"
    assert named["server"]["environment"]["MONOSWEEP_MLFLOW_PAGES"] == f"{host}/mlflow/"
    assert f"--cors-allowed-origins {host}" in named["mlflow"]["command"][-1]
    assert "handle_path /mlflow/*" in (folder / "compose" / "Caddyfile").read_text()


def test_what_a_container_reads_is_given_to_it(compose: dict[str, Any]) -> None:
    for name, one in services(compose).items():
        said = json.dumps([one.get("command"), one.get("environment")])
        assert set(re.findall(r"/run/secrets/(\w+)", said)) <= set(one["secrets"]), name


def test_no_secret_is_in_an_environment(compose: dict[str, Any]) -> None:
    secret = re.compile(r"PASSWORD|SECRET|TOKEN|KEY|CREDENTIAL", re.IGNORECASE)
    for name, one in services(compose).items():
        for variable, value in one.get("environment", {}).items():
            if secret.search(variable):
                assert str(value).startswith("/run/secrets/"), f"{name}: {variable}"
            assert not re.search(r"://[^/\s]*:[^/\s]*@", str(value)), f"{name}: {variable}"


def test_a_head_that_is_told_to_end_has_time_for_what_its_drivers_have_time_for(
    compose: dict[str, Any],
) -> None:
    from service.dispatch.jobs import STOP_WAIT_S

    grace_s = {
        name: int(one["stop_grace_period"].removesuffix("s"))
        for name, one in services(compose).items()
    }
    drained_s = int(
        services(compose)["worker"]["environment"]["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"]
    )
    assert grace_s["head"] > STOP_WAIT_S
    assert grace_s["worker"] > drained_s >= STOP_WAIT_S


@pytest.mark.parametrize("host", ["sweeps.example.org", "192.0.2.7"])
def test_every_secret_that_it_names_is_made(
    host: str, compose: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl here")
    shutil.copy(folder / "make-secrets", tmp_path)
    command = [tmp_path / "make-secrets", host]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    made = tmp_path / "secrets"
    files = {path.name: path.read_text() for path in made.iterdir()}
    assert {f"./secrets/{name}" for name in files} == {
        one["file"] for one in compose["secrets"].values()
    }
    # The folder keeps everybody else out, so that each container's user can read its own.
    assert made.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in made.iterdir()} == {0o444}

    passwords = [files[n] for n in ("postgres_password", "ledger_password", "mlflow_password")]
    assert len({*passwords, files["ray_token"]}) == 4
    assert all(re.fullmatch("[0-9a-f]{64}", one) for one in (*passwords, files["ray_token"]))
    assert files["ledger_url"] == (
        f"postgresql+psycopg://monosweep:{files['ledger_password']}@postgres/monosweep"
    )
    assert (
        files["mlflow_url"]
        == f"postgresql+psycopg://mlflow:{files['mlflow_password']}@postgres/mlflow"
    )
    (identity,) = json.loads(files["s3_identities"])["identities"]
    (key,) = identity["credentials"]
    assert f"aws_access_key_id = {key['accessKey']}\n" in files["s3_credentials"]
    assert f"aws_secret_access_key = {key['secretKey']}\n" in files["s3_credentials"]
    _check_certificate(made, host)

    assert (tmp_path / ".env").read_text() == f"MONOSWEEP_HOST={host}\n"

    # A second time nothing changes; what was taken away is made anew, and alone.
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    (made / "ray_token").unlink()
    subprocess.run(command[:1], check=True, capture_output=True, timeout=60)
    assert (tmp_path / ".env").read_text() == f"MONOSWEEP_HOST={host}\n"
    again = {path.name: path.read_text() for path in made.iterdir()}
    assert {name for name in files if files[name] != again[name]} == {"ray_token"}


def _check_certificate(made: Path, host: str) -> None:
    """It is the host's, and the key is its own."""
    import ssl

    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
        made / "tls_certificate", made / "tls_key"
    )
    flag = "-checkip" if host[0].isdigit() else "-checkhost"
    checked = subprocess.run(
        ["openssl", "x509", "-noout", "-in", made / "tls_certificate", flag, host],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "does match" in checked.stdout
