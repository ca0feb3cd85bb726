#include "tl/tensor/op.h"

namespace tl {

// Views keep the format they look at; any other op is given what the planner makes of it.
static bool is_read_as_float(const OpDef& op, std::span<const TensorType> inputs, size_t i) {
  return is_quantised(inputs[i].dtype) && op.kind != OpKind::View && (op.quantised_inputs >> i & 1u) == 0;
}

static Result<OutputTypes> infer_all(const OpDef& op, std::span<const TensorType> inputs,
                                     const Attrs& attrs) {
  const InferContext context(inputs, attrs);
  if (op.infer_outputs != nullptr) return op.infer_outputs(context);
  TL_TRY(TensorType type, op.infer(context));
  OutputTypes one;
  one.push_back(std::move(type));
  return one;
}

Result<OutputTypes> infer_types(const OpDef& op, std::span<const TensorType> inputs, const Attrs& attrs) {
  TL_CHECK(inputs.size() <= static_cast<size_t>(kMaxInputs), "{} takes {} tensors", op.name, inputs.size());
  InlineVector<TensorType, kMaxInputs> shown;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!is_read_as_float(op, inputs, i)) continue;
    if (shown.empty()) shown = InlineVector<TensorType, kMaxInputs>(inputs);
    shown[static_cast<int>(i)].dtype = element_type(inputs[i].dtype);
  }
  TL_TRY(OutputTypes types,
         infer_all(op, shown.empty() ? inputs : std::span<const TensorType>(shown), attrs));
  for (const TensorType& type : types) TL_TRY_DO(check_addressable(type));
  return types;
}

}  // namespace tl
