#include "tl/syntax/parser.h"

#include <gtest/gtest.h>

#include "tl/diag/print.h"
#include "tl/syntax/ast_dump.h"

namespace tl {
namespace {

struct Case {
  std::string_view source, tree;
};

std::string parsed(std::string_view source) {
  SourceFiles files;
  Diagnostics diags;
  const auto module = parse(files, files.add("t.tl", std::string(source)), diags);
  return dump(*module) + (diags.empty() ? "" : "\n" + render(diags, files));
}

template <size_t N>
void expect_trees(const Case (&cases)[N]) {
  for (const Case& c : cases) EXPECT_EQ(parsed(c.source), c.tree) << c.source;
}

TEST(Parser, Precedence) {
  expect_trees({
      {"a + b * c - d", "(- (+ a (* b c)) d)"},
      {"a + b as int", "(as (+ a b) int)"},
      {"a < b as float", "(< a (as b float))"},
      {"a as int + 1", "(+ (as a int) 1)"},
      {"x as int < 3", "(< (as x int) 3)"},
      {"2 ** 3 ** 2", "(** 2 (** 3 2))"},
      {"-2.0 ** 2", "(- (** 2.0 2))"},
      {"2 ** -1", "(** 2 (- 1))"},
      {"x^2 * y", "(* (** x 2) y)"},
      {"a @ b * c", "(* (@ a b) c)"},
      {"a ⊙ b % c", "(% (⊙ a b) c)"},
      {"a ⊗ b", "(⊗ a b)"},
      {"a || b && c == d", "(|| a (&& b (== c d)))"},
      {"a or b and not c == d", "(|| a (&& b (! (== c d))))"},
      {"!a && b", "(&& (! a) b)"},
      {"a == b != c", "(!= (== a b) c)"},
      {"a ≈ b", "(≈ a b)"},
      {"x in xs and y not in ys", "(&& (in x xs) (not in y ys))"},
      {"a ~ b", "(~ a b)"},
      {"0..n+1", "(.. 0 (+ n 1))"},
      {"0..=n", "(..= 0 n)"},
      {"-x.f", "(- (field x f))"},
      {"- -x", "(- (- x))"},
      {"if a <-1 { b }", "(if (< a (- 1)) (do b))"},
      {"let c = a<-b*2", "(let c (< a (- (* b 2))))"},
      {"inv A", "(inv A)"},
      {"inv(A)", "(call inv A)"},
      {"(a + b) * c", "(* (+ a b) c)"},
      {"a − b", "(- a b)"},
  });
}

TEST(Parser, Literals) {
  expect_trees({
      {"1; 1.0; 1e-5; .5; 5.; 1_000; 0x10; 2i", "1\n1.0\n1e-05\n0.5\n5.0\n1000\n16\n2.0i"},
      {"9223372036854775807; -9223372036854775808", "9223372036854775807\n-9223372036854775808"},
      {"true; false", "true\nfalse"},
      {"[1, 2.5,]; []; [[1], [2]]", "(list 1 2.5)\n(list)\n(list (list 1) (list 2))"},
      {"[0; n]", "(repeat 0 n)"},
      {"(); (a,); (a, b)", "(tuple)\n(tuple a)\n(tuple a b)"},
      {"x; (a)", "x\na"},
      {R"("a\n\t\"\\\u{e9}\x41\0")", "\"a\\n\t\\\"\\\\éA" + std::string(1, '\0') + "\""},
      {"'single \"quoted\"'", R"("single \"quoted\"")"},
      {R"("loss {x:.2} of {n}")", R"((string "loss " (show x ".2") " of " (show n)))"},
      {R"("{} and {:>8}")", R"((string (hole "{}") " and " (hole "{:>8}")))"},
      {R"("{a[1:2]:>8}{f(x, y=2)}")", R"((string (show (index a (slice 1 2)) ">8") (show (call f x y=2))))"},
      {R"("{S::new()} {d[\"k\"]}")", R"((string (show (call S::new)) " " (show (index d "k"))))"},
      {R"("{{x}} {\"k\": 1} {% if %} { } { a b }")", R"("{x} {\"k\": 1} {% if %} { } { a b }")"},
      {R"("{ x + 1 }")", R"((string (show (+ x 1))))"},
      {R"("\{x\}")", R"("{x}")"},
      {R"("{x +} {a, b} {x")", R"("{x +} {a, b} {x")"},
      {R"("\u2713\u00e9")", R"("✓é")"},
  });
}

TEST(Parser, Postfix) {
  expect_trees({
      {"f(a, b=1, c: 2)", "(call f a b=1 c=2)"},
      {"f(x).g(y)[0]", "(index (method (call f x) g y) 0)"},
      {"model.blk[i].attn_q.weight", "(field (field (index (field model blk) i) attn_q) weight)"},
      {"model.blk.0.attn_q", "(field (field (field model blk) 0) attn_q)"},
      {"(a + b)[0].t()", "(method (index (+ a b) 0) t)"},
      {"\"=\" * 80; \"a\".len()", "(* \"=\" 80)\n(method \"a\" len)"},
      {"[1, 2].sum()", "(method (list 1 2) sum)"},
      {"x[-1, i + 1, :, 1:, :2, a:b:c, ::2, ..., 0]",
       "(index x (- 1) (+ i 1) (slice _ _) (slice 1 _) (slice _ 2) (slice a b c) (slice _ _ 2) ... 0)"},
      {"x[1:-1]", "(index x (slice 1 (- 1)))"},
      {"f32::zeros([2, 3])", "(call f32::zeros (list 2 3))"},
      {"S::new(); Pair<int>::new(1)", "(call S::new)\n(call (Pair int)::new 1)"},
      {"a < b", "(< a b)"},
      {"a\n.b()\n.c()", "(method (method a b) c)"},
      {"python.call(\"np.sum\", t)", "(method python call \"np.sum\" t)"},
      {"P { x: 1.0, y }; P {}; Pair<int, float> { a: 1 }",
       "(new P x=1.0 y=y)\n(new P)\n(new (Pair int float) a=1)"},
      {"f(P { x: 1 })", "(call f (new P x=1))"},
      {"|x| x + 1", "(closure (x) (+ x 1))"},
      {"let f = |x: int, y| -> int { x }", "(let f (closure ((x : int) y) -> int (do x)))"},
      {"map(xs, || 1)", "(call map xs (closure () 1))"},
  });
}

TEST(Parser, NewLines) {
  expect_trees({
      {"let a = b\n-c", "(let a b)\n(- c)"},
      {"let a = b\n[1]", "(let a b)\n(list 1)"},
      {"let a = b\n(c)", "(let a b)\nc"},
      {"let a = b -\nc", "(let a (- b c))"},
      {"let a = b\n+ c\n* d", "(let a (+ b (* c d)))"},
      {"let a = b\n&& c\nor d", "(let a (|| (&& b c) d))"},
      {"f(a\n-b,\n[1])", "(call f (- a b) (list 1))"},
      {"return\nprint(1)", "(return)\n(call print 1)"},
      {"a; b;; c", "a\nb\nc"},
      {"print(1) print(2)", "(call print 1)\n(call print 2)"},
      {"x = 1 y = 2", "(= x 1)\n(= y 2)"},
      {"if a { b }\n-c", "(if a (do b))\n(- c)"},
      {"f(x).bar()", "(method (call f x) bar)"},
      {"Parent(a, b).\nParent(b, c).", "(call Parent a b)\n(call Parent b c)"},
  });
}

TEST(Parser, Statements) {
  expect_trees({
      {"let x: float16[n, 4] = y", "(let x : float16[n 4] y)"},
      {"let (a, b) = f()", "(let (a b) (call f))"},
      {"x = 1; x := 2; x += 1; x -= 1; x *= 2; x /= 2; x %= 2; x **= 2; x @= w",
       "(= x 1)\n(:= x 2)\n(+= x 1)\n(-= x 1)\n(*= x 2)\n(/= x 2)\n(%= x 2)\n(**= x 2)\n(@= x w)"},
      {"a[i, 0] = 3; p.x = 2; (a, b) = (b, a)",
       "(= (index a i 0) 3)\n(= (field p x) 2)\n(= (tuple a b) (tuple b a))"},
      {"if a { b } else if c { d } else { e }", "(if a (do b) c (do d) else (do e))"},
      {"if a {\n b\n}\nelse\n{\n c }", "(if a (do b) else (do c))"},
      {"let x = if a { 1 } else { 2 }", "(let x (if a (do 1) else (do 2)))"},
      {"let x = if a then 1 else if b then 2 else 3", "(let x (if a (do 1) b (do 2) else (do 3)))"},
      {"while i < n { i += 1 continue }", "(while (< i n) (do (+= i 1) continue))"},
      {"loop { break }", "(loop (do break))"},
      {"for x in range(10) { }", "(for x (call range 10) (do))"},
      {"for (i, x) in enumerate(xs) { }", "(for (i x) (call enumerate xs) (do))"},
      {"for i, x in xs { }", "(for (i x) xs (do))"},
      {"for p in {ann, bob} { }", "(for p (set ann bob) (do))"},
      {"{ a; b }", "(do a b)"},
      {"match x { 1 => a, -2 | 3 => b, \"s\" => c\n _ if y => return d }",
       "(match x (1 a) ((or (- 2) 3) b) (\"s\" c) (_ if y (do (return d))))"},
      {"let y = match p { P { x: 0, y } => y, (a, _) => a, n => n }",
       "(let y (match p ((new P x=0 y=y) y) ((tuple a _) a) (n n)))"},
      {"while x == y { }", "(while (== x y) (do))"},
      {"with Person { f() }", "(with Person (do (call f)))"},
      {"python import numpy.linalg as la", "(python numpy.linalg la)"},
      {"panic(\"no {}\", x)", "(call panic (string \"no \" (hole \"{}\")) x)"},
      {"let test = 1; test = rule + main; let entity = tensor",
       "(let test 1)\n(= test (+ rule main))\n(let entity tensor)"},
  });
}

TEST(Parser, Declarations) {
  expect_trees({
      {"fn f(x: float16[n, d], w: float16[m, d]) -> float16[n, m] { x @ w }",
       "(fn f ((x : float16[n d]) (w : float16[m d])) -> float16[n m] (do (@ x w)))"},
      {"fn f(x, k: int = 2) { }", "(fn f (x (k : int = 2)) (do))"},
      {"fn id<T>(x: T, g: fn(T) -> T, t: (int, [float])) -> T { return x }",
       "(fn id (generics T) ((x : T) (g : (fn T -> T)) (t : (tuple int (list float)))) -> T (do (return "
       "x)))"},
      {"fn f(x: float32[?, ..b, n*2]) -> void {}", "(fn f ((x : float32[? ..b (* n 2)])) -> void (do))"},
      {"struct Pair<A, B> { a: A, b: float16[2] learnable\n c: int }",
       "(struct Pair (generics A B) (a A) (b float16[2] learnable) (c int))"},
      {"impl<T> Drop for Pair<T> { fn drop(self) { f(self.a) } }",
       "(impl (generics T) Drop for (Pair T) (fn drop (self) (do (call f (field self a)))))"},
      {"impl P { fn new() -> P { P { x: 1 } }; fn y(self) -> int { 2 } }",
       "(impl P (fn new () -> P (do (new P x=1))) (fn y (self) -> int (do 2)))"},
      {"tensor w: float16[1] learnable = [0.5]", "(tensor w float16[1] learnable (list 0.5))"},
      {"tensor b: float32[2, n] frozen\ntensor c = zeros([2])",
       "(tensor b float32[2 n] frozen)\n(tensor c (call zeros (list 2)))"},
      {"import \"std/llama.tl\"\nmain { }", "(import \"std/llama.tl\")\n(main (do))"},
      {"test add { assert(1 + 1 == 2) }\nbench mul { x }\ntest \"a name\" { }",
       "(test add (do (call assert (== (+ 1 1) 2))))\n(bench mul (do x))\n(test a name (do))"},
  });
}

TEST(Parser, TensorEquations) {
  expect_trees({
      {"H[i, t]  = sigmoid(W[i, j] * X[j, t] + b[i])",
       "(= (index H i t) (call sigmoid (+ (* (index W i j) (index X j t)) (index b i))))"},
      {"P[q, k.] = softmax(Q[q, d] * K[k, d] / sqrt(dk))",
       "(=! (index P q (normalised k)) (call softmax (/ (* (index Q q d) (index K k d)) (call sqrt dk))))"},
      {"S[i, *t+1] = tanh(A[i, j] * S[j, *t])",
       "(=! (index S i (virtual (+ t 1))) (call tanh (* (index A i j) (index S j (virtual t)))))"},
      {"Y = step(W[i] X[i])", "(=! Y (call step (join (index W i) (index X i))))"},
      {"Y = W[i] X[i]", "(=! Y (join (index W i) (index X i)))"},
      {"M[i, k] = A[i, j] B[j, k]\nprint(M)",
       "(=! (index M i k) (join (index A i j) (index B j k)))\n(call print M)"},
      {"Y = a[0] print(Y)", "(= Y (index a 0))\n(call print Y)"},
      {"EmbX[p, d] = X(p, t) Emb[t, d]", "(=! (index EmbX p d) (join (call X p t) (index Emb t d)))"},
      {"Comp[p, p'.] = softmax(Query[p, dk] Key[p', dk]/sqrt(Dk))",
       "(=! (index Comp p (normalised p')) (call softmax (/ (join (index Query p dk) (index Key p' dk)) "
       "(call sqrt Dk))))"},
      {"PosEnc[p, d] = Even(d) sin(p/L^(d/De)) + Odd(d) cos(p/L^((d−1)/De))",
       "(=! (index PosEnc p d) (+ (join (call Even d) (call sin (/ p (** L (/ d De))))) "
       "(join (call Odd d) (call cos (/ p (** L (/ (- d 1) De)))))))"},
      {"Pooled[x/S, y/S] max= Features[x, y]", "(max=! (index Pooled (/ x S) (/ y S)) (index Features x y))"},
      {"F[x, y] = relu(Filter[dx, dy, ch] Image[x+dx, y+dy, ch])",
       "(=! (index F x y) (call relu (join (index Filter dx dy ch) (index Image (+ x dx) (+ y dy) ch))))"},
      {"Loss = (Y[e] − X[*e, N, j])^2", "(=! Loss (** (- (index Y e) (index X (virtual e) N j)) 2))"},
      {"K[i, i'] = (X[i,j] X[i',j])^n", "(=! (index K i i') (** (join (index X i j) (index X i' j)) n))"},
      {"EmbR[i, j] = R(x, y) * Emb[x, i] * Emb[y, j]",
       "(= (index EmbR i j) (* (* (call R x y) (index Emb x i)) (index Emb y j)))"},
      {"Y = X[4:8]; M[0, Alice] = 1", "(= Y (index X (slice 4 8)))\n(= (index M 0 Alice) 1)"},
      {"Z[i] = W[i] (X[i] + c)", "(=! (index Z i) (join (index W i) (+ (index X i) c)))"},
      {"\"out.csv\" = M; M = \"in.txt\"", "(= \"out.csv\" M)\n(= M \"in.txt\")"},
      {"Y?", "(query Y)"},
      {"D[A] avg= S[d] Emb[A, d]", "(avg=! (index D A) (join (index S d) (index Emb A d)))"},
  });
}

TEST(Parser, Logic) {
  expect_trees({
      {"entity Person = {ann, bob}\nentity City", "(entity Person (set ann bob))\n(entity City)"},
      {"relation Parent(x: Person, y: Person)\nParent(ann, bob)",
       "(relation Parent ((x : Person) (y : Person)))\n(call Parent ann bob)"},
      {"relation Edge(x, y) weight prob embed float16[64]",
       "(relation Edge (x y) weight prob embed float16[64])"},
      {"Edge(a, b) = 0.9", "(= (call Edge a b) 0.9)"},
      {"Aunt(x, z) <- Sister(x, y), Parent(y, z)",
       "(rule (call Aunt x z) (all (call Sister x y) (call Parent y z)))"},
      {"Aunt(x, z) :- Sister(x, y),\n Parent(y, z)\nf()",
       "(rule (call Aunt x z) (all (call Sister x y) (call Parent y z)))\n(call f)"},
      {"A(x) ← B(x) | C(x), not D(x) | x > 3",
       "(rule (call A x) (any (all (call B x)) (all (call C x) (! (call D x))) (all (> x 3))))"},
      {"rule A(X) <- B(X, Y), (C(Y) | D(Y)), X != Y, Z = X + 1, (X + 1) * 2 < 3",
       "(rule (call A X) (all (call B X Y) (any (all (call C Y)) (all (call D Y))) (!= X Y) (= Z (+ X 1)) "
       "(< (* (+ X 1) 2) 3)))"},
      {"Total(x, sum(v)) <- Sale(x, v)", "(rule (call Total x (call sum v)) (all (call Sale x v)))"},
      {"N(x, n) <- P(x), n = count(y: Q(x, y))",
       "(rule (call N x n) (all (call P x) (= n (call count y=(call Q x y)))))"},
      {"rule 0.9: A(x) <- B(x)", "(rule 0.9 (call A x) (all (call B x)))"},
      {"a ~ b <- C(a, b)", "(rule (~ a b) (all (call C a b)))"},
      {"Win <- Move(x)", "(rule Win (all (call Move x)))"},
      {"Ancestor(ann, X)?", "(query (call Ancestor ann X))"},
      {"Ancestor(ann, X)? where X != bob, age > 3 order by age desc, X limit 5\nf()",
       "(query (call Ancestor ann X) where (all (!= X bob) (> age 3)) (desc age) (asc X) limit 5)\n(call f)"},
      {"let rows = Parent(X, Y)?", "(let rows (query (call Parent X Y)))"},
      {"for r in Parent(X, Y)? { }", "(for r (query (call Parent X Y)) (do))"},
      {"query Ancestor(ann, X) where X != bob", "(query (call Ancestor ann X) where (all (!= X bob)))"},
      {"infer forward\ninfer backward A(x)?\ninfer { symbolic B(x)? gradient C(y)? }",
       "(infer (forward))\n(infer (backward (query (call A x))))\n"
       "(infer (symbolic (query (call B x))) (gradient (query (call C y))))"},
      {"explain Ancestor(ann, cid)", "(explain (call Ancestor ann cid))"},
      {"embedding E { entities: {a, b}  dimension: 64  init: xavier }", "(embedding E (set a b) 64 xavier)"},
      {"embedding E { entities: Person, dimension: 8, }", "(embedding E Person 8)"},
      {"relation_embedding R { relations: all dimension: 4 }", "(relation_embedding R auto 4)"},
      {"let e = embedding(w, ids)", "(let e (call embedding w ids))"},
  });
}

TEST(Parser, Learning) {
  expect_trees({
      {"learn { let d = w - 3\n objective: d * d, optimizer: adam(lr: 1e-3), epochs: 10, scheduler: "
       "step(gamma=0.5) }",
       "(learn (do (let d (- w 3))) (objective (* d d)) (optimizer (call adam lr=0.001)) (epochs 10) "
       "(scheduler (call step gamma=0.5)))"},
      {"learn {\n optimizer: adam(lr=x)\n epochs: N\n for epoch in range(epochs) { backward(loss) set_lr(v) "
       "}\n}",
       "(learn (do (for epoch (call range epochs) (do (call backward loss) (call set_lr v)))) "
       "(optimizer (call adam lr=x)) (epochs N))"},
  });
}

TEST(Parser, Signatures) {
  SourceFiles files;
  Diagnostics diags;
  const FileId file =
      files.add("builtin", "(x: tensor<F>[..b, n], rest: any..., eps: float = 1e-5) -> tensor<F>[..b, n]");
  const auto fn = parse_signature(files, file, diags);
  EXPECT_TRUE(diags.empty()) << render(diags, files);
  EXPECT_EQ(dump(*fn),
            "(fn ((x : (tensor F)[..b n]) (rest... : any) (eps : float = 1e-05)) -> (tensor F)[..b n] (do))");
}

TEST(Parser, SpansCoverTheText) {
  SourceFiles files;
  Diagnostics diags;
  const FileId file = files.add("t.tl", "let y = (a + b) * c.d(e)\nx[1] = 2");
  const auto module = parse(files, file, diags);
  const auto& let = ast::as<ast::Let>(*module->statements[0]);
  EXPECT_EQ(files.text(let.span), "let y = (a + b) * c.d(e)");
  const auto& product = ast::as<ast::Binary>(*let.value);
  EXPECT_EQ(files.text(product.span), "(a + b) * c.d(e)");
  EXPECT_EQ(files.text(product.op_span), "*");
  EXPECT_EQ(files.text(product.rhs->span), "c.d(e)");
  EXPECT_EQ(files.text(ast::as<ast::Assign>(*module->statements[1]).target->span), "x[1]");
  EXPECT_EQ(files.text(module->statements[1]->span), "x[1] = 2");
}

// What a prompt needs to ask for another line.
TEST(Parser, KnowsWhenTheTextStopsEarly) {
  const auto ends_early = [](std::string_view source) {
    SourceFiles files;
    Diagnostics diags;
    return parse(files, files.add("t.tl", std::string(source)), diags)->ends_early;
  };
  for (const std::string_view source :
       {"fn f() {", "f(1,", "let x =", "x = [1, 2", "/* a", "\"a", "1 +", "fn f"}) {
    EXPECT_TRUE(ends_early(source)) << source;
  }
  for (const std::string_view source : {"", "f(1)", "let = 2", "f(1))", "x = ]"})
    EXPECT_FALSE(ends_early(source)) << source;
}

}  // namespace
}  // namespace tl
