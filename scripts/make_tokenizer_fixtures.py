#!/usr/bin/env python3
"""Makes tests/data/tokenizer: small vocabularies with the ids the reference tokenizers give for hard strings.

    build/venv/bin/python scripts/make_tokenizer_fixtures.py small        needs tokenizers, sentencepiece
    build/venv/bin/python scripts/make_tokenizer_fixtures.py real VOCABS  needs llama_cpp; VOCABS as made by
                                                                          scripts/fetch_test_vocabs.sh
"""
import json
import pathlib
import sys
import tempfile

OUT = pathlib.Path(__file__).resolve().parent.parent / "tests/data/tokenizer"
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

# Text with everything that splits tokenizers differ in. Bytes, because some are no UTF-8.
HARD = [
    b"", b" ", b"  ", b"   ", b"\n", b"\n\n", b"\t", b"\r\n", b"\r\n\r\n a \r\n", b" \n \n  x", b"\t\t x\t",
    b"Hello world", b" Hello  world  ", b"I'm you'RE it'S we'll 'tis o'clock", b"'s 's's '' ' ",
    b"'S'T'RE'VE'M'LL'D", b"camelCaseWordsAND_SNAKE_case-kebab ALLCAPS", b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    b"                                x", b"x                                ", b"\n\n\n\n\n\n\n\n",
    b"1 12 123 1234 12345 123456789 3.14159 1,000,000 0x1F 1e-9", b"3333 33333 333333 3333333",
    b"for (int i = 0; i < n; ++i) {\n    a[i] += b[i] * c;  // x\n}\n",
    b"def f(x):\n\treturn x**2 if x else None\n\n\nclass A: pass", b"<html><body class=\"x\">&amp;</body></html>",
    b"http://example.com/a?b=c&d=%20#frag user@mail.org",
    b"!!!???...,,,;;;:::---___===+++***///\\\\|||~~~```^^^", b"\x00\x01\x02\x7f a\x00b", b"a\x04b\x06\x13\x14 \x16\x1d.",
    "na\u00efve caf\u00e9 \u00dcn\u00efc\u00f6d\u00e9 \u00c0\u00c9\u00ce".encode(),
    "e\u0301 a\u0308 o\u0302\u0323 \u0301".encode(),
    "\u65e5\u672c\u8a9e\u306e\u30c6\u30ad\u30b9\u30c8\u3067\u3059\u3002\u6f22\u5b57\u304b\u306a\u6587\u3002".encode(),
    "\u4e2d\u6587\u6d4b\u8bd5\uff0c\u4f60\u597d\u4e16\u754c\uff01\uff11\uff12\uff13".encode(),
    "\ud55c\uad6d\uc5b4 \ud14d\uc2a4\ud2b8 \u1100\u1161\u11a8".encode(),
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645 \u0661\u0662\u0663".encode(),
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e \u0967\u0968\u0969".encode(),
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd \u0e44\u0e17\u0e22\u0e20\u0e32\u0e29\u0e32".encode(),
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u0401\u0436".encode(),
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f44d\U0001f3fd \U0001f1e9\U0001f1ea \u2764\ufe0f \U0001f600".encode(),
    "a\U0001f468\U0001f3ff\u200d\U0001f680b".encode(),
    "\u00bd \u00b2 \u2167 \u0be7\u0be8 \u2460".encode(), "\u01c5 \u02b0 \u00aa \u00ba \u207f \u2135".encode(),
    "\u201cquotes\u201d \u2018single\u2019 \u2014 en\u2013dash \u2026 \u2022 \u00a9\u00ae \u20ac\u00a3".encode(),
    "a\u00a0b\u2003c\u3000d\u200be\u180ef\u0085g\u2028h".encode(), " \u2581a \u2581\u2581 b".encode(),
    "\u00df \u1e9e \u0130 \u0131".encode(), "\ufeffBOM \ufffd".encode(),
    b"<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", b"<|im_start <|im_end|><|endoftext|>|>",
    b"<s>a</s> <unk> <|begin_of_text|>x", b"a<s>b</s>c<unk>d <0x0A> e",
    b"\xff\xfe abc \x80", b"ok\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"a\xed\xa0\x80b\xc0\xafc", b"\x80\xe2\x82\xac\xe2",
]
# (what is repeated, how often): 100 kB each, with and without spaces.
LONG = [
    (b"The quick brown fox doesn't jump over 13 lazy dogs.\n", 1961), (b"a", 100000), (b" ", 100000),
    (b"\n", 100000), (b"abcdefghijklmnopqrstuvwxyz", 3846), (b"0123456789", 10000), (b"!?", 50000),
    ("\u6f22".encode(), 33333), ("\U0001f600".encode(), 25000), (b" \n", 50000), (b"\xff", 1000),
]


def is_text(data):
    try:
        data.decode()
        return True
    except UnicodeDecodeError:
        return False


def hash_ids(ids):
    """FNV-1a over the ids, one step per id."""
    h = 0xCBF29CE484222325
    for i in ids:
        h = ((h ^ i) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def save(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace('},{"', '},\n{"') + "\n")
    print(path.relative_to(OUT.parent.parent.parent), path.stat().st_size)


def corpus():
    words = "the of and to in is that it was for on are with as his they at be this from have or by one had not but"
    lines = [d.decode() for d in HARD if is_text(d)] * 3
    lines += [f"{w} {v}ing, {v}ed {w}s.\n" for w in words.split() for v in ("jump", "walk", "token", "print")]
    return lines + ["    return x\n", "  if (a == b) {\n", "12 345 6789\n", "isn't we've I'll\n"] * 4


def cased_letters():
    """The letters that deepseek-llm's first split knows, as a character class."""
    import unicodedata
    newer = [(0x560, 0x588), (0x10C7, 0x10FF), (0x1C80, 0x1C8F), (0x2D00, 0x2D2D), (0xA790, 0xA7FA),
             (0xAB30, 0xAB68), (0x10570, 0x105BC), (0x16E40, 0x16EDF), (0x1D400, 0x1D7CB), (0x1DF00, 0x1DFFF)]
    codes = [c for c in range(0x110000) if unicodedata.category(chr(c)) in ("Lu", "Ll", "Lt")
             and not any(a <= c <= b for a, b in newer)]
    runs = []
    for c in codes:
        if runs and runs[-1][1] == c - 1:
            runs[-1][1] = c
        else:
            runs.append([c, c])
    return "".join(chr(a) if a == b else f"{chr(a)}-{chr(b)}" for a, b in runs)


def pre_tokenizers():
    """The pre_tokenizer of each model's own tokenizer.json."""
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Punctuation, Sequence, Split
    words = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
             r"|\s*[\r\n]+|\s+(?!\S)|\s+")
    split = lambda regex: Split(Regex(regex), "isolated")
    plain = lambda: ByteLevel(add_prefix_space=False, use_regex=True)
    bytes_only = lambda: ByteLevel(add_prefix_space=False, use_regex=False)
    cjk = split("[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+")
    return {
        "gpt-2 phi-2": plain(),
        "smollm starcoder command-r": Sequence([Digits(True), plain()]),
        "llama-bpe": Sequence([split(words % "{1,3}"), bytes_only()]),
        "qwen2": Sequence([split(words % ""), bytes_only()]),
        "deepseek-llm": Sequence([
            split("[\r\n]"), split(rf"\s?[{cased_letters()}]+"),
            split(r"\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+"),
            split(r"\s+$"), cjk, Digits(True), bytes_only()]),
        "deepseek-coder": Sequence([split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), cjk, Digits(True),
                                    bytes_only()]),
        "falcon": Sequence([Punctuation("contiguous"), plain(), Digits(False), split("[0-9][0-9][0-9]")]),
    }


def cases(encode, decode=None):
    """Per string the ids (None where the reference takes only UTF-8), and count and hash for the long ones."""
    short = [encode(d.decode()) if is_text(d) else None for d in HARD]
    long = []
    for text, times in LONG:
        if is_text(text):
            ids = encode((text * times).decode())
            long.append({"count": len(ids), "hash": hash_ids(ids)})
        else:
            long.append(None)
    out = {"ids": short, "long": long}
    if decode:
        out["text"] = [decode(ids) if ids is not None else None for ids in short]
    return out


def byte_level_fixture(names, pre, normalizer=None):
    """`names` share their pre-tokenizer."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers as p, trainers
    t = Tokenizer(models.BPE(ignore_merges=names == "llama-bpe"))
    t.pre_tokenizer = pre
    t.decoder = decoders.ByteLevel()
    if normalizer:
        t.normalizer = normalizer
    t.train_from_iterator(corpus(), trainers.BpeTrainer(
        vocab_size=256 + 3 + 330, special_tokens=SPECIALS, initial_alphabet=sorted(p.ByteLevel.alphabet()),
        show_progress=False))
    t.add_tokens([AddedToken("  \t", normalized=False), AddedToken("<tool>", normalized=False)])
    encode = lambda s: t.encode(s).ids
    save(OUT / f"{names.split()[0]}.json", {"pre": names.split(), "tokenizer": json.loads(t.to_str()),
                                "cases": cases(encode, lambda ids: t.decode(ids, skip_special_tokens=False))})


def train_spm():
    import sentencepiece as spm
    with tempfile.TemporaryDirectory() as folder:
        prefix = f"{folder}/m"
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(line for text in corpus() for line in text.split("\n") if line),
            model_prefix=prefix, model_type="bpe", vocab_size=700, byte_fallback=True, character_coverage=0.98,
            normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True,
            allow_whitespace_only_pieces=True, minloglevel=2)
        return spm.SentencePieceProcessor(model_file=f"{prefix}.model")


def spm_fixture():
    """A SentencePiece model as GGUF metadata and, with its merges ranked by score, as tokenizer.json."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers as p
    sp = train_spm()
    pieces = [sp.id_to_piece(i) for i in range(len(sp))]
    kind = lambda i: 2 if sp.is_unknown(i) else 3 if sp.is_control(i) else 6 if sp.is_byte(i) else 1
    metadata = {"tokens": pieces, "scores": [round(sp.get_score(i), 3) for i in range(len(sp))],
                "types": [kind(i) for i in range(len(sp))]}
    encode = lambda s: sp.encode(s)
    save(OUT / "spm.json", {"metadata": metadata, "cases": cases(encode, lambda ids: sp.decode(ids))})

    vocab = {piece: i for i, piece in enumerate(pieces)}
    merges = [(vocab[a + b], vocab[a], vocab[b], a, b) for a in pieces for b in pieces
              if a + b in vocab and all(kind(vocab[x]) == 1 for x in (a, b, a + b))]
    merges = [(a, b) for *_, a, b in sorted(merges)]
    replace = normalizers.Replace(" ", "\u2581")
    variants = {
        "llama-json": (normalizers.Sequence([normalizers.Prepend("\u2581"), replace]), None),
        "metaspace-first": (None, p.Metaspace(prepend_scheme="first", split=False)),
        "metaspace-always": (None, p.Metaspace(prepend_scheme="always", split=True)),
        "metaspace-never": (None, p.Metaspace(prepend_scheme="never", split=True)),
    }
    for name, (normalizer, pre) in variants.items():
        t = Tokenizer(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
        if normalizer:
            t.normalizer = normalizer
        if pre:
            t.pre_tokenizer = pre
        strip = [] if name == "metaspace-never" else [decoders.Strip(" ", 1, 0)]
        t.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(),
                                       *strip])
        # One of each way of being found: after the normalizer, with the spaces beside it, as a whole word.
        t.add_special_tokens([AddedToken(s, normalized=name == "metaspace-always") for s in ("<s>", "</s>", "<unk>")])
        t.add_tokens([AddedToken("<|im_start|>", lstrip=True, normalized=False),
                      AddedToken("<|im_end|>", rstrip=True, normalized=False),
                      AddedToken("dash", single_word=True, normalized=False)])
        save(OUT / f"{name}.json",
             {"tokenizer": json.loads(t.to_str()), "cases": cases(lambda s: t.encode(s).ids, lambda ids: t.decode(
                 ids, skip_special_tokens=False))})


def small():
    from tokenizers import Regex, normalizers as n, pre_tokenizers as p
    save(OUT / "hard.json", {"hex": [d.hex() for d in HARD],
                             "long": [{"hex": t.hex(), "times": k} for t, k in LONG]})
    for name, pre in pre_tokenizers().items():
        byte_level_fixture(name, pre)
    byte_level_fixture("json-nfc", pre_tokenizers()["qwen2"], normalizer=n.NFC())
    byte_level_fixture("json-prefix-space", p.ByteLevel(add_prefix_space=True, use_regex=True))
    odd = p.Sequence([p.Split("i", "merged_with_next"), p.Split(Regex("[aeu]+"), "merged_with_previous"),
                      p.Split(Regex(r"\d"), "contiguous"), p.Split(Regex(r"\w+"), "isolated", invert=True),
                      p.ByteLevel(add_prefix_space=False, use_regex=False)])
    byte_level_fixture("json-splits", odd, normalizer=n.Sequence(
        [n.NFKC(), n.Lowercase(), n.Replace(Regex("q+"), "kw"), n.Replace("||", "/"), n.Strip(left=True, right=False)]))
    spm_fixture()


def real(folder):
    """What llama.cpp gives with the vocabularies of real models, which are too large to store."""
    import llama_cpp
    for file in sorted(pathlib.Path(folder).glob("*.gguf")):
        name = file.stem.removeprefix("ggml-vocab-")
        t = llama_cpp.Llama(str(file), vocab_only=True, verbose=False)
        encode = lambda s: t.tokenize(s.encode(), add_bos=False, special=False)
        special = lambda s: t.tokenize(s.encode(), add_bos=False, special=True)
        # For these two it makes "</s>" a special token by its name, and for one strips what follows such tokens.
        odd = lambda d: name in ("qwen2", "phi-3") and b"</s>" in d
        texts = [d for d in HARD if is_text(d) and not odd(d)]
        save(OUT / "vocabs" / f"{name}.json", {
            "ids": [encode(d.decode()) if is_text(d) else None for d in HARD],
            "special": {d.hex(): special(d.decode()) for d in texts if special(d.decode()) != encode(d.decode())}})


if __name__ == "__main__":
    if sys.argv[1:] == ["small"]:
        small()
    elif len(sys.argv) == 3 and sys.argv[1] == "real":
        real(sys.argv[2])
    else:
        sys.exit(__doc__)
