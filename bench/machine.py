"""What a bench ran on: what decides the figures, and nothing that names the machine."""

import ctypes
import os
import platform
import re

import needs
from servers import ROOT


def facts():
    return {"processor": f"{processor()}, {len(os.sched_getaffinity(0))} of them",
            "system": f"{system()}, Linux {re.match(r'[0-9.]*[0-9]', platform.release())[0]}",
            "sagemaker_rt": extension(),
            "PostgreSQL": needs.pg_config("version").split()[1],
            **libraries()}


def words(facts):
    """For one line; some tell what they are by themselves."""
    return [value if name in ("processor", "system", "TLS library") else f"{name} {value}"
            for name, value in facts.items()]


def processor():
    with open("/proc/cpuinfo") as lines:
        names = [line.split(":", 1)[1].strip() for line in lines
                 if line.startswith("model name")]
    return names[0] if names else platform.machine()


def system():
    with open("/etc/os-release") as lines:
        fields = dict(line.rstrip().split("=", 1) for line in lines if "=" in line)
    return fields["PRETTY_NAME"].strip('"')


def extension():
    with open(f"{ROOT}/sagemaker_rt.control") as control:
        return re.search(r"default_version = '(.*)'", control.read())[1]


def libraries():
    """Of the library that is loaded, which the headers need not be of."""
    curl = ctypes.CDLL("libcurl.so.4")
    curl.curl_version.restype = ctypes.c_char_p
    names = dict(word.split("/", 1) for word in curl.curl_version().decode().split()
                 if "/" in word)
    return {"libcurl": names.pop("libcurl"),
            "TLS library": next((f"{name} {names[name]}" for name in names
                                 if "ssl" in name.lower()), "none of OpenSSL's")}
