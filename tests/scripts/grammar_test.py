"""The grammar for editors is what lexer and parser say, its expressions are well formed, and it knows words from names."""
import json
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
GRAMMAR = json.loads((ROOT / "editors/vscode/syntaxes/tensorlogic.tmLanguage.json").read_text(encoding="utf-8"))


def expression(text):
    """Python's spelling of what editors understand."""
    text = text.replace(r"[\p{L}\p{N}_", r"[\w").replace(r"[.\p{L}_]", r"(?:\.|[^\W\d])").replace(r"[\p{L}_]", r"[^\W\d]")
    return re.compile(text.replace(r"\p{L}", "a-zA-Z").replace(r"\p{N}", "0-9"))


def all_expressions(node):
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key in ("match", "begin", "end"))
        node = list(node.values())
    for part in node if isinstance(node, list) else []:
        yield from all_expressions(part)


def scope_of(text, at=0):
    """Of the words pattern that matches first at a place of a line."""
    for pattern in GRAMMAR["repository"]["words"]["patterns"]:
        match = expression(pattern["match"]).match(text, at)
        if match:
            captures = pattern.get("captures", {})
            return pattern.get("name") or (captures["1"]["name"] if captures else "a name")
    return None


class Grammar(unittest.TestCase):
    def test_is_what_the_language_is(self):
        done = subprocess.run([sys.executable, ROOT / "scripts/make_grammar.py", "--check"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_expressions_are_well_formed(self):
        self.assertGreater(len([expression(e) for e in all_expressions(GRAMMAR)]), 15)

    def test_words(self):
        for line, scope in (("while x", "keyword.control"), ("fn f()", "storage.type"), ("true", "constant.language"),
                            ("not x", "keyword.operator.word"), ("main {", "keyword.other"), ("relation E(", "keyword.other"),
                            ("f(x)", "entity.name.function"), ("main_loop", "a name"), ("test = 3", "a name"),
                            ("format", "a name")):
            self.assertTrue(scope_of(line).startswith(scope), (line, scope_of(line)))

    def test_every_keyword_has_a_colour(self):
        text = (ROOT / "tl/syntax/token.def").read_text(encoding="utf-8")
        for word in re.findall(r'^TL_KEYWORD\(\w+, "(\w+)"\)', text, re.M):
            self.assertNotEqual(scope_of(word), "a name", word)


if __name__ == "__main__":
    unittest.main()
