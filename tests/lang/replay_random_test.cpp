// Random programs whose functions are called again and again with other arguments, while what they read
// changes: replayed, they show what they show interpreted, in whatever setting. TL_SEED and TL_RUNS choose
// the programs.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <random>

#include "tests/lang/run_text.h"

namespace tl {
namespace {

constexpr int kRuns = 100;

// Rows are tensors [n, 4], vectors [4]; ints are small.
class Maker {
 public:
  explicit Maker(u64 seed) : random_(seed) {}

  std::string program() {
    has_odd_types_ = one_in(8);
    may_fail_ = one_in(6);
    globals();
    const int functions = 2 + pick(3);
    for (int f = 0; f < functions; ++f) function(f);
    calls();
    return std::move(out_);
  }

 private:
  enum class Gives : u8 { Rows, Pair, List, Struct, Argument };

  int pick(int n) { return static_cast<int>(random_() % static_cast<u64>(n)); }
  bool one_in(int n) { return pick(n) == 0; }
  template <size_t N>
  const char* any(const std::array<const char*, N>& of) {
    return of[static_cast<size_t>(pick(static_cast<int>(N)))];
  }
  const std::string& any(const std::vector<std::string>& of) {
    return of[static_cast<size_t>(pick(static_cast<int>(of.size())))];
  }
  template <typename... Args>
  void line(fmt::format_string<Args...> text, Args&&... args) {
    out_.append(static_cast<size_t>(indent_) * 4, ' ');
    out_ += fmt::format(text, std::forward<Args>(args)...) + "\n";
  }

  void globals() {
    line("rand_seed({})", pick(1000));
    line("let w = randn([4, 4]) * 0.5");
    line("let bias = randn([4])");
    line("let scale = 1.5");
    line("let steps = 2");
    line("let table = [randn([4]), randn([4]), 3]");
    line("struct Config {{ w: any, n: int, act: any, cache: any, several: any }}");
    line("struct Result {{ x: any, n: any }}");
    line("impl Config {{");
    line("    fn apply(self, x, k) {{ self.act(x @ self.w + k) * self.n + relu(x) }}");
    line("}}");
    line("fn half(x) {{ x * 0.5 }}");
    line("let config = Config {{ w: randn([4, 4]), n: 2, act: relu, cache: kv_cache(2, 8),");
    line("                       several: kv_cache(2, sequences: 2) }}");
    line(
        "let other = Config {{ w: w, n: 3, act: half, cache: kv_cache(2, 64), several: kv_cache(2, 5, "
        "sequences: 2) }}");
    for (const char* of : {"config", "other"}) {
      for (const int layer : {0, 1}) {
        line("{}.cache.append({}, randn([1, 4]), randn([1, 4]))", of, layer);
        line("{}.several.append({}, randn([2, 1, 4]), randn([2, 1, 4]))", of, layer);
      }
    }
  }

  std::string an_int() {
    switch (pick(9)) {
      case 0:
        return std::to_string(pick(5));
      case 1:
        return fmt::format("({} + {})", any(ints_), pick(3));
      case 2:
        return fmt::format("({} * {})", any(ints_), any(ints_));
      case 3:
        return fmt::format("len({})", any(rows_));
      case 4:
        return fmt::format("({} % {})", any(ints_), 2 + pick(3));
      case 5:
        return fmt::format("shape({})[{}]", any(rows_), pick(2));
      case 6:
        return fmt::format("({} - {})", any(ints_), any(ints_));
      default:
        return any(ints_);
    }
  }

  std::string condition() {
    constexpr std::array kCompares{"<", "<=", "==", "!=", ">", ">="};
    return fmt::format("{} {} {}", an_int(), any(kCompares), an_int());
  }

  std::string a_vector() {
    switch (pick(7)) {
      case 0:
        return "bias";
      case 1:
        return fmt::format("sum({}, 0)", any(rows_));
      case 2:
        return fmt::format("{}[{}]", any(rows_), one_in(2) ? 0 : -1);
      case 3:
        return fmt::format("table[{}]", pick(2));
      case 4:
        return fmt::format("tensor([{}, 1, {}, 2])", an_int(), an_int());
      case 5:
        return fmt::format("list[{}]", pick(2));
      default:
        return any(vectors_);
    }
  }

  std::string some_rows() {
    constexpr std::array kUnary{"relu", "tanh", "sigmoid", "softmax", "half", "neg", "abs"};
    constexpr std::array kOps{"+", "-", "*"};
    const std::string a = any(rows_);
    switch (pick(24)) {
      case 0:
        return fmt::format("{} @ w", a);
      case 1:
        return fmt::format("{} @ s.w", a);
      case 2:
        return fmt::format("{} {} {}", a, any(kOps), a_vector());
      case 3:
        return fmt::format("{} {} {}", a, any(kOps), an_int());
      case 4:
        return fmt::format("{} * scale + s.n", a);
      case 5:
        return fmt::format("concat([{}, {}], 0)[:len({})]", a, any(rows_), a);
      case 6:
        return fmt::format("where({} > 0.0, {}, {})", a, a, a_vector());
      case 7:
        return fmt::format("{} + randn(shape({})) * 0.1", a, a);
      case 8:
        return fmt::format("{}.transpose().transpose()", a);
      case 9:
        return fmt::format("{}[::-1]", a);
      case 10:
        return fmt::format("{}.reshape([{}, 4])", a, one_in(2) ? "-1" : fmt::format("len({})", a));
      case 11:
        return fmt::format("cast(cast({} * 3.0, int32) + {}, float32)", a, an_int());
      case 12:
        return fmt::format("einsum(\"ij,kj->ik\", {}, w)", a);
      case 13:
        return fmt::format("{} + embedding(w, tensor([{} % 4]))", a, "abs(" + an_int() + ")");
      case 14:
        return fmt::format("s.apply({}, {})", a, an_int());
      case 15:
        return fmt::format("act({})", a);
      case 16:
        return fmt::format("fold(list, {}, |a, b| a * 0.5 + b)", a);
      case 17:
        return fmt::format("stack([{}, {}], 0)[{}]", a, a, pick(2));
      case 18:
        if (one_in(2)) return fmt::format("{} + sum(s.cache.k({}), 0) + s.cache.length()", a, pick(2));
        return fmt::format(
            "{} + sum(sum(s.several.v({}), 0), 0) + s.several.length() + sum(s.several.lengths())", a,
            pick(2));
      case 19:
        return fmt::format("{}[0:1] + {}", a, a);
      case 20:
        return fmt::format("zeros([len({}), 4]) + {}", a, an_int());
      case 21:
        return may_fail_ ? fmt::format("{} + embedding(w, tensor([{}]))", a, an_int())
                         : fmt::format("exp(-abs({}))", a);
      default:
        return fmt::format("{}({})", any(kUnary), a);
    }
  }

  void statement() {
    const std::string name = fmt::format("t{}", names_++);
    switch (pick(14)) {
      case 0:
        line("let {} = {}", name, a_vector());
        vectors_.push_back(name);
        return;
      case 1:
        line("let {} = {}", name, an_int());
        ints_.push_back(name);
        return;
      case 2:
        line("let {} = if {} {{ {} }} else {{ {} }}", name, condition(), some_rows(), some_rows());
        break;
      case 3: {
        line("let {} = {}", name, some_rows());
        line("for j in range({}) {{ {} = {} * 0.5 + j }}", one_in(2) ? "steps" : "abs(" + an_int() + ") % 4",
             name, name);
        break;
      }
      case 4: {
        line("let {} = {}", name, some_rows());
        line("for item in list {{ {} = {} + item }}", name, name);
        break;
      }
      case 5: {
        const int layer = pick(2);
        const std::string& a = any(rows_);
        if (one_in(2)) {
          line("s.cache.append({}, {}[0:1] * 1.0, {}[-1:] * 2.0)", layer, a, a);
          return;
        }
        const std::string taken = fmt::format("min(len({}), 1)", a);
        const std::string counts = one_in(2) ? "" : fmt::format(", [{}, {} * {}]", taken, taken, pick(2));
        line("s.several.append({}, stack([{}[0:1], {}[-1:]], 0), stack([{}[-1:], {}[0:1]], 0){})", layer, a,
             a, a, a, counts);
        return;
      }
      case 6: {
        if (functions_.empty()) return;
        const int f = pick(static_cast<int>(functions_.size()));
        line("let {} = f{}({}, {}, list, s, act)", name, f, any(rows_), an_int());
        switch (functions_[static_cast<size_t>(f)]) {
          case Gives::Rows:
            break;
          case Gives::Pair:
          case Gives::List:
            line("let {}a = {}[0]", name, name);
            rows_.push_back(name + "a");
            return;
          case Gives::Struct:
            line("let {}a = {}.x", name, name);
            rows_.push_back(name + "a");
            return;
          case Gives::Argument:
            return;
        }
        break;
      }
      default:
        line("let {} = {}", name, some_rows());
    }
    rows_.push_back(name);
  }

  void function(int number) {
    rows_ = {"x"}, vectors_ = {"bias"}, ints_ = {"k"};
    line("fn f{}(x, k, list, s, act = half) {{", number);
    ++indent_;
    const int statements = 3 + pick(14);
    for (int i = 0; i < statements; ++i) statement();
    const auto gives = static_cast<Gives>(pick(5));
    const std::string& last = rows_.back();
    switch (gives) {
      case Gives::Rows:
        line("{}", last);
        break;
      case Gives::Pair:
        line("({}, {})", last, an_int());
        break;
      case Gives::List:
        line("[{}, {}, {}, \"n\"]", last, an_int(), a_vector());
        break;
      case Gives::Struct:
        line("Result {{ x: {}, n: [{}, 2] }}", last, an_int());
        break;
      case Gives::Argument:
        line("(list, {}, x)", last);
        break;
    }
    functions_.push_back(gives);
    --indent_;
    line("}}");
  }

  void change() {
    switch (pick(13)) {
      case 0:
        line("scale = scale + 0.5");
        break;
      case 1:
        line("steps = {}", pick(4));
        break;
      case 2:
        line("table[{}] = randn([4])", pick(2));
        break;
      case 3:
        line("config.n = {}", pick(4));
        break;
      case 4:
        line("config.act = {}", one_in(2) ? "half" : "tanh");
        break;
      case 5:
        line("list.push(randn([4]))");
        break;
      case 6:
        line("config.{}", one_in(2) ? "cache.truncate(1)" : "several.truncate(1, sequence: 0)");
        break;
      case 7:
        line("rand_seed(i)");
        break;
      case 8:
        line("other.cache = config.cache{}", one_in(2) ? "" : ".copy()");
        if (one_in(2)) line("other.several = config.several{}", one_in(2) ? "" : ".copy()");
        break;
      case 9:
        line("w = randn([4, 4])");
        break;
      case 10:
        line("config.w = w");
        break;
      case 11:
        line("x = {}", some_argument());
        break;
      default:
        line("list[0] = list[1]");
    }
  }

  std::string some_argument() {
    const int n = 1 + pick(3);
    switch (pick(has_odd_types_ ? 8 : 6)) {
      case 0:
        return fmt::format("randn([4, {}]).transpose()", n);
      case 1:
        return fmt::format("randn([{}, 8])[:, ::2]", n);
      case 2:
        return fmt::format("randn([{}, 4])[1:]", n + 1);
      case 6:
        return fmt::format("cast(randn([{}, 4]), float16)", n);
      case 7:
        return "randn([0, 4])";
      default:
        return fmt::format("randn([{}, 4])", n);
    }
  }

  void calls() {
    line("let list = [randn([4]), randn([4])]");
    line("let x = randn([2, 4])");
    line("for i in range({}) {{", 6 + pick(6));
    ++indent_;
    for (size_t f = 0; f < functions_.size(); ++f) {
      const int times = 1 + pick(2);
      for (int t = 0; t < times; ++t) {
        const std::string argument = one_in(3) ? some_argument() : "x";
        const std::string k = one_in(2) ? "i" : fmt::format("{}", pick(4));
        const std::string act = one_in(2)   ? ""
                                : one_in(3) ? ", |x| x * scale"
                                : one_in(2) ? ", relu"
                                            : ", half";
        line("let r = f{}({}, {}, list, {}{})", f, argument, k, one_in(3) ? "other" : "config", act);
        switch (functions_[f]) {
          case Gives::Rows:
            line("print(checksum(r), shape(r))");
            if (one_in(4)) line("if i % 2 == 0 {{ x = r }}");
            break;
          case Gives::Pair:
            line("print(checksum(r[0]), r[1])");
            break;
          case Gives::List:
            line("print(checksum(r[0]), r[1], checksum(r[2]), r[3])");
            break;
          case Gives::Struct:
            line("print(checksum(r.x), r.n)");
            break;
          case Gives::Argument:
            line("print(len(r[0]), checksum(r[1]), checksum(r[2]))");
            if (one_in(3)) line("r[0][1] = r[0][0] * 2.0");
        }
      }
      if (one_in(2)) {
        line("if i == {} {{", pick(8));
        ++indent_;
        change();
        --indent_;
        line("}}");
      }
    }
    --indent_;
    line("}}");
    line("print(checksum(config.cache.k(0)), checksum(other.cache.v(1)), config.cache.length())");
    line("print(checksum(config.several.k(0)), checksum(other.several.v(1)), config.several.lengths())");
    line("print(randn([2]))");
  }

  std::mt19937_64 random_;
  std::string out_;
  int indent_ = 0, names_ = 0;
  bool has_odd_types_ = false, may_fail_ = false;
  std::vector<Gives> functions_;
  std::vector<std::string> rows_, vectors_, ints_;
};

RunSettings some_settings(std::mt19937_64& random) {
  RunSettings s;
  constexpr std::array kThreads{1, 2, 5, 16};
  if (random() % 4 == 0) s.device = "reference";
  s.threads = kThreads[random() % kThreads.size()];
  if (random() % 3 == 0) s.exec.shuffle = random();
  if (random() % 3 == 0) s.exec.commands_per_batch = 1 + static_cast<int>(random() % 5);
  if (random() % 4 == 0) s.exec.fuse = false;
  if (random() % 8 == 0) s.exec.eager = true;
  s.validate = random() % 6 == 0;
  s.exec.fewest_traced_nodes = random() % 4 == 0 ? 16 : 1;
  return s;
}

TEST(ReplayRandom, ProgramsAreTheSameReplayed) {
  const char *const seed_text = std::getenv("TL_SEED"), *const runs_text = std::getenv("TL_RUNS");
  const u64 first = seed_text != nullptr ? std::strtoull(seed_text, nullptr, 10) : 1;
  const int runs = runs_text != nullptr                     ? std::atoi(runs_text)
                   : seed_text != nullptr                   ? 1
                   : std::getenv("TL_SANITIZED") != nullptr ? kRuns / 5
                                                            : kRuns;
  u64 replays = 0;
  int failed = 0;
  for (u64 seed = first; seed < first + static_cast<u64>(runs) && failed < 3; ++seed) {
    const std::string text = Maker(seed).program();
    std::mt19937_64 random(seed);
    for (int k = 0; k < 2; ++k) {
      const RunSettings settings = some_settings(random);
      RunSettings interpreted = settings;
      interpreted.exec.replay = false;
      const Transcript want = run_text("random.tl", text, interpreted);
      const Transcript got = run_text("random.tl", text, settings);
      ASSERT_FALSE(want.problems.starts_with("error[")) << want.problems << text;
      replays += got.replays;
      const bool same = got.output == want.output && got.problems == want.problems;
      EXPECT_TRUE(same) << "TL_SEED=" << seed << " setting " << k << ": " << want.problems << got.problems
                        << "\ninterpreted:\n"
                        << want.output << "replayed:\n"
                        << got.output << "program:\n"
                        << text;
      failed += same ? 0 : 1;
      if (runs == 1) std::fprintf(stderr, "%s%s%s", text.c_str(), want.output.c_str(), want.problems.c_str());
    }
  }
  EXPECT_TRUE(runs < kRuns || replays > 1000) << replays << " replays";
  std::fprintf(stderr, "seeds %llu to %llu: %llu replays\n", static_cast<unsigned long long>(first),
               static_cast<unsigned long long>(first) + static_cast<unsigned long long>(runs) - 1,
               static_cast<unsigned long long>(replays));
}

}  // namespace
}  // namespace tl
