// Every element-wise op gets the same rows by its rule and arity: all types, layouts, broadcasts and special
// numbers.
#include <limits>

#include "tests/ops/op_cases.h"
#include "tl/ops/elementwise/fused.h"

namespace tl::cases {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity(),
                 kNan = std::numeric_limits<double>::quiet_NaN();
const std::vector<double> kSpecial = {0,    -0.0,  kInf, -kInf, kNan, 1e-40, -1e-40, 3e38, -3e38, 88.8,
                                      -104, 0.625, 0.5,  -2.5,  1.5,  -1,    12345,  1e30, -50,   20};
constexpr DType kTypes[] = {DType::F32, DType::F16, DType::BF16, DType::F64, DType::I64,
                            DType::I32, DType::I16, DType::I8,   DType::U8,  DType::Bool};
// The ends of int64, which the narrower types stop at, and their neighbourhoods.
const std::vector<double> kEnds = {-0x1p63, -0x1p63 + 1024, -2147483649.0, -32769, -129,  -1, 0, 1,
                                   127,     32767,          2147483647.0,  0x1p62, 0x1p63};
bool divides(ScalarCode code) {
  return code == ScalarCode::div || code == ScalarCode::mod || code == ScalarCode::rem;
}

// Where the op is defined and well conditioned: from `low` to `high` for operand `i`.
In fill(ScalarCode code, int i, In in) {
  const bool is_float = tl::is_float(in.type().dtype);
  const bool wants_positive = code == ScalarCode::log || code == ScalarCode::sqrt ||
                              code == ScalarCode::rsqrt || code == ScalarCode::reciprocal ||
                              (code == ScalarCode::pow && i == 0);
  if (is_float && wants_positive) return in.range(0.1, 4);
  if (code == ScalarCode::pow && i == 1) return is_float ? in.range(-2, 2) : in.range(0, 5);
  if (divides(code) && i == 1 && !is_float) return in.range(1, 6);
  if (divides(code) && i == 1) return in.range(0.5, 3);
  if (code == ScalarCode::tan) return in.range(-1.4, 1.4);
  return is_float ? in.range(-4, 4) : in.range(in.type().dtype == DType::U8 ? 0 : -9, 9);
}

OpCase row(ScalarCode code, std::string name, std::vector<In> in) {
  for (size_t i = 0; i < in.size(); ++i) {
    const bool is_truth = in[i].type().dtype == DType::Bool;
    const bool given = name.starts_with("special numbers") || name.starts_with("ends");
    if (!is_truth && !given) in[i] = fill(code, static_cast<int>(i), in[i]);
  }
  return {.name = std::move(name),
          .in = std::move(in),
          .attrs = code == ScalarCode::cast ? "dtype: float16" : ""};
}

// Bool operands of div and mod are 0 and 1: a division by zero, which is a row of its own.
bool takes(ScalarCode code, DType t) {
  return t != DType::Bool || !divides(code);
}

void add_unary(ScalarCode code, std::vector<OpCase>& rows) {
  for (const DType t : kTypes) {
    if (takes(code, t)) rows.push_back(row(code, fmt::format("{}", name_of(t)), {In(t, {3, 577})}));
  }
  rows.push_back(row(code, "0-d", {f32()}));
  rows.push_back(row(code, "empty", {f32({3, 0, 2})}));
  rows.push_back(row(code, "transposed", {f32({37, 5}).transposed()}));
  rows.push_back(row(code, "transposed, long rows", {f16({3, 200}).transposed()}));
  rows.push_back(row(code, "a part of every row, every second", {f32({5, 700}).columns(3, 650).every(2)}));
  rows.push_back(row(code, "reversed", {f64({4, 300}).reversed(1).reversed(0)}));
  rows.push_back(row(code, "broadcast view", {f32({1, 9}).broadcast_to({4, 3, 9})}));
  rows.push_back(row(code, "special numbers", {f32({20}).values(kSpecial)}));
  rows.push_back(row(code, "special numbers, float64", {f64({20}).values(kSpecial)}));
  rows.push_back(
      row(code, "special numbers, float16", {f16({20}).values({0, -0.0, kInf, -kInf, kNan, 1, -1, 2.5})}));
  rows.push_back(row(code, "quantised", {quantised(DType::Q8_0, {3, 64})}));
  rows.push_back(row(code, "columns longer than a tile", {f32({1100, 3}).transposed()}));
  rows.push_back(row(code, "short rows over several tiles, apart", {bf16({500, 9}).every(3)}));
  for (const DType t : kTypes) {
    if (is_float(t) || !takes(code, t)) continue;
    rows.push_back(
        row(code, fmt::format("{} longer than a tile, apart", name_of(t)), {In(t, {2, 1700}).every(3)}));
    if (t != DType::Bool)
      rows.push_back(row(code, fmt::format("ends of {}", name_of(t)), {In(t, {13}).values(kEnds)}));
  }
}

void add_binary(ScalarCode code, std::vector<OpCase>& rows) {
  for (const DType t : kTypes) {
    if (takes(code, t))
      rows.push_back(row(code, fmt::format("{}", name_of(t)), {In(t, {3, 577}), In(t, {3, 577})}));
  }
  rows.push_back(row(code, "float32 with float16", {f32({40}), f16({40})}));
  rows.push_back(row(code, "float16 with bfloat16", {f16({40}), bf16({40})}));
  rows.push_back(row(code, "float32 with int64", {f32({40}), int64({40})}));
  rows.push_back(row(code, "int8 with uint8", {int8({40}), uint8({40})}));
  if (takes(code, DType::Bool)) rows.push_back(row(code, "bool with float32", {boolean({700}), f32({700})}));
  rows.push_back(row(code, "a number", {f32({2, 600}), In::constant(DType::F32, 1.25)}));
  rows.push_back(row(code, "a whole number first", {In::constant(DType::I64, 3), f32({2, 600})}));
  rows.push_back(row(code, "a 0-d tensor", {f32({3, 5}), f32()}));
  rows.push_back(row(code, "a row", {f32({7, 300}), f32({300})}));
  rows.push_back(row(code, "a column", {f32({7, 300}), f32({7, 1})}));
  rows.push_back(row(code, "a row and a column", {f32({1, 9}), f32({7, 1})}));
  rows.push_back(row(code, "short rows, outer broadcast", {f32({5, 1, 3}), f32({4, 3})}));
  rows.push_back(row(code, "transposed", {f32({300, 7}).transposed(), f32({7, 300})}));
  rows.push_back(row(code, "empty", {f32({0, 3}), f32({3})}));
  rows.push_back(row(code, "columns longer than a tile, a column",
                     {f32({1100, 3}).transposed(), f32({3, 2}).columns(1, 1)}));
  rows.push_back(row(code, "short rows over several tiles, apart", {bf16({500, 9}).every(3), f16({500, 1})}));
  for (const DType t : kTypes) {
    if (is_float(t) || !takes(code, t)) continue;
    rows.push_back(row(code, fmt::format("{} longer than a tile, apart", name_of(t)),
                       {In(t, {2, 1700}).every(3), In(t, {567, 2}).transposed()}));
    const bool has_answers = !divides(code) && code != ScalarCode::pow;
    if (has_answers && t != DType::Bool) {
      rows.push_back(row(code, fmt::format("ends of {}", name_of(t)),
                         {In(t, {13, 1}).values(kEnds), In(t, {1, 13}).values(kEnds)}));
    }
  }
  rows.push_back(
      row(code, "special numbers", {f32({20, 1}).values(kSpecial), f32({1, 20}).values(kSpecial)}));
}

void add_ternary(ScalarCode code, std::vector<OpCase>& rows) {
  const DType first = code == ScalarCode::where ? DType::Bool : DType::F32;
  for (const DType t : kTypes) {
    rows.push_back(
        row(code, fmt::format("{}", name_of(t)),
            {In(code == ScalarCode::where ? first : t, {3, 577}), In(t, {3, 577}), In(t, {3, 577})}));
  }
  rows.push_back(
      row(code, "numbers", {In(first, {5, 300}), In::constant(DType::F32, -1), In::constant(DType::F32, 2)}));
  rows.push_back(row(code, "broadcast", {In(first, {5, 1}), f32({300}), f32()}));
  rows.push_back(row(code, "transposed", {In(first, {30, 5}).transposed(), f32({5, 30}), f16({1, 30})}));
  rows.push_back(row(code, "float32 first", {f32({50}), f32({50}), f64({50})}));
  rows.push_back(row(code, "empty", {In(first, {0}), f32({1}), f32()}));
  rows.push_back(row(code, "0-d", {In(first, {}), f32(), f32()}));
  rows.push_back(
      row(code, "columns longer than a tile",
          {In(first, {1100, 3}).transposed(), f32({1100, 3}).transposed(), f16({3, 2200}).every(2)}));
  rows.push_back(row(code, "special numbers",
                     {In(first, {20, 1}).values({1, 0, 0, 1}), f32({1, 20}).values(kSpecial),
                      f32({20, 1}).values(kSpecial)}));
  rows.push_back(row(code, "ends of int64",
                     {In(code == ScalarCode::where ? first : DType::I64, {13, 1}).values(kEnds),
                      int64({1, 13}).values(kEnds), int64({13}).values(kEnds)}));
}

std::vector<OpCase> rows_of(ScalarCode code) {
  std::vector<OpCase> rows;
  const int arity = info(code).arity;
  arity == 1 ? add_unary(code, rows) : arity == 2 ? add_binary(code, rows) : add_ternary(code, rows);
  return rows;
}

// Values written out, by the rules of Python and NumPy.
std::vector<OpCase> written_rows(ScalarCode code) {
  const In numbers = f32({4}).values({-2.5, -0.5, 0.5, 2.5}), whole = int64({4}).values({-7, -3, 3, 7});
  switch (code) {
    case ScalarCode::round:
      return {{.name = "halves", .in = {numbers}, .want = {-2, -0.0, 0, 2}}};
    case ScalarCode::floor:
      return {{.name = "floor", .in = {numbers}, .want = {-3, -1, 0, 2}}};
    case ScalarCode::trunc:
      return {{.name = "trunc", .in = {numbers}, .want = {-2, 0, 0, 2}}};
    case ScalarCode::sign:
      return {{.name = "sign", .in = {whole}, .want = {-1, -1, 1, 1}}};
    case ScalarCode::add:
      return {{.name = "bools count",
               .in = {boolean({2}).values({1, 1}), boolean({2}).values({0, 1})},
               .want = {1, 2}},
              {.name = "wraps", .in = {uint8({1}).values({250}), uint8({1}).values({10})}, .want = {4}}};
    case ScalarCode::div:
      return {{.name = "toward zero", .in = {whole, In::constant(DType::I64, 2)}, .want = {-3, -1, 1, 3}},
              {.name = "by zero", .in = {whole, In::constant(DType::I64, 0)}, .fails = "division by zero"},
              {.name = "the lowest by -1 wraps",
               .in = {int64({2}).values({-0x1p63, 5}), In::constant(DType::I64, -1)},
               .want = {-0x1p63, -5}},
              {.name = "floats by zero",
               .in = {numbers, In::constant(DType::F32, 0)},
               .want = {-kInf, -kInf, kInf, kInf}}};
    case ScalarCode::mod:
      return {
          {.name = "sign of the divisor", .in = {whole, In::constant(DType::I64, 4)}, .want = {1, 1, 3, 3}},
          {.name = "negative divisor", .in = {whole, In::constant(DType::I64, -4)}, .want = {-3, -3, -1, -1}},
          {.name = "floats", .in = {numbers, In::constant(DType::F32, 2)}, .want = {1.5, 1.5, 0.5, 0.5}},
          {.name = "by zero", .in = {whole, In::constant(DType::I64, 0)}, .fails = "division by zero"}};
    case ScalarCode::rem:
      return {
          {.name = "sign of the first", .in = {whole, In::constant(DType::I64, 4)}, .want = {-3, -3, 3, 3}},
          {.name = "negative divisor", .in = {whole, In::constant(DType::I64, -4)}, .want = {-3, -3, 3, 3}},
          {.name = "floats", .in = {numbers, In::constant(DType::F32, 2)}, .want = {-0.5, -0.5, 0.5, 0.5}},
          {.name = "the lowest by -1",
           .in = {int64({1}).values({-0x1p63}), In::constant(DType::I64, -1)},
           .want = {0}},
          {.name = "by zero", .in = {whole, In::constant(DType::I64, 0)}, .fails = "division by zero"}};
    case ScalarCode::abs:
      return {{.name = "the lowest wraps", .in = {int8({2}).values({-128, -127})}, .want = {-128, 127}}};
    case ScalarCode::pow:
      return {
          {.name = "wraps",
           .in = {int8({3}).values({2, 2, -2}), In::constant(DType::I8, 7)},
           .want = {-128, -128, -128}},
          {.name = "whole", .in = {whole, In::constant(DType::I64, 3)}, .want = {-343, -27, 27, 343}},
          {.name = "negative power", .in = {whole, In::constant(DType::I64, -1)}, .fails = "negative power"}};
    case ScalarCode::maximum:
      return {{.name = "NaN stays",
               .in = {f32({3}).values({kNan, 1, 2}), f32({3}).values({1, kNan, 3})},
               .want = {kNan, kNan, 3}}};
    case ScalarCode::minimum:
      return {{.name = "NaN stays",
               .in = {f32({3}).values({kNan, 1, 2}), f32({3}).values({1, kNan, 3})},
               .want = {kNan, kNan, 2}}};
    case ScalarCode::where:
      return {{.name = "numbers as conditions",
               .in = {whole, numbers, In::constant(DType::F32, 9)},
               .want = {-2.5, -0.5, 0.5, 2.5}}};
    case ScalarCode::cast:
      return {{.name = "to whole", .in = {numbers}, .attrs = "dtype: int32", .want = {-2, 0, 0, 2}},
              {.name = "to uint8",
               .in = {int64({3}).values({-1, 256, 255})},
               .attrs = "dtype: uint8",
               .want = {255, 0, 255}},
              {.name = "to bool",
               .in = {f32({3}).values({0, -0.5, kNan})},
               .attrs = "dtype: bool",
               .want = {0, 1, 1}},
              {.name = "NaN to whole",
               .in = {f32({3}).values({kNan, kInf, -kInf})},
               .attrs = "dtype: int64",
               .want = {0, 9223372036854775807.0, -9223372036854775808.0}},
              {.name = "floats stop at the ends of int32",
               .in = {f32({5}).values({3e9, -3e9, kNan, 1e30, kInf})},
               .attrs = "dtype: int32",
               .want = {2147483647, -2147483648.0, 0, 2147483647, 2147483647}},
              {.name = "floats stop at the ends of int8",
               .in = {f64({6}).values({128, -129, 127.9, -128.9, -kInf, 1e300})},
               .attrs = "dtype: int8",
               .want = {127, -128, 127, -128, -128, 127}},
              {.name = "floats stop at the ends of uint8",
               .in = {f16({4}).values({300, -1, -0.5, 255.75})},
               .attrs = "dtype: uint8",
               .want = {255, 0, 0, 255}},
              {.name = "floats stop, many, apart",
               .in = {f32({3, 1400}).range(-40000, 40000).every(2)},
               .attrs = "dtype: int16"},
              {.name = "whole numbers wrap",
               .in = {int64({3}).values({300, -129, 0x1p32})},
               .attrs = "dtype: int8",
               .want = {44, 127, 0}},
              {.name = "to float32", .in = {int64({40})}, .attrs = "dtype: float32"},
              {.name = "to bfloat16", .in = {f64({900})}, .attrs = "dtype: bfloat16"},
              {.name = "to float64", .in = {f16({900})}, .attrs = "dtype: float64"}};
    default:
      return {};
  }
}

std::vector<OpReject> rejects_of(ScalarCode code) {
  if (code == ScalarCode::cast)
    return {
        {.name = "to blocks", .in = {f32({32})}, .attrs = "dtype: q4_0", .message = "cannot cast to q4_0"}};
  std::vector<In> in(static_cast<size_t>(info(code).arity), f32({2, 3}));
  if (in.size() == 1) return {};
  in.back() = f32({2, 4});
  return {{.name = "shapes", .in = in, .message = "shapes do not fit: [2, 3] and [2, 4]"}};
}

OpCases make(ScalarCode code, const OpDef& op) {
  OpCases cases{.op = op, .accepts = rows_of(code), .rejects = rejects_of(code)};
  for (OpCase& extra : written_rows(code)) cases.accepts.push_back(std::move(extra));
  return cases;
}

// A cast in the middle of a chain: floats stop at the ends of int8, and what is added then wraps.
OpCase saturating_row() {
  FusedBuilder chain;
  const int x = chain.add_input(DType::F32);
  const int narrow = chain.add_op(ScalarCode::cast, std::array{x}, DType::I8);
  chain.add_op(ScalarCode::add, std::array{narrow, narrow}, DType::I8);
  const Attrs attrs = chain.finish();
  return {.name = "int8(x) + int8(x)",
          .in = {f32({4}).values({1000, -1000, 3.5, kNan})},
          .attrs = fmt::format("program: [{}]", fmt::join(attrs.ints(), ", ")),
          .want = {-2, 0, 6, 0}};
}

// Everything that lies apart, over many tiles.
OpCase strided_fused_row() {
  FusedBuilder chain;
  const int x = chain.add_input(DType::I16), y = chain.add_input(DType::F64),
            z = chain.add_input(DType::Bool);
  const int sum = chain.add_op(ScalarCode::add, std::array{x, y}, DType::F64);
  const int is_more = chain.add_op(ScalarCode::greater, std::array{sum, y}, DType::Bool);
  chain.add_op(ScalarCode::where, std::array{is_more, sum, z}, DType::F64);
  const Attrs attrs = chain.finish();
  return {.name = "where(x + y > y, x + y, z), apart",
          .in = {int16({1300, 4}).range(-5, 5).transposed(), f64({4, 2600}).every(2),
                 boolean({4, 1300}).reversed(1)},
          .attrs = fmt::format("program: [{}]", fmt::join(attrs.ints(), ", "))};
}

// silu(x * 2 + y) with float16 in between, as attributes written by hand.
OpCase fused_row() {
  FusedBuilder chain;
  const int x = chain.add_input(DType::F16), y = chain.add_input(DType::F32),
            two = chain.add_input(DType::F16);
  const int twice = chain.add_op(ScalarCode::mul, std::array{x, two}, DType::F16);
  const int sum = chain.add_op(ScalarCode::add, std::array{twice, y}, DType::F32);
  chain.add_op(ScalarCode::silu, std::array{sum}, DType::F32);
  const Attrs attrs = chain.finish();
  return {.name = "silu(x * 2 + y)",
          .in = {f16({7, 300}), f32({300}), In::constant(DType::F16, 2)},
          .attrs = fmt::format("program: [{}]", fmt::join(attrs.ints(), ", "))};
}

}  // namespace

#define TL_ROW(name, ...) const OpCases cases_##name = make(ScalarCode::name, op_##name);
#define TL_UNARY TL_ROW
#define TL_BINARY TL_ROW
#define TL_TERNARY TL_ROW
#include "tl/ops/elementwise/scalar_ops.def"
#undef TL_UNARY
#undef TL_BINARY
#undef TL_TERNARY
#undef TL_ROW

const OpCases cases_fused = {
    .op = op_fused,
    .accepts = {fused_row(), saturating_row(), strided_fused_row()},
    .rejects = {{.name = "no program", .in = {f32({2})}, .attrs = "program: [1]", .message = "no program"},
                {.name = "a value that is not there",
                 .in = {f32({2})},
                 .attrs = "program: [1, 84207665152]",
                 .message = "no program"}},
};

}  // namespace tl::cases
