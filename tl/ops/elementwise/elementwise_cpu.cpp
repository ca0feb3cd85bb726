// Element-wise work, tile by tile: every op runs as a program of one step, every fused chain as a longer one,
// through the same steps. A register holds a tile of float, double, int64 or truth values; float16 and
// bfloat16 live in float registers and narrow ints in int64 ones, rounded to their type after every step.
#include <algorithm>
#include <cstring>

#include "tl/backend/cpu/simd.h"
#include "tl/ops/elementwise/fused.h"

#ifndef TL_SIMD
#define TL_SIMD_FILE "tl/ops/elementwise/elementwise_cpu.cpp"

namespace tl::cpu {

inline constexpr i64 kTile = 512;
inline constexpr size_t kSlotBytes = kTile * 8;

enum class Kind : u8 { F32, F64, I64, Truth };
inline constexpr int kKinds = 4;

static Kind kind_of(DType t) {
  if (t == DType::F64) return Kind::F64;
  if (is_float(t)) return Kind::F32;
  return t == DType::Bool ? Kind::Truth : Kind::I64;
}

static Kind compute_kind(const FusedStep& step) {
  const ScalarRule rule = info(step.code).rule;
  const Kind kind = kind_of(step.compute);
  const bool takes_truth = rule == ScalarRule::Logical || rule == ScalarRule::Cast;
  return kind == Kind::Truth && !takes_truth ? Kind::I64 : kind;
}

using StepFn = void (*)(const void* a, const void* b, const void* c, void* out, i64 n, bool& bad);
struct StepFns {
  StepFn by_kind[kKinds];
};

}  // namespace tl::cpu

#include "tl/backend/cpu/targets.h"

namespace tl::cpu {

void run_program(KernelCall& call, const FusedProgram& program) {
  TL_SIMD_PICK(call.simd, run_program)(call, program);
}

void elementwise(KernelCall& call, ScalarCode code) {
  FusedProgram program;
  program.inputs = static_cast<int>(call.in.size());
  InlineVector<DType, 3> types;
  for (const Operand& x : call.in) types.push_back(x.dtype);
  program.steps.push_back({code, compute_dtype(code, types, call.out.dtype), call.out.dtype, {0, 1, 2}});
  run_program(call, program);
}

void fused(KernelCall& call) {
  const std::optional<FusedProgram> program = decode_program(call.attrs->ints());
  if (!program) return call.fail("no program");
  run_program(call, *program);
}

}  // namespace tl::cpu

#else

namespace tl::cpu::TL_SIMD {
namespace {

using scalar::kNoWhole;

template <typename Fn>
TL_INLINE F32x16 each_lane(F32x16 a, F32x16 b, Fn fn) {
  float x[16], y[16];
  store(x, a), store(y, b);
  for (int i = 0; i < 16; ++i) x[i] = fn(x[i], y[i]);
  return load(x);
}

// --- steps: the rows of scalar_ops.def as functions ---

#define TL_ROW_(name, arity_, rule_, vector, real, whole)                                                 \
  struct Row_##name {                                                                                     \
    static constexpr int arity = arity_;                                                                  \
    static constexpr ScalarRule rule = ScalarRule::rule_;                                                 \
    template <typename A, typename V>                                                                     \
    TL_INLINE static auto on_vector(A a, [[maybe_unused]] V b, [[maybe_unused]] V c) {                    \
      return vector;                                                                                      \
    }                                                                                                     \
    TL_INLINE static auto on_real(double a, [[maybe_unused]] double b, [[maybe_unused]] double c) {       \
      return real;                                                                                        \
    }                                                                                                     \
    TL_INLINE static i64 on_whole([[maybe_unused]] i64 a, [[maybe_unused]] i64 b, [[maybe_unused]] i64 c, \
                                  [[maybe_unused]] bool& bad) {                                           \
      return whole;                                                                                       \
    }                                                                                                     \
  };
#define TL_UNARY(name, rule, vector, real, whole, ...) TL_ROW_(name, 1, rule, vector, real, whole)
#define TL_BINARY(name, rule, vector, real, whole, ...) TL_ROW_(name, 2, rule, vector, real, whole)
#define TL_TERNARY(name, rule, vector, real, whole, ...) TL_ROW_(name, 3, rule, vector, real, whole)
#include "tl/ops/elementwise/scalar_ops.def"
#undef TL_UNARY
#undef TL_BINARY
#undef TL_TERNARY
#undef TL_ROW_

template <typename Row>
void step_f32(const void* a, const void* b, const void* c, void* out, i64 n, bool&) {
  const auto *pa = static_cast<const float*>(a), *pb = static_cast<const float*>(Row::arity > 1 ? b : a),
             *pc = static_cast<const float*>(Row::arity > 2 ? c : a);
  for_each(n, [&](auto v, i64 i) {
    if constexpr (Row::rule == ScalarRule::Select) {
      const Mask16 truth = ~(v.load(static_cast<const u8*>(a) + i) == splat(0));
      v.store(static_cast<float*>(out) + i, Row::on_vector(truth, v.load(pb + i), v.load(pc + i)));
    } else if constexpr (Row::rule == ScalarRule::Compare) {
      const Mask16 truth = Row::on_vector(v.load(pa + i), v.load(pb + i), v.load(pc + i));
      v.store(static_cast<u8*>(out) + i, select(truth, splat(1), splat(0)));
    } else {
      v.store(static_cast<float*>(out) + i, Row::on_vector(v.load(pa + i), v.load(pb + i), v.load(pc + i)));
    }
  });
}

// Over plain elements; First is the type of `a`, Out of the result.
template <typename Row, typename T, typename First, typename Out>
void step_scalar(const void* a, const void* b, const void* c, void* out, i64 n, [[maybe_unused]] bool& bad) {
  const auto* pa = static_cast<const First*>(a);
  const auto *pb = static_cast<const T*>(Row::arity > 1 ? b : a),
             *pc = static_cast<const T*>(Row::arity > 2 ? c : a);
  auto* to = static_cast<Out*>(out);
  for (i64 i = 0; i < n; ++i) {
    const T y = Row::arity > 1 ? pb[i] : T{}, z = Row::arity > 2 ? pc[i] : T{};
    if constexpr (std::is_same_v<T, double>) {
      to[i] = static_cast<Out>(Row::on_real(pa[i], y, z));
    } else {
      to[i] = static_cast<Out>(Row::on_whole(pa[i], y, z, bad));
    }
  }
}

template <typename Row>
constexpr StepFns fns_of() {
  if constexpr (Row::rule == ScalarRule::Logical)
    return {nullptr, nullptr, nullptr, step_scalar<Row, u8, u8, u8>};
  if constexpr (Row::rule == ScalarRule::Cast) return {};
  if constexpr (Row::rule == ScalarRule::Compare) {
    return {step_f32<Row>, step_scalar<Row, double, double, u8>, step_scalar<Row, i64, i64, u8>, nullptr};
  }
  if constexpr (Row::rule == ScalarRule::Select) {
    return {step_f32<Row>, step_scalar<Row, double, u8, double>, step_scalar<Row, i64, u8, i64>, nullptr};
  }
  if constexpr (Row::rule == ScalarRule::Number || Row::rule == ScalarRule::Float) {
    return {step_f32<Row>, step_scalar<Row, double, double, double>, step_scalar<Row, i64, i64, i64>,
            nullptr};
  }
}

constexpr StepFns kSteps[] = {
#define TL_UNARY(name, ...) fns_of<Row_##name>(),
#define TL_BINARY(name, ...) fns_of<Row_##name>(),
#define TL_TERNARY(name, ...) fns_of<Row_##name>(),
#include "tl/ops/elementwise/scalar_ops.def"
#undef TL_UNARY
#undef TL_BINARY
#undef TL_TERNARY
};

// --- between kinds, and between registers and memory ---

template <typename From, typename To>
TL_INLINE To convert_one(From x) {
  if constexpr (std::is_same_v<To, u8>)
    return x != 0;
  else if constexpr (std::is_floating_point_v<From> && std::is_same_v<To, i64>)
    return scalar::to_whole(x);
  else
    return static_cast<To>(x);
}

template <typename From>
void convert_from(const From* x, Kind to, void* out, i64 n) {
  switch (to) {
    case Kind::F32:
      for (i64 i = 0; i < n; ++i) static_cast<float*>(out)[i] = convert_one<From, float>(x[i]);
      return;
    case Kind::F64:
      for (i64 i = 0; i < n; ++i) static_cast<double*>(out)[i] = convert_one<From, double>(x[i]);
      return;
    case Kind::I64:
      for (i64 i = 0; i < n; ++i) static_cast<i64*>(out)[i] = convert_one<From, i64>(x[i]);
      return;
    case Kind::Truth:
      for (i64 i = 0; i < n; ++i) static_cast<u8*>(out)[i] = convert_one<From, u8>(x[i]);
      return;
  }
}

void convert_tile(Kind from, const void* x, Kind to, void* out, i64 n) {
  switch (from) {
    case Kind::F32:
      return convert_from(static_cast<const float*>(x), to, out, n);
    case Kind::F64:
      return convert_from(static_cast<const double*>(x), to, out, n);
    case Kind::I64:
      return convert_from(static_cast<const i64*>(x), to, out, n);
    case Kind::Truth:
      return convert_from(static_cast<const u8*>(x), to, out, n);
  }
}

size_t register_bytes(Kind kind) {
  return kind == Kind::F32 ? 4 : kind == Kind::Truth ? 1 : 8;
}

template <typename T, typename R>
void read_plain(const void* from, i64 offset, i64 stride, void* out, i64 n) {
  const T* p = static_cast<const T*>(from) + offset;
  auto* r = static_cast<R*>(out);
  if (stride == 1) {
    for (i64 i = 0; i < n; ++i) r[i] = static_cast<R>(p[i]);
  } else {
    for (i64 i = 0; i < n; ++i) r[i] = static_cast<R>(p[i * stride]);
  }
}

template <typename T>
void read_half(const void* from, i64 offset, i64 stride, void* out, i64 n) {
  const T* p = static_cast<const T*>(from) + offset;
  auto* r = static_cast<float*>(out);
  if (stride == 1) return for_each(n, [&](auto v, i64 i) { v.store(r + i, v.load(p + i)); });
  for (i64 i = 0; i < n; ++i)
    r[i] = std::is_same_v<T, f16> ? f16_to_f32(p[i * stride].bits) : bf16_to_f32(p[i * stride].bits);
}

// n elements from memory into a register of their kind.
void read_run(DType dtype, const void* from, i64 offset, i64 stride, void* out, i64 n) {
  switch (dtype) {
    case DType::F32:
      return read_plain<float, float>(from, offset, stride, out, n);
    case DType::F16:
      return read_half<f16>(from, offset, stride, out, n);
    case DType::BF16:
      return read_half<bf16>(from, offset, stride, out, n);
    case DType::F64:
      return read_plain<double, double>(from, offset, stride, out, n);
    case DType::I8:
      return read_plain<i8, i64>(from, offset, stride, out, n);
    case DType::I16:
      return read_plain<i16, i64>(from, offset, stride, out, n);
    case DType::I32:
      return read_plain<i32, i64>(from, offset, stride, out, n);
    case DType::I64:
      return read_plain<i64, i64>(from, offset, stride, out, n);
    case DType::U8:
      return read_plain<u8, i64>(from, offset, stride, out, n);
    case DType::Bool:
      return read_plain<u8, u8>(from, offset, stride, out, n);
    default:
      TL_CHECK(false, "{} has no single elements", name_of(dtype));
  }
}

template <typename T>
void write_narrow(void* to, i64 offset, const void* x, i64 n) {
  for (i64 i = 0; i < n; ++i) static_cast<T*>(to)[offset + i] = static_cast<T>(static_cast<const i64*>(x)[i]);
}
template <typename T>
void write_half(void* to, i64 offset, const void* x, i64 n) {
  T* p = static_cast<T*>(to) + offset;
  for_each(n, [&](auto v, i64 i) { v.store(p + i, v.load(static_cast<const float*>(x) + i)); });
}

// True if a register has the same bytes as memory of this type.
bool is_register_type(DType t) {
  return t == DType::F32 || t == DType::F64 || t == DType::I64 || t == DType::Bool;
}

// A register to memory; rounds or wraps to the type.
void write_run(DType dtype, void* to, i64 offset, const void* x, i64 n) {
  switch (dtype) {
    case DType::F16:
      return write_half<f16>(to, offset, x, n);
    case DType::BF16:
      return write_half<bf16>(to, offset, x, n);
    case DType::I8:
      return write_narrow<i8>(to, offset, x, n);
    case DType::U8:
      return write_narrow<u8>(to, offset, x, n);
    case DType::I16:
      return write_narrow<i16>(to, offset, x, n);
    case DType::I32:
      return write_narrow<i32>(to, offset, x, n);
    default:
      break;
  }
  const size_t size = register_bytes(kind_of(dtype));
  std::memcpy(static_cast<std::byte*>(to) + static_cast<size_t>(offset) * size, x,
              static_cast<size_t>(n) * size);
}

// What storing to the type and loading again does.
void round_register(DType dtype, void* x, i64 n) {
  if (is_register_type(dtype)) return;
  alignas(64) std::byte narrow[kTile * 4];
  write_run(dtype, narrow, 0, x, n);
  read_run(dtype, narrow, 0, 1, x, n);
}

// --- the interpreter ---

class Interpreter {
 public:
  Interpreter(KernelCall& call, const FusedProgram& program)
      : call_(call), program_(program), plan_(call), inner_(plan_.dims.back()) {
    assign_slots();
    memory_ = call.try_scratch<std::byte>(static_cast<i64>(kSlotBytes) * (kFirstStep + step_slots_));
    for (int k = 0; k < program.inputs; ++k) {
      const auto n = static_cast<size_t>(k);
      is_splat_[n] = true;
      for (int axis = 0; axis < plan_.dims.size(); ++axis) is_splat_[n] &= plan_.strides[n][axis] == 0;
      kinds_[n] = kind_of(call.in[n].dtype);
    }
  }

  void run() {
    if (memory_ == nullptr) return;  // the call has failed
    for (i64 at = call_.begin; at < call_.end;) {
      const i64 column = at % inner_;
      // Long rows are cut at their ends, so that most operands can be read in place; short ones are gathered.
      in_row_ = inner_ >= kTile / 4;
      const i64 n = std::min({kTile, call_.end - at, in_row_ ? inner_ - column : kTile});
      for (int k = 0; k < program_.inputs; ++k) values_[static_cast<size_t>(k)] = read_input(k, at, n);
      run_steps(at, n);
      at += n;
    }
  }

 private:
  // Slots: a tile per input, three converted arguments, splat inputs by kind, then steps.
  static constexpr int kFirstTemporary = kMaxInputs, kFirstSplat = kFirstTemporary + 3,
                       kFirstStep = kFirstSplat + kMaxInputs * kKinds;
  void* slot(int i) { return memory_ + kSlotBytes * static_cast<size_t>(i); }

  // A step's register is free again after its last use.
  void assign_slots() {
    std::array<int, kMaxInputs + kMaxFusedSteps> last_use{};
    for (int s = 0; s < program_.steps.size(); ++s) {
      for (int k = 0; k < info(program_.steps[s].code).arity; ++k)
        last_use[program_.steps[s].args[static_cast<size_t>(k)]] = s;
    }
    InlineVector<int, kMaxFusedSteps + 1> free;
    for (int s = 0; s < program_.steps.size(); ++s) {
      if (free.empty()) free.push_back(step_slots_++);
      slots_[static_cast<size_t>(s)] = free.back();
      free.pop_back();
      for (int earlier = 0; earlier < s; ++earlier) {
        if (last_use[static_cast<size_t>(program_.inputs + earlier)] == s)
          free.push_back(slots_[static_cast<size_t>(earlier)]);
      }
    }
  }

  const void* read_input(int k, i64 at, i64 n) {
    const auto input = static_cast<size_t>(k);
    const Operand& x = call_.in[input];
    if (is_splat_[input]) return splat_input(k, kinds_[input]);
    const Strides& strides = plan_.strides[input];
    const i64 step = strides.back();
    if (in_row_) {
      const i64 offset = strided_offset(at, plan_.dims, strides);
      if (step == 1 && is_register_type(x.dtype)) {
        return static_cast<const std::byte*>(x.address()) + offset * size_of(x.dtype);
      }
      read_run(x.dtype, x.address(), offset, step, slot(k), n);
      return slot(k);
    }
    auto* out = static_cast<std::byte*>(slot(k));
    for (i64 done = 0; done < n;) {
      const i64 run = std::min(n - done, inner_ - (at + done) % inner_);
      read_run(x.dtype, x.address(), strided_offset(at + done, plan_.dims, strides), step, out, run);
      out += static_cast<size_t>(run) * register_bytes(kinds_[input]);
      done += run;
    }
    return slot(k);
  }

  // One number in every element of a tile, made once per call and kind.
  const void* splat_input(int k, Kind kind) {
    const auto input = static_cast<size_t>(k);
    const int number = kFirstSplat + k * kKinds + static_cast<int>(kind);
    if (!has_splat_[input][static_cast<size_t>(kind)]) {
      const Operand& x = call_.in[input];
      if (kind == kinds_[input]) {
        read_run(x.dtype, x.address(), 0, 0, slot(number), kTile);
      } else {
        convert_tile(kinds_[input], splat_input(k, kinds_[input]), kind, slot(number), kTile);
      }
      has_splat_[input][static_cast<size_t>(kind)] = true;
    }
    return slot(number);
  }

  // Value `value` as the kind a step wants.
  const void* argument(int position, int value, Kind want, i64 n) {
    const auto v = static_cast<size_t>(value);
    if (kinds_[v] == want) return values_[v];
    if (value < program_.inputs && is_splat_[v]) return splat_input(value, want);
    void* out = slot(kFirstTemporary + position);
    convert_tile(kinds_[v], values_[v], want, out, n);
    return out;
  }

  void run_steps(i64 at, i64 n) {
    for (int s = 0; s < program_.steps.size(); ++s) {
      const FusedStep& step = program_.steps[s];
      const bool is_last = s + 1 == program_.steps.size();
      const bool in_place = is_last && is_register_type(step.out);
      void* out = slot(kFirstStep + slots_[static_cast<size_t>(s)]);
      if (in_place) out = call_.out.data + at * size_of(step.out);
      run_step(step, n, out);
      const auto value = static_cast<size_t>(program_.inputs + s);
      kinds_[value] = kind_of(step.out);
      values_[value] = out;
      if (!is_last) {
        round_register(step.out, out, n);
      } else if (!in_place) {
        write_run(step.out, call_.out.data, at, out, n);
      }
    }
  }

  void run_step(const FusedStep& step, i64 n, void* out) {
    const ScalarInfo& row = info(step.code);
    const Kind kind = compute_kind(step);
    const void* args[3] = {};
    for (int k = 0; k < row.arity; ++k) {
      const Kind want = row.rule == ScalarRule::Select && k == 0 ? Kind::Truth : kind;
      args[k] = argument(k, step.args[static_cast<size_t>(k)], want, n);
    }
    if (row.rule == ScalarRule::Cast) return run_cast(step, kinds_[step.args[0]], args[0], n, out);
    const Kind gives = row.rule == ScalarRule::Compare ? Kind::Truth : kind;
    const bool converts = gives != kind_of(step.out);
    void* to = converts ? slot(kFirstTemporary) : out;  // a step may overwrite its own arguments
    bool bad = false;
    kSteps[static_cast<size_t>(step.code)].by_kind[static_cast<size_t>(kind)](args[0], args[1], args[2], to,
                                                                              n, bad);
    if (bad) call_.fail(scalar::why_bad(step.code));
    if (converts) convert_tile(gives, to, kind_of(step.out), out, n);
  }

  // `x` is of the kind already. Floats stop at the ends of a narrow type; ints wrap when they are stored.
  static void run_cast(const FusedStep& step, Kind from, const void* x, i64 n, void* out) {
    const Kind kind = kind_of(step.out);
    if (kind != Kind::I64 || step.out == DType::I64 || (from != Kind::F32 && from != Kind::F64)) {
      std::memcpy(out, x, static_cast<size_t>(n) * register_bytes(kind));
      return;
    }
    const IntRange range = int_range(step.out);
    const auto* whole = static_cast<const i64*>(x);
    for (i64 i = 0; i < n; ++i) static_cast<i64*>(out)[i] = std::clamp(whole[i], range.low, range.high);
  }

  KernelCall& call_;
  const FusedProgram& program_;
  const BroadcastPlan plan_;
  const i64 inner_;
  bool in_row_ = true;
  std::byte* memory_ = nullptr;
  int step_slots_ = 0;
  std::array<int, kMaxFusedSteps> slots_{};
  std::array<bool, kMaxInputs> is_splat_{};
  std::array<std::array<bool, kKinds>, kMaxInputs> has_splat_{};
  std::array<const void*, kMaxInputs + kMaxFusedSteps> values_{};
  std::array<Kind, kMaxInputs + kMaxFusedSteps> kinds_{};
};

}  // namespace

void run_program(KernelCall& call, const FusedProgram& program) {
  if (call.begin >= call.end) return;
  Interpreter(call, program).run();
}

}  // namespace tl::cpu::TL_SIMD

#endif
