#!/usr/bin/env python3
"""Writes the TextMate grammar of editors/vscode from what lexer and parser know: keywords and signs of token.def, and the
words that begin a statement from parse_statement.cpp.

  make_grammar.py            writes editors/vscode/syntaxes/tensorlogic.tmLanguage.json
  make_grammar.py --check    fails if it is not what would be written
"""
import argparse
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
GRAMMAR = ROOT / "editors/vscode/syntaxes/tensorlogic.tmLanguage.json"
NAME = r"[\p{L}_][\p{L}\p{N}_]*'*"
CONSTANTS = {"true", "false"}
DECLARES = {"fn", "let"}
WORD_OPERATORS = {"and", "or", "not", "in", "as"}


def words_of(names):
    return r"\b(?:" + "|".join(sorted(names)) + r")\b"


def tokens():
    text = (ROOT / "tl/syntax/token.def").read_text(encoding="utf-8")
    keywords = set(re.findall(r'^TL_KEYWORD\(\w+, "(\w+)"\)', text, re.M))
    signs = re.findall(r'^TL_(?:SIGN|ALIAS)\(\w+, "([^"]+)"\)', text, re.M)
    statements = set(re.findall(r'word == "(\w+)"', (ROOT / "tl/syntax/parse_statement.cpp").read_text()))
    if not keywords or not signs or not statements:
        sys.exit("token.def or parse_statement.cpp are not written as this script reads them")
    return keywords, signs, statements - keywords


def grammar():
    keywords, signs, statements = tokens()
    brackets = set("()[]{},;")
    operators = sorted((s for s in signs if s not in brackets), key=lambda s: (-len(s), s))
    escape = {"name": "constant.character.escape.tensorlogic",
              "match": r"\\(?:[ntr0\"'\\{}]|x[0-9A-Fa-f]{2}|u\{[0-9A-Fa-f]{1,6}\}|$)|\{\{|\}\}"}
    value = {"name": "meta.interpolation.tensorlogic",
             "begin": r"\{(?=[\p{L}_0-9(\-:}])", "end": r"\}|(?=[\"'\n])",
             "beginCaptures": {"0": {"name": "punctuation.section.interpolation.begin.tensorlogic"}},
             "endCaptures": {"0": {"name": "punctuation.section.interpolation.end.tensorlogic"}},
             "patterns": [{"include": "#numbers"}, {"include": "#words"}, {"include": "#operators"}]}

    def string(quote, kind, end):
        return {"name": f"string.quoted.{kind}.tensorlogic", "begin": quote, "end": end, "patterns": [escape, value]}

    return {
        "$schema": "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
        "comment": "Written by scripts/make_grammar.py: change that, or tl/syntax/token.def.",
        "name": "TensorLogic",
        "scopeName": "source.tensorlogic",
        "fileTypes": ["tl"],
        "patterns": [{"include": f"#{part}"} for part in ("comments", "strings", "numbers", "words", "operators")],
        "repository": {
            "comments": {"patterns": [
                {"name": "comment.line.double-slash.tensorlogic", "match": "//.*$"},
                {"name": "comment.block.tensorlogic", "begin": r"/\*", "end": r"\*/"}]},
            # A name may end in primes, which begin no string.
            "strings": {"patterns": [string('"', "double", '"'),
                                     string(r"(?<![\p{L}\p{N}_'])'", "single", r"'|$")]},
            "numbers": {"patterns": [
                {"name": "constant.numeric.hex.tensorlogic", "match": r"\b0[xX][0-9A-Fa-f]+(?:_[0-9A-Fa-f]+)*\b"},
                {"name": "constant.numeric.tensorlogic",
                 "match": r"(?<![\p{L}\p{N}_])(?:[0-9](?:_?[0-9])*(?:\.(?![.\p{L}_])[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?i?"}]},
            "words": {"patterns": [
                {"match": rf"\b(fn|struct|impl|enum)\s+({NAME})",
                 "captures": {"1": {"name": "storage.type.tensorlogic"}, "2": {"name": "entity.name.tensorlogic"}}},
                {"name": "constant.language.tensorlogic", "match": words_of(keywords & CONSTANTS | {"none"})},
                {"name": "storage.type.tensorlogic", "match": words_of(keywords & DECLARES)},
                {"name": "keyword.operator.word.tensorlogic", "match": words_of(keywords & WORD_OPERATORS)},
                {"name": "keyword.control.tensorlogic",
                 "match": words_of(keywords - CONSTANTS - DECLARES - WORD_OPERATORS)},
                {"match": rf"^\s*({words_of(statements)})(?=\s+[\p{{L}}_{{\"']|\s*\{{)",
                 "captures": {"1": {"name": "keyword.other.tensorlogic"}}},
                {"name": "entity.name.function.tensorlogic", "match": rf"{NAME}(?=\()"},
                {"match": NAME}]},
            "operators": {"patterns": [{"name": "keyword.operator.tensorlogic",
                                        "match": "|".join(re.escape(s) for s in operators)}]},
        },
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    text = json.dumps(grammar(), indent=2, ensure_ascii=False) + "\n"
    if not args.check:
        GRAMMAR.write_text(text, encoding="utf-8")
        return 0
    if GRAMMAR.read_text(encoding="utf-8") == text:
        return 0
    print(f"{GRAMMAR.relative_to(ROOT)} is not what the language is: write it anew with `make reference`")
    return 1


if __name__ == "__main__":
    sys.exit(main())
