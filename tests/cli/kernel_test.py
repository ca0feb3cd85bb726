#!/usr/bin/env python3
"""The Jupyter package: the process it drives, and, where ipykernel is installed, a kernel as a notebook uses it."""
import argparse
import json
import os
import pathlib
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))
from tensorlogic_kernel import Process  # noqa: E402

try:
    import ipykernel  # noqa: F401
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import KernelManager
except ImportError:
    KernelManager = None


class ProcessOfTheKernel(unittest.TestCase):
    def test_questions_and_answers(self):
        tl = Process()
        self.assertEqual(tl.ask(code="let x = 20\nx + 1")["value"], "21")
        self.assertEqual(tl.ask(check="fn f() {")["unfinished"], True)
        threading.Timer(0.3, tl.interrupt).start()
        self.assertTrue(tl.ask(code="loop { x = x + 1 }")["interrupted"])
        self.assertEqual(tl.ask(code="x > 20")["value"], "true")
        self.assertEqual(tl.ask(code="exit(4)")["ok"], False)
        self.assertIsNone(tl.ask(code="1"))
        self.assertEqual(tl.close(), 4)


@unittest.skipIf(KernelManager is None, "ipykernel is not installed")
class Notebook(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        kernel = pathlib.Path(self.folder.name) / "tensorlogic"
        kernel.mkdir()
        (kernel / "kernel.json").write_text(json.dumps({
            "argv": [sys.executable, "-m", "tensorlogic_kernel", "-f", "{connection_file}"], "display_name": "TensorLogic",
            "language": "tensorlogic", "interrupt_mode": "signal", "env": {"PYTHONPATH": str(ROOT / "python")}}))
        specs = KernelSpecManager(kernel_dirs=[self.folder.name])
        self.manager = KernelManager(kernel_name="tensorlogic", kernel_spec_manager=specs)
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def tearDown(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel()
        self.folder.cleanup()

    def run_cell(self, code):
        said = {}

        def note(message):
            content = message["content"]
            if message["msg_type"] == "stream":
                said[content["name"]] = said.get(content["name"], "") + content["text"]
            if message["msg_type"] == "execute_result":
                said["value"] = content["data"]["text/plain"]
        reply = self.client.execute_interactive(code, output_hook=note, timeout=60)
        return reply["content"], said

    def test_cells(self):
        self.assertEqual(self.run_cell("let x = 3\nprint(x)\nx * 2")[1], {"stdout": "3\n", "value": "6"})
        self.assertEqual(self.run_cell("x + 1")[1], {"value": "4"})
        reply, _ = self.run_cell("y")
        self.assertEqual(reply["status"], "error")
        self.assertIn("unknown name 'y'", reply["evalue"])
        threading.Timer(1, self.manager.interrupt_kernel).start()
        start = time.time()
        reply, _ = self.run_cell("loop { x = x + 1 }")
        self.assertEqual((reply["status"], reply["ename"]), ("error", "Interrupted"))
        self.assertLess(time.time() - start, 20)
        self.assertEqual(self.run_cell("x > 3")[1], {"value": "true"})
        names = self.client.complete("softm", 5, reply=True, timeout=20)["content"]
        self.assertEqual((names["matches"], names["cursor_start"]), (["softmax"], 0))
        told = self.client.inspect("len(x)", 2, reply=True, timeout=20)["content"]
        self.assertIn("len(x: any) -> int", told["data"]["text/plain"])
        self.client.is_complete("fn f() {")
        self.assertEqual(self.client.get_shell_msg(timeout=20)["content"]["status"], "incomplete")
        self.assertEqual(self.run_cell("exit(2)")[0]["status"], "error")
        self.assertIn("begins anew", self.run_cell("x")[0]["evalue"])
        self.assertEqual(self.run_cell("1 + 1")[1], {"value": "2"})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tl", required=True)
    args, rest = parser.parse_known_args()
    os.environ["TL_PROGRAM"] = os.path.abspath(args.tl)
    unittest.main(argv=[sys.argv[0], *rest])
