// Rows of the case tables as parts of programs: with inputs that lie strided in larger tensors, come from
// other values, or have other dims than the table says.
#include <algorithm>
#include <optional>

#include "tests/ops/materialised.h"
#include "tests/property/ops_maker.h"

namespace tl::property {
namespace {

using cases::In;
using cases::OpCase;
using cases::OpCases;

// The row with one of its dims replaced by another wherever it appears, if the op takes that too.
std::optional<OpCase> resized(const OpDef& op, const OpCase& row, const Attrs& attrs, Random& sizes) {
  std::vector<i64> dims;
  for (const In& in : row.in) {
    for (const i64 d : in.type().shape) dims.push_back(d);
  }
  if (dims.empty()) return std::nullopt;
  const i64 from = dims[static_cast<size_t>(sizes.below(static_cast<i64>(dims.size())))];
  const i64 to = sizes.pick<i64>({0, 1, 2, from / 2, from - 1, from + 1, from * 2});
  OpCase other = row;
  other.name += ", resized";
  std::vector<TensorType> types;
  for (In& in : other.in) {
    TensorType type = in.type();
    if (in.is_constant()) {
      types.push_back(type);
      continue;
    }
    std::replace(type.shape.begin(), type.shape.end(), from, std::max<i64>(to, 0));
    if (is_quantised(type.dtype) && type.shape.back() % info(type.dtype).block_elements != 0)
      return std::nullopt;
    if (numel(type.shape) > 200'000) return std::nullopt;
    in = in.resized(type.shape);
    types.push_back(type);
  }
  Result<OutputTypes> out = infer_types(op, types, attrs);
  if (!out.ok()) return std::nullopt;
  for (const TensorType& type : *out) {
    if (numel(type.shape) > 200'000) return std::nullopt;
  }
  return other;
}

Tensor constant_of(const In& in) {
  const cases::Materialised m(in, 0, 0);
  const DType dtype = in.type().dtype;
  if (is_float(dtype)) return scalar_tensor(load_as_double(dtype, m.operand().address(), 0), dtype);
  return scalar_tensor(load_as_int(dtype, m.operand().address(), 0), dtype);
}

}  // namespace

const OpCases* cases_of(const OpDef& op) {
  static const std::map<const OpDef*, const OpCases*> tables{
#define TL_OP(name) {&op_##name, &cases::cases_##name},
#include "tl/ops/ops.def"
#undef TL_OP
  };
  const auto it = tables.find(&op);
  return it == tables.end() ? nullptr : it->second;
}

// Where it can be one, a value of the program; else numbers as the table has them, some transposed in memory.
Tensor OpsMaker::input(const In& in, int number, const std::string& row, const Tensor& value,
                       Random& structure) {
  const TensorType type = in.type();
  const bool from_value = structure.one_in(3), is_strided = structure.one_in(2);
  if (in.is_constant()) return constant_of(in);
  const i64 n = numel(type.shape);
  if (from_value && type.dtype == DType::F32 && value && numel(value.shape()) >= n) {
    std::vector<i64> shape(type.shape.begin(), type.shape.end());
    return reshape(vector(value, n), std::move(shape));
  }
  const Tensor made = shared_.get(fmt::format("{} {} {}", row, number, to_string(type)), [&] {
    const cases::Materialised own(in, number, 0);
    cases::Materialised packed = own.to_contiguous();
    return from_host(type, std::span(packed.memory().data(), static_cast<size_t>(packed.memory().size())));
  });
  if (!made || !is_strided || type.rank() < 2 || is_quantised(type.dtype)) return made;
  return transpose(apply(op_contiguous, {transpose(made)}));
}

Tensor OpsMaker::table_row(const OpDef& op, const Tensor& value, Random structure, Random sizes) {
  const OpCases* table = cases_of(op);
  if (table == nullptr || table->accepts.empty()) return {};
  const auto count = static_cast<i64>(table->accepts.size());
  OpCase row = table->accepts[static_cast<size_t>(structure.below(count))];
  const Result<Attrs> attrs = cases::parse_attrs(op, row.attrs);
  if (!attrs.ok()) return {};
  if (sizes.one_in(2)) {
    if (auto other = resized(op, row, attrs.value(), sizes)) row = std::move(*other);
  }
  i64 elements = 0;
  std::vector<Tensor> inputs;
  for (const In& in : row.in) {
    if (is_quantised(in.type().dtype) && in.is_strided()) return {};  // FunctionRun::linear slices weights
    elements += numel(in.type().shape);
    if (elements > 300'000) return {};
    const std::string name = fmt::format("{}: {}", op.name, row.name);
    inputs.push_back(input(in, static_cast<int>(inputs.size()), name, value, structure));
  }
  if (op.infer_outputs == nullptr) return apply(op, std::move(inputs), attrs.value());
  const std::vector<Tensor> outputs = apply_all(op, std::move(inputs), attrs.value());
  const auto which = structure.below(kMaxOutputs);
  return outputs.empty() ? Tensor() : outputs[static_cast<size_t>(which) % outputs.size()];
}

}  // namespace tl::property
