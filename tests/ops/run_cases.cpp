// How a case is checked. Every message says which of the checks failed.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/ops/materialised.h"
#include "tests/ops/op_cases.h"
#include "tl/backend/cpu/simd_level.h"

namespace tl::cases {
namespace {

struct Tolerance {
  double relative, absolute;
};
Tolerance tolerance_of(const OpCase& row, DType dtype) {
  Tolerance t{0, 0};
  if (dtype == DType::F64) t = {1e-12, 1e-14};
  if (dtype == DType::F32) t = {1e-5, 1e-6};
  if (dtype == DType::F16) t = {1e-3, 1e-4};
  if (dtype == DType::BF16) t = {8e-3, 1e-3};
  if (row.rtol >= 0) t.relative = row.rtol;
  if (row.atol >= 0) t.absolute = row.atol;
  return t;
}

// One case with its types and attributes.
struct Run {
  const OpDef& op;
  const OpCase& row;
  Attrs attrs;
  OutputTypes outs;
};

// Memory for all outputs.
class Outputs {
 public:
  Outputs(const OutputTypes& types, u8 poison, i64 shift = 0) {
    for (const TensorType& type : types)
      memory_.emplace_back(type, poison,
                           info(type.dtype).block_elements == 1 ? shift * size_of(type.dtype) : 0);
    for (const Materialised& m : memory_) operands_.push_back(m.operand());
  }
  // `call` with these as its outputs.
  KernelCall bind(KernelCall call) const {
    call.out = operands_[0];
    call.outs = operands_;
    return call;
  }
  Materialised& operator[](size_t k) { return memory_[k]; }
  bool intact() {
    return std::all_of(memory_.begin(), memory_.end(), [](Materialised& m) { return m.memory().intact(); });
  }
  bool same_bytes(Outputs& other) {
    for (size_t k = 0; k < memory_.size(); ++k) {
      const auto bytes = static_cast<size_t>(memory_[k].memory().size());
      if (bytes > 0 && std::memcmp(memory_[k].memory().data(), other[k].memory().data(), bytes) != 0)
        return false;
    }
    return true;
  }

 private:
  std::vector<Materialised> memory_;
  std::vector<Operand> operands_;
};

bool complies(const Operand& x, Layout layout) {
  if (layout == Layout::Any || x.data == nullptr) return true;
  if (layout == Layout::Contiguous) return x.contiguous();
  return x.rank() == 0 || x.dims.back() <= 1 || x.strides.back() == 1;
}

// The inputs in the form the planner promises the kernel.
std::vector<Materialised> make_inputs(const Run& run, i64 shift) {
  std::vector<Materialised> inputs;
  for (size_t i = 0; i < run.row.in.size(); ++i) {
    Materialised x(run.row.in[i], static_cast<int>(i), shift);
    if (is_quantised(x.operand().dtype) && (run.op.quantised_inputs >> i & 1u) == 0) x = x.dequantised();
    if (!complies(x.operand(), run.op.layout)) x = x.to_contiguous();
    inputs.push_back(std::move(x));
  }
  return inputs;
}

std::vector<Operand> operands_of(const std::vector<Materialised>& inputs) {
  std::vector<Operand> operands;
  for (const Materialised& x : inputs) operands.push_back(x.operand());
  return operands;
}

i64 units_of(const Kernel& kernel, const KernelCall& call) {
  return kernel.units != nullptr ? kernel.units(call) : call.out.numel();
}

// Runs all units in parts whose sizes repeat `sizes` (0: the rest); returns the kernel's failure.
std::string run_parts(const Kernel& kernel, KernelCall call, std::span<const i64> sizes) {
  static Scratch scratch;
  call.scratch = &scratch;
  const i64 units = units_of(kernel, call);
  std::string failure;
  i64 begin = 0;
  for (size_t part = 0; begin < units; ++part) {
    const i64 size = sizes[part % sizes.size()];
    call.begin = begin;
    call.end = size == 0 ? units : std::min(units, begin + size);
    begin = call.end;
    call.failure.clear();
    kernel.run(call);
    if (failure.empty()) failure = call.failure;
  }
  return failure;
}

constexpr i64 kWhole[] = {0};

// Replaces inputs by the packed form the kernel asks for.
std::string prepare_inputs(const Kernel& kernel, std::vector<Materialised>& inputs, SimdLevel level) {
  if (kernel.prepare == nullptr) return "";
  std::vector<TensorType> types;
  for (const Materialised& x : inputs) types.push_back({x.operand().dtype, x.operand().dims});
  for (size_t i = 0; i < inputs.size(); ++i) {
    const OpDef* op = kernel.prepare(static_cast<int>(i), types).op;
    if (op == nullptr) continue;
    const Attrs attrs;
    const Result<TensorType> type = op->infer(InferContext(std::span(&types[i], 1), attrs));
    if (!type.ok()) return fmt::format("{} refuses input {}: {}", op->name, i, type.error().message);
    Materialised packed(*const_cast<Result<TensorType>&>(type), 0xee);
    const Operand in = inputs[i].operand();
    const std::string failure = run_parts(
        op->cpu, {.in = std::span(&in, 1), .out = packed.operand(), .attrs = &attrs, .simd = level}, kWhole);
    if (!failure.empty()) return failure;
    inputs[i] = std::move(packed);
  }
  return "";
}

std::string position(i64 index, const Shape& shape) {
  std::string s = "[";
  const Strides steps = contiguous_strides(shape);
  for (int i = 0; i < shape.size(); ++i)
    s += fmt::format("{}{}", i > 0 ? ", " : "", index / steps[i] % shape[i]);
  return s + "]";
}

// `got` against `want` element by element.
template <typename Want>
std::string compare(const Run& run, const TensorType& type, const std::byte* got, Want want) {
  const Tolerance t = tolerance_of(run.row, type.dtype);
  for (i64 i = 0, n = numel(type.shape); i < n; ++i) {
    const double g = load_as_double(type.dtype, got, i), w = want(i);
    const bool same = g == w || (std::isnan(g) && std::isnan(w));
    if (same || std::abs(g - w) <= t.absolute + t.relative * std::abs(w)) continue;
    return fmt::format("element {} of {} is {}, want {}", position(i, type.shape), to_string(type), g, w);
  }
  return "";
}

std::string compare_all(const Run& run, Outputs& got, Outputs& want) {
  for (int k = 0; k < run.outs.size(); ++k) {
    const TensorType& type = run.outs[k];
    const auto n = static_cast<size_t>(k);
    if (is_quantised(type.dtype)) {  // blocks are only moved
      if (!got.same_bytes(want)) return "other blocks";
      continue;
    }
    // Whole numbers are compared as they are: as doubles, large ones would be equal to their neighbours.
    if (is_int(type.dtype) && tolerance_of(run.row, type.dtype).absolute == 0) {
      for (i64 i = 0; i < numel(type.shape); ++i) {
        const i64 g = load_as_int(type.dtype, got[n].memory().data(), i),
                  w = load_as_int(type.dtype, want[n].memory().data(), i);
        if (g != w)
          return fmt::format("element {} of {} is {}, want {}", position(i, type.shape), to_string(type), g,
                             w);
      }
      continue;
    }
    std::string m = compare(run, type, got[n].memory().data(),
                            [&](i64 i) { return load_as_double(type.dtype, want[n].memory().data(), i); });
    if (!m.empty()) return m;
  }
  return "";
}

std::string check_failure(const Run& run, const std::string& failure, std::string_view who) {
  if (run.row.fails.empty()) return failure.empty() ? "" : fmt::format("{} failed: {}", who, failure);
  if (failure.find(run.row.fails) != std::string::npos) return "";
  return fmt::format("{} said '{}', want a failure with '{}'", who, failure, run.row.fails);
}

// One CPU level: one part, many parts, other alignment: the same bits, close to the reference.
std::string check_level(const Run& run, Outputs& reference, SimdLevel level) {
  const Kernel& kernel = run.op.cpu;
  std::unique_ptr<Outputs> first;
  constexpr i64 kOdd[] = {1, 3, 7, 2, 13, 5, 31, 97};
  constexpr i64 kOnes[] = {1};
  const std::span<const i64> plans[] = {kWhole, kOdd, kOnes};
  for (size_t p = 0; p < std::size(plans); ++p) {
    std::vector<Materialised> inputs = make_inputs(run, static_cast<i64>(p));
    if (std::string m = prepare_inputs(kernel, inputs, level); !m.empty()) return m;
    const std::vector<Operand> operands = operands_of(inputs);
    auto out = std::make_unique<Outputs>(run.outs, p == 0 ? 0xff : 0x7d, static_cast<i64>(p));
    const KernelCall call = out->bind({.in = operands, .attrs = &run.attrs, .simd = level});
    if (p == 2 && units_of(kernel, call) > 5000) break;
    const std::string failure = run_parts(kernel, call, plans[p]);
    if (std::string m = check_failure(run, failure, "cpu"); !m.empty()) return m;
    if (!run.row.fails.empty()) return "";
    if (!out->intact()) return "wrote outside its output";
    if (p == 0) {
      if (std::string m = compare_all(run, *out, reference); !m.empty()) return m + " (by the reference)";
      first = std::move(out);
      continue;
    }
    if (!out->same_bytes(*first)) {
      return fmt::format("other bits in parts of {} than in one part, or an element nobody wrote",
                         p == 1 ? "odd sizes" : "1");
    }
  }
  return "";
}

// Appending, or writing over a donated input: the output's memory starts with input 0.
std::string check_in_place(const Run& run, Outputs& reference, SimdLevel level) {
  const std::vector<Materialised> inputs = make_inputs(run, 0);
  std::vector<Operand> operands = operands_of(inputs);
  Outputs outs(run.outs, 0xff);
  Materialised& out = outs[0];
  const i64 old_bytes = bytes_of({operands[0].dtype, operands[0].dims});
  const Materialised row_order = inputs[0].to_contiguous();
  if (old_bytes > 0)
    std::memcpy(out.memory().data(), row_order.operand().data, static_cast<size_t>(old_bytes));
  operands[0] = contiguous_operand({operands[0].dtype, operands[0].dims}, out.memory().data());
  const i64 kept = run.op.kind == OpKind::Append ? old_bytes : 0;
  constexpr i64 kOdd[] = {1, 3, 7, 2, 13};
  const std::string failure = run_parts(
      run.op.cpu, outs.bind({.in = operands, .attrs = &run.attrs, .simd = level, .kept_bytes = kept}), kOdd);
  if (std::string m = check_failure(run, failure, "in place"); !m.empty()) return m;
  if (!run.row.fails.empty() || outs.same_bytes(reference)) return "";
  return "in place: other bits";
}

// A view has no kernel: the table says what it must read.
std::string check_view(const Run& run) {
  const TensorType& out = run.outs[0];
  if (static_cast<i64>(run.row.want.size()) != numel(out.shape)) {
    return fmt::format("{} wanted values for a view of {}", run.row.want.size(), to_string(out));
  }
  Materialised x(run.row.in[0], 0, 0);
  View result;
  View from{x.operand().dims, x.operand().strides, 0};
  if (!run.op.view(from, out, run.attrs, result)) {
    x = x.to_contiguous();
    from = {x.operand().dims, x.operand().strides, 0};
    if (!run.op.view(from, out, run.attrs, result)) return "no view even of a contiguous tensor";
  }
  if (result.shape != out.shape) return fmt::format("view of shape {}", to_string(result.shape));
  const auto* data = static_cast<const std::byte*>(x.operand().address());
  for (i64 i = 0; i < numel(out.shape); ++i) {
    const i64 at = result.offset + strided_offset(i, result.shape, result.strides);
    const double got = load_as_double(out.dtype, data, at), want = run.row.want[static_cast<size_t>(i)];
    if (got != want) return fmt::format("element {} is {}, want {}", position(i, out.shape), got, want);
  }
  return "";
}

// The checker's case: inference must not refuse what it does not know, nor claim what turns out otherwise.
std::string check_unknown_dims(const Run& run) {
  std::vector<TensorType> types;
  for (const In& in : run.row.in) {
    types.push_back(in.type());
    for (i64& d : types.back().shape) d = kUnknownDim;
  }
  Result<OutputTypes> all = infer_types(run.op, types, run.attrs);
  if (!all.ok()) return "with unknown dims: " + all.error().message;
  if (all->size() != run.outs.size()) return "other outputs with unknown dims";
  for (int k = 0; k < run.outs.size(); ++k) {
    const TensorType &type = (*all)[k], &out = run.outs[k];
    if (!type.rank_known) continue;
    bool agrees = type.dtype == out.dtype && type.rank() == out.rank();
    for (int i = 0; agrees && i < out.rank(); ++i) agrees = same_dim(type.shape[i], out.shape[i]);
    if (!agrees)
      return fmt::format("inferred {} from unknown dims, {} from known", to_string(type), to_string(out));
  }
  return "";
}

// What the table says, of all outputs one after the other.
std::string check_want(const Run& run, Outputs& got) {
  if (run.row.want.empty()) return "";
  size_t size = 0, first = 0;
  for (const TensorType& type : run.outs) size += static_cast<size_t>(numel(type.shape));
  if (run.row.want.size() != size) return fmt::format("{} wanted values for {}", run.row.want.size(), size);
  for (int k = 0; k < run.outs.size(); ++k) {
    std::string m = compare(run, run.outs[k], got[static_cast<size_t>(k)].memory().data(),
                            [&](i64 i) { return run.row.want[first + static_cast<size_t>(i)]; });
    if (!m.empty()) return m;
    first += static_cast<size_t>(numel(run.outs[k].shape));
  }
  return "";
}

// Results whose size depends on data: a count that fits, and zeros behind it.
std::string check_counted(const Run& run, Outputs& got) {
  const u32 counted = run.op.counted_outputs;
  if (counted == 0) return "";
  const size_t last = static_cast<size_t>(run.outs.size()) - 1;
  if (!(run.outs[static_cast<int>(last)] == TensorType{DType::I64, {}})) return "its last output is no count";
  const i64 count = load_as_int(DType::I64, got[last].memory().data(), 0);
  for (size_t k = 0; k < last; ++k) {
    if ((counted >> k & 1u) == 0) continue;
    const TensorType& type = run.outs[static_cast<int>(k)];
    const i64 rows = type.shape[0], bytes = got[k].memory().size();
    if (count < 0 || count > rows) return fmt::format("counts {} rows of {}", count, rows);
    const std::byte* const data = got[k].memory().data();
    const i64 used = rows == 0 ? 0 : bytes / rows * count;
    if (std::any_of(data + used, data + bytes, [](std::byte b) { return b != std::byte{0}; }))
      return fmt::format("output {} is not zero behind its {} rows", k, count);
  }
  return "";
}

}  // namespace

std::string run_case(const OpDef& op, const OpCase& row) {
  Result<Attrs> attrs = parse_attrs(op, row.attrs);
  if (!attrs.ok()) return "attributes: " + attrs.error().message;
  std::vector<TensorType> types;
  for (const In& in : row.in) types.push_back(in.type());
  Result<OutputTypes> outs = infer_types(op, types, *attrs);
  if (!outs.ok()) return "refused: " + outs.error().message;
  for (const TensorType& out : *outs) {
    if (!out.rank_known || !is_known(out.shape)) return "inferred unknown dims from known ones";
  }
  const Run run{op, row, *attrs, *outs};
  if (std::string m = check_unknown_dims(run); !m.empty()) return m;

  if (op.kind == OpKind::View) return check_view(run);
  if (op.reference.run == nullptr) return "no reference kernel";
  const std::vector<Materialised> inputs = make_inputs(run, 0);
  const std::vector<Operand> operands = operands_of(inputs);
  Outputs reference(run.outs, 0xff);
  const std::string failure =
      run_parts(op.reference, reference.bind({.in = operands, .attrs = &run.attrs}), kWhole);
  if (std::string m = check_failure(run, failure, "reference"); !m.empty()) return m;
  if (!reference.intact()) return "reference wrote outside its output";
  if (std::string m = check_want(run, reference); !m.empty()) return m + " (reference against the table)";
  if (row.fails.empty()) {
    if (std::string m = check_counted(run, reference); !m.empty()) return m;
  }
  if (op.cpu.run == nullptr) return "no cpu kernel";
  for (int l = 0; l <= static_cast<int>(best_simd_level()); ++l) {
    const auto level = static_cast<SimdLevel>(l);
    std::string m = check_level(run, reference, level);
    if (m.empty() && (op.kind == OpKind::Append || op.donates)) m = check_in_place(run, reference, level);
    if (!m.empty()) return fmt::format("{}: {}", name_of(level), m);
  }
  return "";
}

std::string run_reject(const OpDef& op, const OpReject& row) {
  Result<Attrs> attrs = parse_attrs(op, row.attrs);
  if (!attrs.ok()) return "attributes: " + attrs.error().message;
  std::vector<TensorType> types;
  for (const In& in : row.in) types.push_back(in.type());
  const Result<OutputTypes> out = infer_types(op, types, *attrs);
  if (out.ok()) return "accepted";
  if (out.error().message.find(row.message) != std::string::npos) return "";
  return fmt::format("refused with '{}', want '{}'", out.error().message, row.message);
}

}  // namespace tl::cases
