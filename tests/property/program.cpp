#include "tests/property/program.h"

#include <fmt/format.h>

#include "tl/ops/find_op.h"
#include "tl/ops/ops.h"

namespace tl::property {
namespace {

// What programs are made of mostly: the ops that plans, caches and slots are about.
const OpDef* frequent_op(Random& random) {
  return random.pick<const OpDef*>({&op_add,
                                    &op_mul,
                                    &op_sub,
                                    &op_maximum,
                                    &op_tanh,
                                    &op_silu,
                                    &op_exp,
                                    &op_matmul,
                                    &op_matmul,
                                    &op_linear,
                                    &op_linear,
                                    &op_softmax,
                                    &op_cumsum,
                                    &op_sum,
                                    &op_rms_norm,
                                    &op_attention,
                                    &op_index,
                                    &op_index,
                                    &op_index,
                                    &op_reshape,
                                    &op_transpose,
                                    &op_transpose,
                                    &op_permute,
                                    &op_broadcast_to,
                                    &op_concat,
                                    &op_index_select,
                                    &op_gather,
                                    &op_append_rows,
                                    &op_where,
                                    &op_contiguous,
                                    &op_flatten,
                                    &op_unsqueeze,
                                    &op_argsort,
                                    &op_cast,
                                    &op_embedding,
                                    &op_append_sequences,
                                    &op_append_sequences});
}

const OpDef* any_op(Random& random) {
  const auto ops = all_ops();
  return ops[static_cast<size_t>(random.below(static_cast<i64>(ops.size())))];
}

Step make_step(Random& random) {
  Step step;
  step.choice = random.next();
  const i64 dice = random.below(26);
  if (dice < 3) {
    step.kind = Step::Kind::Append;
  } else if (dice < 4) {
    step.kind = Step::Kind::Truncate;
  } else if (dice < 6) {
    step.kind = Step::Kind::DropValue;
  } else if (dice < 9) {
    step.kind = Step::Kind::TableRow;
    step.op = any_op(random);
  } else if (dice >= 23) {
    step.kind = Step::Kind::Chain;
    step.op = random.pick<const OpDef*>({&op_tanh, &op_silu, &op_neg, &op_sigmoid});
  } else if (dice == 22) {
    step.kind = Step::Kind::Truncate;
  } else if (dice == 20) {
    step.kind = Step::Kind::Put;
  } else if (dice == 21) {
    step.kind = Step::Kind::Divide;
  } else if (dice == 19 && step.choice % 2 == 0) {
    step.kind = Step::Kind::Repeat;
  } else {
    step.op = dice < 11 ? any_op(random) : frequent_op(random);
  }
  return step;
}

Function make_function(Random& random) {
  Function f;
  f.params = static_cast<int>(random.between(1, 3));
  f.results = static_cast<int>(random.between(1, 3));
  for (i64 n = random.between(3, 14); n > 0; --n) f.steps.push_back(make_step(random));
  if (!random.one_in(3)) return f;
  // A chain around a cache that is written over: rare by chance, and easily put in a wrong order.
  for (const Step::Kind kind :
       {Step::Kind::Chain, Step::Kind::Truncate, Step::Kind::Append, Step::Kind::Chain}) {
    f.steps.push_back({kind, kind == Step::Kind::Chain ? &op_silu : nullptr, random.next()});
  }
  return f;
}

class Maker {
 public:
  Maker(Random& random, const Program& program) : random_(random), program_(program) {}

  std::vector<Statement> body(i64 length, bool is_thread, bool is_first) {
    std::vector<Statement> list;
    if (!is_thread) {
      for (int i = 0; i < 3; ++i) list.push_back(statement(Statement::Kind::Fresh));
      list.push_back(statement(Statement::Kind::NewCache));
    }
    for (i64 i = 0; i < length; ++i) list.push_back(statement(kind(is_thread, is_first)));
    if (is_thread) list.push_back(statement(Statement::Kind::Look));
    return list;
  }

  Statement threads() {
    Statement s = statement(Statement::Kind::Threads);
    const i64 count = random_.between(2, program_.threads);
    for (i64 t = 0; t < count; ++t) s.bodies.push_back(body(random_.between(3, 8), true, t == 0));
    return s;
  }

 private:
  Statement::Kind kind(bool is_thread, bool is_first) {
    using K = Statement::Kind;
    const K mine[] = {K::Call, K::Call, K::Call, K::Call, K::Call,     K::Call, K::Fresh, K::NewCache,
                      K::Fork, K::Fork, K::Look, K::Look, K::Truncate, K::Item, K::Drop,  K::Flush};
    if (is_thread && random_.one_in(3)) {
      return is_first || random_.one_in(2) ? K::Publish : K::Take;
    }
    return mine[random_.below(std::size(mine))];
  }

  Statement statement(Statement::Kind kind) {
    Statement s;
    s.kind = kind;
    s.choice = random_.next();
    if (kind != Statement::Kind::Call) return s;
    s.function = static_cast<int>(random_.below(static_cast<i64>(program_.functions.size())));
    s.times = static_cast<int>(random_.pick<i64>({1, 1, 2, 3}));
    return s;
  }

  Random& random_;
  const Program& program_;
};

std::string text_of(const std::vector<Statement>& body, int depth) {
  std::string text;
  const std::string indent(static_cast<size_t>(2 * depth), ' ');
  for (const Statement& s : body) {
    text += fmt::format("{}{} {:016x}", indent, name_of(s.kind), s.choice);
    if (s.kind == Statement::Kind::Call)
      text += fmt::format(" of function {}, {} times", s.function, s.times);
    text += "\n";
    for (size_t t = 0; t < s.bodies.size(); ++t) {
      text += fmt::format("{}  thread {}:\n{}", indent, t, text_of(s.bodies[t], depth + 2));
    }
  }
  return text;
}

}  // namespace

Program make_program(u64 seed, bool is_small) {
  Random random(hash_combine(seed, 0x70726f70));
  Program program;
  program.seed = seed;
  program.cols = random.pick<i64>({32, 32, 64});
  program.max_rows = is_small ? 40 : random.pick<i64>({40, 200, 700});
  program.threads = static_cast<int>(random.between(2, is_small ? 3 : 5));
  for (i64 n = random.between(1, 3); n > 0; --n) program.functions.push_back(make_function(random));
  Maker maker(random, program);
  program.main = maker.body(random.between(4, 12), false, false);
  if (!random.one_in(3)) {
    program.main.push_back(maker.threads());
    const std::vector<Statement> rest = maker.body(random.between(1, 6), true, true);
    for (const Statement& s : rest) program.main.push_back(s);
  }
  return program;
}

std::string_view name_of(Step::Kind kind) {
  constexpr std::string_view kNames[] = {"op",
                                         "row of the table of",
                                         "append to the cache",
                                         "truncate the cache",
                                         "chain of",
                                         "put",
                                         "divide",
                                         "repeat",
                                         "drop a value"};
  return kNames[static_cast<size_t>(kind)];
}

std::string_view name_of(Statement::Kind kind) {
  constexpr std::string_view kNames[] = {"fresh", "call", "new cache", "fork",    "truncate", "drop",
                                         "look",  "item", "flush",     "publish", "take",     "threads"};
  return kNames[static_cast<size_t>(kind)];
}

std::string to_string(const Program& program) {
  std::string text =
      fmt::format("program {}: {} columns, up to {} rows\n", program.seed, program.cols, program.max_rows);
  for (size_t f = 0; f < program.functions.size(); ++f) {
    const Function& function = program.functions[f];
    text += fmt::format("function {} of {} values, gives {}\n", f, function.params, function.results);
    for (const Step& s : function.steps) {
      text += fmt::format("  {} {} {:016x}\n", name_of(s.kind), s.op != nullptr ? s.op->name : "", s.choice);
    }
  }
  return text + "main\n" + text_of(program.main, 1);
}

}  // namespace tl::property
