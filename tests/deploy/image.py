#!/usr/bin/env python3
"""Starts the images that scripts/image.sh saved, and calls the task server through the gateway.

    image.py [ARCHIVES]      the folder of the archives; default: where scripts/image.sh saves them

No container runtime is needed. Each archive is unpacked into an empty root folder, which gets what a runtime and the manifests
of deploy/kubernetes add: devices, /etc/hosts, /etc/resolv.conf, the configuration and the keys. The programs run there by chroot, as the
user and with the command of the image, in a network namespace with a name server on port 53. Without root a user namespace is
used, in which the programs run as root of that namespace.
"""

import fcntl
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
MANIFESTS = REPOSITORY / "deploy/kubernetes"
MOUNTS = "etc/mcp-gateway"

HOST = "mcp.example.com"
ISSUER = "https://login.example.com/"
# What runtimes set; chroot itself is found by it, too.
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
START = 30  # seconds
STOP = 30  # seconds: shutdown.delay is 5 s, and nothing is left to drain
CALL = 10  # seconds

# The name in the manifest's configuration is found by DNS, as in a cluster; each name has an address of its own.
DNS_NAME, DNS_ADDRESS = "upstream-tasks.mcp.svc.cluster.local", "127.0.0.3"
HOSTS_NAME, HOSTS_ADDRESS = "by-hosts-file", "127.0.0.2"
HOSTS = f"127.0.0.1 localhost\n{HOSTS_ADDRESS} {HOSTS_NAME}\n"
# With a static C library, upstream-tasks (the crate uuid) opens these files for random bytes. Every runtime gives them.
DEVICES = ("null", "random", "urandom")
RESOLV_CONF = "nameserver 127.0.0.1\nsearch mcp.svc.cluster.local svc.cluster.local\noptions ndots:5 timeout:1 attempts:1\n"

INITIALIZE = json.dumps({
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "image", "version": "1"}},
})


def ok(text):
    print(f"image: ok: {text}", flush=True)


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


class Image:
    """An image in a root folder of its own."""

    def __init__(self, archive, root):
        self.name, self.archive, self.root = archive.stem, archive, root
        with tarfile.open(archive) as outer:
            (manifest,) = json.load(outer.extractfile("manifest.json"))
            self.config = json.load(outer.extractfile(manifest["Config"]))["config"]
            for layer in manifest["Layers"]:
                with tarfile.open(fileobj=outer.extractfile(layer)) as files:
                    files.extractall(root)
        self.program = root / self.config["Entrypoint"][0].lstrip("/")

    def write(self, path, content, mode=0o444):
        """Adds a file for the group of the image's user, as `fsGroup` does."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        file.chmod(mode)
        if separate_user():
            os.chown(file, 0, self.ids()[1])

    def mount_devices(self):
        """Mounts DEVICES. File by file, so that nothing which removes the root can reach /dev."""
        for name in DEVICES:
            self.write(f"dev/{name}", "")
            subprocess.run(["mount", "--bind", f"/dev/{name}", self.root / "dev" / name], check=True)

    def unmount_devices(self):
        for name in DEVICES:
            subprocess.run(["umount", "--lazy", self.root / "dev" / name], stderr=subprocess.DEVNULL)

    def data_folder(self, path):
        folder = self.root / path
        folder.mkdir()
        if separate_user():
            os.chown(folder, *self.ids())

    def ids(self):
        user, group = self.config["User"].split(":")
        return int(user), int(group)

    def command(self, *command):
        user = [f"--userspec={self.config['User']}", "--groups="] if separate_user() else []
        return ["chroot", *user, self.root, *command]

    def run(self, *command):
        return subprocess.run(self.command(*command), env=ENVIRONMENT, text=True, capture_output=True, timeout=START)

    def start(self, *arguments):
        """Starts the image's entry point, with its own arguments unless others are given. Returns process and log."""
        log = self.root.with_suffix(".log")
        command = self.command(*self.config["Entrypoint"], *(arguments or self.config["Cmd"]))
        with open(log, "w") as out:
            return subprocess.Popen(command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=out, stderr=out), log


def separate_user():
    """Whether the image's user can be taken; in a user namespace of an ordinary user it is not mapped."""
    return os.environ["IMAGE_TEST_ROOT"] == "yes"


class NameServer(threading.Thread):
    """Knows one name (RFC 1035): an A record, no AAAA record. All other names do not exist."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        self.asked = set()

    def run(self):
        while True:
            query, client = self.socket.recvfrom(512)
            self.socket.sendto(self.answer(query), client)

    def answer(self, query):
        labels, position = [], 12
        while query[position]:
            labels.append(query[position + 1 : position + 1 + query[position]].decode().lower())
            position += 1 + query[position]
        name, end = ".".join(labels), position + 5
        (kind,) = struct.unpack("!H", query[position + 1 : position + 3])
        self.asked.add(name)
        known = name == DNS_NAME
        record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 5, 4) + socket.inet_aton(DNS_ADDRESS) if known and kind == 1 else b""
        flags = 0x8580 if known else 0x8583
        return query[:2] + struct.pack("!HHHHH", flags, 1, bool(record), 0, 0) + query[12:end] + record


def replaced(text, old, new):
    expect(text.count(old) == 1, f"the configuration in {MANIFESTS} has not exactly one {old!r}")
    return text.replace(old, new)


def resource(path, host):
    return f"  - path: {path}\n    upstream: http://{host}:9000/mcp\n    issuers: [corporate]\n    policy: {{ default: allow }}\n"


def configuration():
    """The configuration of the manifests, with an issuer whose keys are in a file, and two more upstreams."""
    text = (MANIFESTS / "gateway.yaml").read_text()
    issuer = f"    issuer: {ISSUER}\n"
    text = replaced(text, issuer, f"{issuer}    jwks_file: /{MOUNTS}/config/jwks.json\n")
    more = resource("/by-hosts-file", HOSTS_NAME) + resource("/nowhere", "nowhere")
    return replaced(text, "\nresources:\n", f"\nresources:\n{more}")


def make_keys(work):
    """A certificate for the gateway, the issuer's key set and a token for all resources."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
         "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}", "-keyout", work / "tls.key", "-out", work / "tls.crt"],
        check=True, stderr=subprocess.DEVNULL,
    )
    paths = ("/mcp", "/by-hosts-file", "/nowhere")
    mint = TARGET / "debug/examples/mint"
    subprocess.run([mint, work, ISSUER, *(f"https://{HOST}{path}" for path in paths)], check=True)


def lay_out(gateway, tasks, work):
    """What a runtime and the manifests add to the images."""
    for image in (gateway, tasks):
        image.write("etc/hosts", HOSTS)
        image.write("etc/resolv.conf", RESOLV_CONF)
    gateway.write(f"{MOUNTS}/config/gateway.yaml", configuration())
    gateway.write(f"{MOUNTS}/config/jwks.json", (work / "jwks.json").read_text())
    gateway.write(f"{MOUNTS}/tls/tls.crt", (work / "tls.crt").read_text())
    gateway.write(f"{MOUNTS}/tls/tls.key", (work / "tls.key").read_text(), 0o440)
    gateway.write(f"{MOUNTS}/session/session.key", os.urandom(32), 0o440)
    tasks.data_folder("data")


def holds_its_program_alone(image):
    files = sorted(str(file.relative_to(image.root)) for file in image.root.rglob("*") if not file.is_dir())
    expect(files == ["etc/ssl/certs/ca-certificates.crt", image.name], f"{image.name} holds {files}")
    sizes = [f"{file.stat().st_size / 2**20:.1f} MiB" for file in (image.program, image.archive)]
    ok(f"{image.name} holds its program and CA certificates alone (program {sizes[0]}, archive {sizes[1]})")


def has_no_loader(image):
    """A dynamic program is refused there. So the image's own, which starts below, is static."""
    shutil.copy("/bin/true", image.root / "dynamic")
    result = image.run("/dynamic")
    (image.root / "dynamic").unlink()
    expect(result.returncode == 127, f"a dynamic program ran in the root of {image.name}: exit code {result.returncode}")
    ok(f"a dynamic program does not start in the root of {image.name}")


def has_no_demo(gateway):
    result = gateway.run(*gateway.config["Entrypoint"], "demo")
    refused = result.returncode == 2 and "unrecognized subcommand 'demo'" in result.stderr
    expect(refused, f"`mcp-gateway demo`: exit code {result.returncode}, {result.stderr}")
    ok("mcp-gateway has no subcommand `demo`")


class ToGateway(http.client.HTTPSConnection):
    """A connection to the gateway in this namespace, under its public name."""

    def connect(self):
        plain = socket.create_connection(("127.0.0.1", 8443), timeout=CALL)
        self.sock = self._context.wrap_socket(plain, server_hostname=HOST)


def call(work, path, token=None):
    """`initialize`. Returns the response and its body, up to the end of the first event of a stream."""
    connection = ToGateway(HOST, context=ssl.create_default_context(cafile=work / "tls.crt"))
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection.request("POST", path, INITIALIZE, headers)
    response = connection.getresponse()
    body = response.read().decode()
    connection.close()
    return response, body


def wait_until_ready(process):
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        expect(process.poll() is None, f"the gateway exited with {process.returncode}")
        try:
            connection = http.client.HTTPConnection("127.0.0.1", 9090, timeout=CALL)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"the gateway was not ready within {START} s")


def wait_until_open(process, port):
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        expect(process.poll() is None, f"the task server exited with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"port {port} was not open within {START} s")


def forwards(work, path, token, how):
    response, body = call(work, path, token)
    expect(response.status == 200 and '"serverInfo"' in body, f"{path}: {response.status} {body}")
    ok(f"a call with a token reaches the task server, {how}")


def serves(work, names):
    """The calls of a client over TLS."""
    token = (work / "token").read_text()
    response, body = call(work, "/mcp")
    challenge = response.headers["WWW-Authenticate"] or ""
    expect(response.status == 401 and challenge.startswith("Bearer "), f"without a token: {response.status} {challenge} {body}")
    ok("the gateway serves TLS and refuses a call without a token with 401")

    forwards(work, "/mcp", token, "its name resolved by DNS")
    expect(DNS_NAME in names.asked, f"the name server was asked for {names.asked} only")
    forwards(work, "/by-hosts-file", token, "its name resolved by /etc/hosts")
    response, body = call(work, "/nowhere", token)
    expect(response.status == 502, f"an unknown name: {response.status} {body}")
    ok("a call to a name that does not exist is answered with 502")


def shuts_down(process, name):
    process.terminate()
    expect(process.wait(timeout=STOP) == 0, f"{name} exited with {process.returncode} on SIGTERM")
    ok(f"{name} exits with 0 on SIGTERM")


def loopback_up():
    """Sets IFF_UP (netdevice(7)); a new network namespace has a loopback interface that is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x1))


def test(archives, work):
    loopback_up()
    make_keys(work)
    gateway, tasks = (Image(archives / f"{name}.tar", work / name) for name in ("mcp-gateway", "upstream-tasks"))
    for image in (gateway, tasks):
        holds_its_program_alone(image)
        has_no_loader(image)
    has_no_demo(gateway)
    lay_out(gateway, tasks, work)
    names = NameServer()
    names.start()

    logs = []
    try:
        for image in (gateway, tasks):
            image.mount_devices()
        arguments = re.findall(r"^ +- (--\S+)$", (MANIFESTS / "upstream-tasks.yaml").read_text(), re.MULTILINE)
        task_server, log = tasks.start(*arguments, f"--allowed-host={HOSTS_NAME}")
        logs.append(log)
        wait_until_open(task_server, 9000)
        process, log = gateway.start()
        logs.append(log)
        wait_until_ready(process)
        ok(f"both start as user {gateway.config['User'] if separate_user() else 'root of a user namespace'}")
        serves(work, names)
        shuts_down(process, "mcp-gateway")
        shuts_down(task_server, "upstream-tasks")
    except Exception:
        for log in logs:
            print(f"--- {log.stem}\n{log.read_text()}", file=sys.stderr)
        raise
    finally:
        for image in (gateway, tasks):
            image.unmount_devices()


def isolated():
    """Runs this script again in namespaces of its own: a network, and process ids, so that no process outlives it."""
    root = os.getuid() == 0
    user = [] if root else ["--user", "--map-root-user"]
    os.environ["IMAGE_TEST_ROOT"] = "yes" if root else "no"
    os.execvp("unshare", ["unshare", *user, "--net", "--mount", "--pid", "--fork", "--kill-child", sys.executable, *sys.argv])


def main(archives=TARGET / "image"):
    if "IMAGE_TEST_ROOT" not in os.environ:
        isolated()
    with tempfile.TemporaryDirectory() as work:
        # The image's user must be able to reach its root.
        os.chmod(work, 0o755)
        try:
            test(pathlib.Path(archives), pathlib.Path(work))
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            sys.exit(f"image: FAILED: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
