"""Programs that a cluster runs for a server: what is needed of them, and Ray's."""

import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, Protocol

from service.errors import ClusterAwayError, ClusterTroubleError, UserError
from service.home import without_password

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

Status = Literal["pending", "running", "ended"]

# How long a driver that is asked to stop has for the checkpoints of what is at work, which may go
# to a bucket far away; Ray's own 3 s are too short. Whoever ends machines must leave it as much.
STOP_WAIT_S = 120
CONNECT_S = 3.05
# The head's agent is asked in turn, and its first job lets it connect to the cluster.
ANSWER_S = 10.0
NUM_LAST_LINES = 5
_STATUS: dict[str, Status] = {"PENDING": "pending", "RUNNING": "running"}
_ADDRESS = re.compile(r"https?://[^/\s]+")
# Not of any 404, which another program would say as well.
_NOT_FOUND = re.compile(r"status code 404: Job \S+ does not exist")
_PREFACES = re.compile(r"last available logs[^\n]*:\n|Running entrypoint for job [^\n]*\n")


@dataclass(frozen=True)
class JobState:
    """Where a job stands.

    Attributes:
        status: ``pending`` until its program runs, ``ended`` however that came.
        exit_code: What its program ended with, negative for a signal; None if nobody was told, as
            of one that was stopped.
        message: What is said of its end, in words for people, or None.
    """

    status: Status
    exit_code: int | None
    message: str | None


class Jobs(Protocol):
    """What a server needs of a cluster; every call answers or raises in a few seconds.

    All raise ``ClusterAwayError`` if the cluster does not answer now, or does not let us in, and
    its kind ``ClusterTroubleError`` if it answers that it cannot. Safe for several threads.
    """

    def submit(self, job_id: str, words: Sequence[str]) -> None:
        """Have ``monosweep WORDS`` run as a job, of an id that was never used before."""

    def stop(self, job_id: str) -> None:
        """Ask a job to end, which is given the time to leave checkpoints; returns at once.

        Nothing if it has ended, or there is none of this id.
        """

    def state(self, job_id: str) -> JobState | None:
        """Where a job stands, or None if the cluster knows none of this id (any more)."""

    def log(self, job_id: str, num_lines: int) -> str:
        """The last lines that a job printed; empty if there are none, or no such job."""


class RayJobs:
    """Ray's jobs. Nothing is asked of the cluster, and Ray not imported, before it is needed.

    A job has the environment of the cluster's nodes, where the secrets are: what is submitted with
    a job, everybody can read who sees the cluster's dashboard.

    Args:
        address: Of the dashboard of its head: ``http://HOST:8265``.

    Raises:
        UserError: If the address is none of a dashboard.
    """

    def __init__(self, address: str) -> None:
        if not _ADDRESS.match(address):
            raise UserError(
                "the Ray cluster must be named by the URL of its dashboard, found "
                f"{without_password(address)!r}. Give the head's: --ray http://HOST:8265 (or "
                "RAY_API_SERVER_ADDRESS)"
            )
        self._address = address
        self._client: JobSubmissionClient | None = None
        self._lock = Lock()

    def submit(self, job_id: str, words: Sequence[str]) -> None:
        """See ``Jobs``."""
        with self._answering():
            self._connected().submit_job(
                entrypoint=_entrypoint(words),
                submission_id=job_id,
                runtime_env={"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": str(STOP_WAIT_S)}},
            )

    def stop(self, job_id: str) -> None:
        """See ``Jobs``."""
        self._of_known(lambda: self._connected().stop_job(job_id))

    def state(self, job_id: str) -> JobState | None:
        """See ``Jobs``."""
        info = self._of_known(lambda: self._connected().get_job_info(job_id))
        if info is None:
            return None
        status = _STATUS.get(info.status.value, "ended")
        code = info.driver_exit_code if status == "ended" else None
        return JobState(status, code, _of_its_end(info.message, code) if info.message else None)

    def log(self, job_id: str, num_lines: int) -> str:
        """See ``Jobs``."""
        said = self._of_known(lambda: self._connected().get_job_logs(job_id)) or ""
        return "".join(said.splitlines(keepends=True)[-num_lines:])

    def _connected(self) -> "JobSubmissionClient":
        with self._lock:
            if self._client is None:
                self._client = _client(self._address)
            return self._client

    def _of_known(self, ask: Callable[[], Any]) -> Any:
        """What the cluster says of a job; None if it knows none of that id."""
        with self._answering():
            try:
                return ask()
            except RuntimeError as error:
                if _NOT_FOUND.search(str(error)):
                    return None
                raise

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Say in our words what keeps a cluster from answering.

        Raises:
            ClusterAwayError: If anything does.
        """
        import requests  # noqa: PLC0415 - the errors of Ray's client
        from ray.exceptions import AuthenticationError  # noqa: PLC0415 - a second of imports

        where = without_password(self._address)
        try:
            yield
        except AuthenticationError as error:
            raise ClusterAwayError(
                "the Ray cluster must let this server in, found it refused: the token is missing "
                f"or another one ({where}). Set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or "
                "RAY_AUTH_TOKEN_PATH, to those of the cluster."
            ) from error
        except requests.RequestException as error:
            raise ClusterAwayError(
                f"the Ray cluster does not answer: {_innermost(error)} ({where})."
            ) from error
        except RuntimeError as error:
            # Ray's own kind for every answer but "ok"; the last line is the cause.
            said = without_password(str(error).rstrip(". \n").splitlines()[-1])
            raise ClusterTroubleError(f"the Ray cluster has trouble: {said} ({where}).") from error
        except (ValueError, TypeError, KeyError) as error:
            # Ray's client, of an answer that is "ok" and another program's.
            raise ClusterAwayError(
                f"Ray's dashboard must answer there, found another answer ({where}). Name the "
                "dashboard of the cluster's head: --ray http://HOST:8265"
            ) from error


def _client(address: str) -> "JobSubmissionClient":
    """Ray's client, which neither connects yet nor ever waits for an answer without end."""
    from ray.dashboard.modules.dashboard_sdk import SubmissionClient  # noqa: PLC0415
    from ray.job_submission import JobSubmissionClient  # noqa: PLC0415

    class Client(JobSubmissionClient):  # type: ignore[misc]
        def __init__(self) -> None:
            # Past its own: that connects, and would take RAY_ADDRESS for the address.
            SubmissionClient.__init__(self, address)

        def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:
            return super()._do_request(method, endpoint, timeout=(CONNECT_S, ANSWER_S), **options)

    return Client()


def _entrypoint(words: Sequence[str]) -> str:
    """A shell's line that becomes ``monosweep WORDS``, so that signals and exit codes are its own.

    The interpreter is the server's where the head has it at the same place: one image, or one
    machine, on which no environment need be active. Elsewhere it is the first on the head's path.
    No module of the folder that Ray happens to run in may shadow ours: ``-P``.
    """
    here = shlex.quote(sys.executable)
    return f'P={here}; [ -x "$P" ] || P=python; exec "$P" -P -m service {shlex.join(words)}'


def _of_its_end(message: str, exit_code: int | None) -> str:
    """What Ray says of a job, or what its program said last, without Ray's prefaces."""
    if exit_code is not None and exit_code < 0:
        return f"its driver was killed by signal {-exit_code}."
    lines = _PREFACES.split(message)[-1].splitlines()
    return "\n".join([line.rstrip() for line in lines if line.strip()][-NUM_LAST_LINES:])


def _innermost(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error
