"""A real object store with an S3 interface: OpenStack Swift, in an environment apart.

Its dependencies are not ours, so ``make test`` installs it into ``.venv-swift`` beside the project;
``MONOSWEEP_SWIFT_VENV`` names another place.
"""

import getpass
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from functools import partial
from itertools import count
from pathlib import Path

from loopback import HERE, STOP_S, Place, free_port, is_listening, wait_until
from pyarrow.fs import S3FileSystem

VENV = Path(
    os.environ.get("MONOSWEEP_SWIFT_VENV") or Path(__file__).parents[2] / ".venv-swift"
).absolute()
# Who asks, and who keeps: the proxy is what S3's clients talk to.
BACKENDS = ("account", "container", "object")
PROXY = "proxy"
REGION = "us-east-1"
KEY, SECRET = "test:tester", "testing"  # as Swift's own tests have them

SWIFT_CONF = """\
[swift-hash]
swift_hash_path_suffix = monosweep
swift_hash_path_prefix = monosweep
[storage-policy:0]
name = gold
default = yes
"""

SERVER_CONF = """\
[DEFAULT]
bind_ip = {host}
bind_port = {port}
# In one process, which is the one that was started.
workers = 0
user = {user}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
disable_fallocate = true
log_address = {folder}/no-syslog
log_level = ERROR
"""

BACKEND_CONF = """\
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
recon_cache_path = {folder}
recon_lock_path = {folder}
"""

PIPELINE = (
    *("catch_errors", "gatekeeper", "cache", "listing_formats", "bulk", "s3api", "tempauth"),
    *("copy", "slo", "dlo", "versioned_writes", "symlink"),
)
PROXY_CONF = """\
[pipeline:main]
pipeline = {pipeline} proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
{filters}
[filter:cache]
use = egg:swift#memcache
memcache_servers = {host}:{nobody}
[filter:s3api]
use = egg:swift#s3api
location = {region}
[filter:tempauth]
use = egg:swift#tempauth
user_{account} = {secret} .admin
"""

# Run by Swift's own Python: where each server is, in Swift's words.
MAKE_RINGS = """\
import sys
from swift.common.ring import RingBuilder
folder, *servers = sys.argv[1:]
for server in servers:
    kind, ip, port = server.split(":")
    builder = RingBuilder(4, 1, 0)
    builder.add_dev(dict(id=0, region=1, zone=1, weight=1.0, ip=ip, port=int(port), device="disk",
                         replication_ip=ip, replication_port=int(port), meta=""))
    builder.rebalance()
    builder.get_ring().save(f"{folder}/{kind}.ring.gz")
"""


class ObjectStore:
    """A store with buckets of its own; stopped and started again it has the same port and objects.

    Everything lies in a temporary folder, which ``close`` removes.

    Args:
        place: Where it listens.
    """

    def __init__(self, place: Place = HERE) -> None:
        self._place = place
        self._folder = Path(tempfile.mkdtemp(prefix="monosweep-swift-"))
        self._ports = {kind: free_port() for kind in (*BACKENDS, PROXY)}
        self._numbers = count(1)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        (self._folder / "devices" / "disk").mkdir(parents=True)
        (self._folder / "swift.conf").write_text(SWIFT_CONF)
        for kind in self._ports:
            (self._folder / f"{kind}.conf").write_text(self._conf(kind))
        servers = [f"{kind}:{place.address}:{self._ports[kind]}" for kind in BACKENDS]
        subprocess.run(
            [VENV / "bin" / "python", "-c", MAKE_RINGS, self._folder, *servers],
            env=self._environment(),
            check=True,
        )

    @staticmethod
    def is_installed() -> bool:
        """Whether there is a Swift to start."""
        return (VENV / "bin" / "swift-proxy-server").exists()

    @property
    def environment(self) -> Mapping[str, str]:
        """What tells S3's clients who they are."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            # No client asks the cloud's own machines, which are not there, for anything.
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        """Start it, or start it again."""
        for kind in self._ports:
            log = self._folder / f"{kind}.log"
            with log.open("ab") as stream:
                self._processes[kind] = subprocess.Popen(
                    [
                        *self._place.words,
                        *(VENV / "bin" / "python", VENV / "bin" / f"swift-{kind}-server"),
                        self._folder / f"{kind}.conf",
                    ],
                    env=self._environment(),
                    cwd=self._folder,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                )
        for kind, process in self._processes.items():
            answers = partial(is_listening, self._place.address, self._ports[kind])
            wait_until(answers, process, self._folder / f"{kind}.log")

    def stop(self) -> None:
        """End it at once, as a crash would: what was written stays."""
        for process in self._processes.values():
            process.kill()
            process.wait(STOP_S)
        self._processes.clear()

    def pause(self) -> None:
        """Take connections, and answer nobody."""
        self._processes[PROXY].send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Answer again, also what was asked meanwhile."""
        self._processes[PROXY].send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it, and remove all that it wrote."""
        self.stop()
        shutil.rmtree(self._folder)

    def new_bucket(self) -> str:
        """The URI, as ``pyarrow.fs`` takes it, of a place in a bucket that nobody else has."""
        bucket = f"bucket-{next(self._numbers)}"
        endpoint = f"{self._place.address}:{self._ports[PROXY]}"
        S3FileSystem(
            access_key=KEY,
            secret_key=SECRET,
            scheme="http",
            endpoint_override=endpoint,
            region=REGION,
            allow_bucket_creation=True,
        ).create_dir(bucket)
        return f"s3://{bucket}/monosweep?scheme=http&endpoint_override={endpoint}&region={REGION}"

    def _environment(self) -> dict[str, str]:
        """Of Swift's processes: nothing of our own environment's Python."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        return {
            **kept,
            "SWIFT_CONF_FILE": str(self._folder / "swift.conf"),
            "PYTHONWARNINGS": "ignore",
        }

    def _conf(self, kind: str) -> str:
        server = SERVER_CONF.format(
            host=self._place.address,
            port=self._ports[kind],
            user=getpass.getuser(),
            folder=self._folder,
        )
        if kind != PROXY:
            return server + BACKEND_CONF.format(kind=kind, folder=self._folder)
        own = ("cache", "s3api", "tempauth")
        plain = [name for name in PIPELINE if name not in own]
        return server + PROXY_CONF.format(
            pipeline=" ".join(PIPELINE),
            filters="\n".join(f"[filter:{name}]\nuse = egg:swift#{name}" for name in plain),
            host=self._place.address,
            nobody=free_port(),
            region=REGION,
            account=KEY.replace(":", "_"),
            secret=SECRET,
        )
