#include "tl/builtins/join.h"

#include "tl/ops/ops.h"

namespace tl::lang {

// The element type of all parts joined along `axis`, or why they do not fit.
static Result<DType> joined_dtype(const std::vector<Tensor>& parts, i64 axis) {
  const Attrs attrs = Attrs().with_int(axis);
  TL_TRY_DO(checked_axis(axis, parts[0].shape()));
  DType dtype = element_type(parts[0].dtype());
  for (size_t i = 1; i < parts.size(); ++i) {
    const TensorType pair[] = {parts[0].type(), parts[i].type()};
    TL_TRY(const OutputTypes types, infer_types(op_concat, pair, attrs));
    dtype = promote(dtype, types[0].dtype);
  }
  return dtype;
}

// More parts than the op takes are joined in groups, and the groups again: few copies of each, however many
// there are. None of it depends on sizes, so that a call with others can be replayed.
Result<Tensor> join_tensors(CallContext& ctx, std::vector<Tensor> parts, i64 axis) {
  TL_TRY(const DType dtype, joined_dtype(parts, axis));
  const auto apply = [&](const OpDef& op, std::span<const Tensor> inputs, Attrs attrs) {
    return ctx.executor().apply(op, inputs, std::move(attrs), ctx.span);
  };
  constexpr size_t kGroup = kMaxInputs;
  if (parts.size() > kGroup) {  // in the final type from the start: a type on the way could be narrower
    for (Tensor& part : parts) {
      if (part.dtype() == dtype) continue;
      TL_TRY(part, apply(op_cast, {&part, 1}, Attrs().with_dtype(dtype)));
    }
  }
  do {
    std::vector<Tensor> joined;
    for (size_t i = 0; i < parts.size(); i += kGroup) {
      const std::span<const Tensor> group(&parts[i], std::min(kGroup, parts.size() - i));
      TL_TRY(Tensor one, apply(op_concat, group, Attrs().with_int(axis)));
      joined.push_back(std::move(one));
    }
    parts = std::move(joined);
  } while (parts.size() > 1);
  return std::move(parts[0]);
}

}  // namespace tl::lang
