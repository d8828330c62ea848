"""
Where contenders meet: a folder with rows and programs, a cluster, and two
processors, the last of which is the caller's.
"""

import contextlib
import glob
import os
import random
import subprocess
import tempfile
from dataclasses import dataclass, replace

import servers
from caller import program, session
from needs import pg_config
from servers import ROOT

HERE = os.path.dirname(os.path.abspath(__file__))

PREDICTION = "0.9731"
ENDPOINT = "echo"          # the name that the emulator knows
REGION, KEY_ID, SECRET_KEY = "us-east-1", "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG"

CONNECT = """SET sagemaker_rt.region = :'region';
    SET sagemaker_rt.access_key_id = :'key_id';
    SET sagemaker_rt.secret_access_key = :'secret_key';
    SET sagemaker_rt.ca_file = :'ca';
    SET sagemaker_rt.endpoint_url = :'url';"""
BOTO3_CREATE = f"\\i {HERE}/boto3.sql"
BOTO3_CONNECT = """CALL boto3_connect(:'url', :'ca', :'region',
                                      :'key_id', :'secret_key');"""


@dataclass(frozen=True)
class Contender:
    """Either a program or SQL in a backend."""
    name: str
    program: tuple = ()     # argv; the folder's if it has no directory
    arguments: tuple = ()   # of it, beyond those of all
    create: str = ""        # SQL, once a cluster
    connect: str = ""       # SQL, once a session; psql knows url, ca, ...
    ask: str = "{n}"        # answered by one number, after {n} rows


class Ground:
    """All that is there during the measurements, ended by the stack."""

    def __init__(self, stack):
        self.folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="sagemaker_rt-bench."))
        os.chmod(self.folder, 0o755)    # the cluster's user passes through
        self.ca = ""        # for TLS, the file to trust
        cpus = sorted(os.sched_getaffinity(0))
        self.callers_cpu = cpus[-1]
        os.sched_setaffinity(0, cpus[:1])   # inherited by all that we start
        self._stack = stack

    def build(self, name, *sources):
        """A C program of the bench, in the folder."""
        flags = subprocess.check_output(["curl-config", "--cflags", "--libs"],
                                        text=True).split()
        signer = sorted(glob.glob(f"{ROOT}/src/aws/*.c"))
        servers.run_quietly(
            ["cc", "-std=gnu11", "-O2", f"-I{ROOT}/src",
             *(f"{HERE}/{source}" for source in sources), *signer, *flags,
             "-lcrypto", "-lm", "-o", f"{self.folder}/{name}"])

    def write_rows(self, n):
        """Ten numbers a row, 77 bytes on average."""
        rng = random.Random(0)
        with open(f"{self.folder}/rows", "w") as rows:
            for _ in range(n):
                print(*(f"{rng.uniform(0, 100):.4f}" for _ in range(10)),
                      sep=",", file=rows)

    def start_cluster(self, **settings):
        self.socket = self._stack.enter_context(
            servers.cluster(self.folder, pg_config("bindir"), settings))

    def check_signatures(self, contenders):
        """
        One call each; the emulator refuses a wrong signature, which is fatal.
        Its endpoint is an echo, so that a row must look like a prediction.
        """
        with open(f"{self.folder}/one", "w") as row:
            print(PREDICTION, file=row)
        one = f"CREATE TEMP TABLE rows AS SELECT 1 AS id, '{PREDICTION}'::text AS body;"
        key = f"{KEY_ID}:{SECRET_KEY}"
        with servers.emulator(self.folder, REGION, key) as url:
            for contender in contenders:
                contender = replace(contender, connect=contender.connect + one)
                with self.caller(contender, url, rows="one") as caller:
                    caller.call(1)

    @contextlib.contextmanager
    def caller(self, contender, url, rows="rows"):
        """Of the contender, ready to call that URL, on the callers' processor."""
        if contender.program:
            argv = [os.path.join(self.folder, contender.program[0]),
                    *contender.program[1:], url, ENDPOINT, f"{self.folder}/{rows}",
                    self.ca, *contender.arguments]
            chosen = program(
                argv, f"{self.folder}/program.log",
                {**servers.ENVIRONMENT, "AWS_REGION": REGION,
                 "AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_KEY})
        else:
            chosen = self.psql(contender.connect, contender.ask, url=url,
                               ca=self.ca, endpoint=ENDPOINT, region=REGION,
                               key_id=KEY_ID, secret_key=SECRET_KEY)
        with chosen as caller:
            os.sched_setaffinity(caller.pid, {self.callers_cpu})
            yield caller

    def psql(self, connect="", ask="", **variables):
        return session(
            ["psql", "-XqAt", "-h", self.socket, "-U", "postgres",
             "-v", "ON_ERROR_STOP=1",
             *(f"-v{name}={value}" for name, value in variables.items()),
             "postgres"], f"{self.folder}/psql.log", connect, ask)
