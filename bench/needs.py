"""What a bench needs of the machine: said, or installed, where it is missing."""

import importlib.util
import os
import shutil
import subprocess

import servers
from servers import ROOT, BenchError

PG_CONFIG = os.environ.get("PG_CONFIG", "pg_config")


def require(install, *more):
    """Ends here, saying what to type, when something is missing."""
    missing = [package for package, there in (*requirements(), *more)
               if not there]
    if missing and install:
        subprocess.run(["apt-get", "install", "-y", *missing], check=True)
    elif missing:
        raise BenchError("missing: apt-get install " + " ".join(missing))
    if not has_extension("sagemaker_rt"):
        if not install:
            raise BenchError("missing: make && make install")
        subprocess.run(["make", "-C", ROOT], check=True)
        subprocess.run(["make", "-C", ROOT, "install"], check=True)


def requirements():
    if shutil.which(PG_CONFIG) is None:
        raise BenchError("missing: apt-get install postgresql "
                         "postgresql-server-dev-all, or PG_CONFIG")
    major = pg_config("version").split()[1].split(".")[0]
    yield "openssl", servers.find("openssl")
    yield "python3-boto3", importlib.util.find_spec("boto3")
    yield f"postgresql-plpython3-{major}", has_extension("plpython3u")
    yield "gcc", shutil.which("cc")
    yield "libcurl4-openssl-dev", shutil.which("curl-config")
    yield "libssl-dev", os.path.exists("/usr/include/openssl/evp.h")


def has_extension(name):
    return os.path.exists(f"{pg_config('sharedir')}/extension/{name}.control")


def pg_config(what):
    return subprocess.check_output([PG_CONFIG, f"--{what}"], text=True).strip()
