"""
What the bench starts for itself, in a temporary folder and on loopback: the
sink that answers the timed calls, a PostgreSQL cluster, and the emulator that
judges signatures.  Each is a context manager that ends what it started.
"""

import contextlib
import http.client
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

# Nothing of the caller's setup may decide where a client connects, or as whom.
ENVIRONMENT = {
    name: value for name, value in os.environ.items()
    if not name.startswith(("PG", "AWS_")) and not name.lower().endswith("_proxy")
}

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EMULATOR = f"{ROOT}/test/emulator/emulator.py"

START_SECONDS = 30
STOP_SECONDS = 10

# One process, so that it can be pinned and its CPU read; the answer is fixed,
# so that what is measured is the client.
NGINX_CONF = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    server {{
        listen 127.0.0.1:{http};
        listen 127.0.0.1:{tls} ssl;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        default_type text/csv;
        add_header x-amzn-RequestId 4f5a7a3e-7a56-4c1d-9d0e-2f0c5f3b9a61;
        add_header x-amzn-Invoked-Production-Variant AllTraffic;
        return 200 "0.9731\\n";
    }}
    server {{
        listen 127.0.0.1:{status};
        location / {{ stub_status; }}
    }}
}}
"""

CLUSTER_SETTINGS = {
    "listen_addresses": "''",
    "fsync": "off",
    "autovacuum": "off",
    # What one session reaches is compared ...
    "max_parallel_workers_per_gather": "0",
    # ... and compiling a statement, which a high COST invites, is not.
    "jit": "off",
}


class BenchError(Exception):
    """The bench cannot go on; the text says why."""


class Sink:
    """nginx with a fixed answer, over HTTP and over TLS."""

    def __init__(self, pid, ports):
        self.pid = pid
        self.urls = {"HTTP": f"http://127.0.0.1:{ports['http']}",
                     "TLS": f"https://127.0.0.1:{ports['tls']}"}
        self._status = http.client.HTTPConnection("127.0.0.1", ports["status"])

    def connections(self):
        """How many it has accepted, our own (kept) one among them."""
        self._status.request("GET", "/")
        # Active connections: 1 / server accepts handled requests / 7 7 9 / ...
        return int(self._status.getresponse().read().split(b"\n")[2].split()[0])


@contextlib.contextmanager
def sink(folder):
    make_certificate(folder)
    ports = dict(zip(("http", "tls", "status"), free_ports(3)))
    with open(f"{folder}/nginx.conf", "w") as conf:
        conf.write(NGINX_CONF.format(folder=folder, **ports))
    argv = [find("nginx"), "-c", f"{folder}/nginx.conf", "-p", folder]
    with child(argv, log=f"{folder}/nginx.log") as process:
        await_port(ports["status"], process, f"{folder}/nginx.log")
        yield Sink(process.pid, ports)


def make_certificate(folder):
    run_quietly([find("openssl"), "req", "-x509", "-nodes", "-days", "2",
                 "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                 "-subj", "/CN=127.0.0.1", "-addext",
                 "subjectAltName=IP:127.0.0.1", "-keyout", f"{folder}/key.pem",
                 "-out", f"{folder}/cert.pem"])


@contextlib.contextmanager
def cluster(folder, bindir, settings):
    """Gives the folder of its socket.  PostgreSQL refuses to run as root."""
    home = f"{folder}/cluster"
    os.mkdir(home, 0o700)
    who = {}
    if os.geteuid() == 0:
        postgres = pwd.getpwnam("postgres")
        os.chown(home, postgres.pw_uid, postgres.pw_gid)
        who = {"user": "postgres", "group": postgres.pw_gid, "extra_groups": []}

    def pg_ctl(*args):
        run_quietly([f"{bindir}/pg_ctl", "-D", f"{home}/data", "-s", *args],
                    cwd=home, **who)

    settings = {**CLUSTER_SETTINGS, **settings, "unix_socket_directories": home}
    pg_ctl("init", "-o", "-U postgres -A trust -E UTF8 --locale=C --no-sync")
    pg_ctl("start", "-w", "-l", f"{home}/log", "-o",
           " ".join(f"-c {name}={value}" for name, value in settings.items()))
    try:
        yield home
    finally:
        pg_ctl("stop", "-w", "-m", "immediate")


class DelaySink:
    """sink.c: a port for each latency, in milliseconds."""

    def __init__(self, pid, ports):
        self.pid = pid
        self.urls = {latency: f"http://127.0.0.1:{port}"
                     for latency, port in ports.items()}

    def counts(self, latency):
        """Connections accepted so far, this one too, and POSTs answered."""
        with urllib.request.urlopen(self.urls[latency]) as answer:
            connections, posts = map(int, answer.read().split())
        return connections, posts


@contextlib.contextmanager
def delay_sink(folder, latencies, answers=None):
    """With a file of endpoints' own answers, if there is one."""
    log = f"{folder}/sink.log"
    argv = [f"{folder}/sink", *(["--answers", answers] if answers else []),
            *map(str, latencies)]
    with child(argv, log, stdout=subprocess.PIPE) as process:
        ports = process.stdout.readline().split()
        if len(ports) != len(latencies):
            raise BenchError(f"the sink did not start: {tail(log)}")
        yield DelaySink(process.pid, dict(zip(latencies, map(int, ports))))


@contextlib.contextmanager
def emulator(folder, region, key):
    """Gives its URL.  Its endpoint "echo" answers whoever signs properly."""
    log = f"{folder}/emulator.log"
    argv = [sys.executable, "-B", EMULATOR, "--no-models", "--region", region,
            "--key", key]
    with child(argv, log, stdout=subprocess.PIPE) as process:
        url = process.stdout.readline().decode().strip()
        if not url:
            raise BenchError(f"the emulator did not start: {tail(log)}")
        yield url


@contextlib.contextmanager
def child(argv, log, environment=ENVIRONMENT, stdin=subprocess.DEVNULL,
          stdout=None):
    """
    A process of ours, with what it complains about in a file.  Linux schedules
    by session and makes a switch between two of them dearer; a backend has one
    of its own, so everybody gets one.
    """
    with open(log, "ab") as complaints:
        process = subprocess.Popen(
            argv, stdin=stdin, stdout=stdout or complaints, stderr=complaints,
            bufsize=0, env=environment, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def find(program):
    """nginx is outside the PATH of an ordinary user."""
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def await_port(port, process, log):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.02)
    raise BenchError(f"{process.args[0]} did not start: {tail(log)}")


def run_quietly(argv, **options):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, env=ENVIRONMENT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", **options)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(argv)}: {done.stdout.strip()}")


def tail(log):
    with open(log, errors="replace") as complaints:
        return " / ".join(complaints.read().strip().splitlines()[-5:])
