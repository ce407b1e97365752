"""Asks whether anything is known against the versions that ``constraints.txt`` pins.

Run by ``make check``. What is known is asked of OSV, which has the advisories of PyPI and GitHub.
Where nobody answers that is said in a line, and is no failure: a machine without a way out can be
worked on. Only a vulnerability that is known fails, unless it is below, with the reason why it is
none here.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

OSV = "https://api.osv.dev/v1/query"
PINNED = Path("constraints.txt")
# By the advisory's id: why it does not apply.
ACCEPTED: Mapping[str, str] = {}
# For ever on record: an answer without anything on it is none.
VULNERABLE = {"package": {"name": "pip", "ecosystem": "PyPI"}, "version": "19.0"}
PATIENCE_S = 5
_AWAY = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "HTTPError", "ServiceError")


def away(osv: str) -> str | None:
    """Why nobody tells of vulnerabilities; None if somebody does."""
    try:
        answer = httpx.post(osv, json=VULNERABLE, timeout=PATIENCE_S)
        answer.raise_for_status()
        is_known = bool(answer.json().get("vulns"))
    except (httpx.HTTPError, ValueError, AttributeError) as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return None if is_known else "what answers there knows nothing"


def audit(pinned: Path, *, osv: str, accepted: Mapping[str, str]) -> int:
    """Print what is known against pinned packages, or why that was not found out.

    Args:
        pinned: Packages with their versions, one a line.
        osv: Who is asked.
        accepted: Advisories that do not apply, each with the reason.

    Returns:
        0 if nothing is known, or nobody tells; 1 else.
    """
    reason = away(osv)
    if reason is not None:
        print(f"dependencies were not audited: no advisories at {osv} ({reason})")
        return 0
    ignored = [word for one in accepted for word in ("--ignore-vuln", one)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip_audit", "--requirement", str(pinned)),
            *("--no-deps", "--disable-pip", "--strict", "--progress-spinner", "off"),
            *("--vulnerability-service", "osv", "--osv-url", osv, "--timeout", str(PATIENCE_S)),
            *("--format", "json", "--desc", "off"),
            *ignored,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        found = json.loads(done.stdout)["dependencies"]
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        is_away = any(name in done.stderr for name in _AWAY)
        print(f"dependencies were not audited: {last}", file=sys.stdout if is_away else sys.stderr)
        return 0 if is_away else 1
    known = [(one, vulnerability) for one in found for vulnerability in one.get("vulns", ())]
    for one, vulnerability in known:
        mended = ", ".join(vulnerability["fix_versions"]) or "no version"
        print(
            f"{one['name']} {one['version']}: {vulnerability['id']}, mended in {mended}. Raise it "
            "in constraints.txt, or say in tests/audit/dependencies.py why it does not apply.",
            file=sys.stderr,
        )
    if not known:
        print(f"nothing is known against {len(found)} packages but {len(accepted)} accepted")
    return 1 if known else 0


if __name__ == "__main__":
    sys.exit(audit(PINNED, osv=OSV, accepted=ACCEPTED))
