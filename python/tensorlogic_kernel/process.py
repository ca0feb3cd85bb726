"""One `tl repl --json`, without anything of Jupyter."""
import json
import os
import signal
import subprocess


class Process:
    """Asks one question after the other. Of one thread, apart from interrupt()."""

    def __init__(self, program=None, options=()):
        program = program or os.environ.get("TL_PROGRAM", "tl")
        # A group of its own: Ctrl-C at the terminal of the server is not meant for it.
        self._child = subprocess.Popen([program, "repl", "--json", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       encoding="utf-8", start_new_session=True)

    def ask(self, **request):
        """The answer as tl gives it; None once tl has ended."""
        try:
            self._child.stdin.write(json.dumps(request) + "\n")
            self._child.stdin.flush()
        except (BrokenPipeError, ValueError):
            return None
        return self.read_answer()

    def read_answer(self):
        line = self._child.stdout.readline()
        return json.loads(line) if line else None

    def interrupt(self):
        """Stops the code that runs."""
        self._child.send_signal(signal.SIGINT)

    def close(self):
        """Ends tl; gives its exit code."""
        try:
            self._child.stdin.close()
        except BrokenPipeError:  # it has ended with a question still unread
            pass
        try:
            self._child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child.stdout.close()
        return self._child.returncode
