"""The Jupyter kernel: messages in, questions to `tl repl --json` out."""
import re

from ipykernel.kernelbase import Kernel

from .process import Process


class TensorLogicKernel(Kernel):
    implementation = "tensorlogic"
    implementation_version = "0.2.0"
    language = "tensorlogic"
    language_version = "0.2.0"
    banner = "TensorLogic"
    language_info = {"name": "tensorlogic", "mimetype": "text/x-tensorlogic", "file_extension": ".tl"}

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.tl = Process()

    def do_execute(self, code, silent, store_history=True, user_expressions=None, allow_stdin=False, **_):
        answer = self._ask_until_answered(code)
        if answer is None:
            self.tl.close()
            self.tl = Process()
            answer = {"ok": False, "message": "tl has ended: the session begins anew\n"}
        if not silent:
            self._show(answer)
        if answer["ok"]:
            return {"status": "ok", "execution_count": self.execution_count, "payload": [], "user_expressions": {}}
        name = "Interrupted" if answer.get("interrupted") else "Error"
        lines = answer["message"].splitlines()
        error = {"ename": name, "evalue": lines[0] if lines else "", "traceback": lines}
        if not silent:
            self.send_response(self.iopub_socket, "error", error)
        return {"status": "error", "execution_count": self.execution_count, **error}

    def _ask_until_answered(self, code):
        """The stop button reaches this process as Ctrl-C; it is tl's, whose answer comes all the same."""
        try:
            return self.tl.ask(code=code)
        except KeyboardInterrupt:
            self.tl.interrupt()
            return self.tl.read_answer()

    def _show(self, answer):
        for name, key in (("stdout", "output"), ("stderr", "errors")):
            if answer.get(key):
                self.send_response(self.iopub_socket, "stream", {"name": name, "text": answer[key]})
        if answer["ok"] and answer["message"]:  # warnings
            self.send_response(self.iopub_socket, "stream", {"name": "stderr", "text": answer["message"]})
        if answer.get("value") is not None:
            data = {"execution_count": self.execution_count, "data": {"text/plain": answer["value"]}, "metadata": {}}
            self.send_response(self.iopub_socket, "execute_result", data)

    def do_complete(self, code, cursor_pos):
        begun = re.search(r":?\w*$", code[:cursor_pos]).group()
        answer = self.tl.ask(complete=begun) if begun else None
        return {"status": "ok", "matches": answer["names"] if answer else [], "cursor_start": cursor_pos - len(begun),
                "cursor_end": cursor_pos, "metadata": {}}

    def do_inspect(self, code, cursor_pos, detail_level=0, omit_sections=()):
        name = re.search(r"\w*$", code[:cursor_pos]).group() + re.match(r"\w*", code[cursor_pos:]).group()
        answer = self.tl.ask(doc=name) if name else None
        found = bool(answer and answer["ok"])
        return {"status": "ok", "found": found, "data": {"text/plain": answer["value"]} if found else {}, "metadata": {}}

    def do_is_complete(self, code):
        answer = self.tl.ask(check=code)
        return {"status": "incomplete" if answer and answer["unfinished"] else "complete", "indent": ""}

    def do_shutdown(self, restart):
        self.tl.close()
        return {"status": "ok", "restart": restart}
