// Values as the kind a use asks for: whole floats as ints, numbers and lists as tensors, 0-d tensors as
// numbers (which waits for them).
#pragma once

#include <optional>

#include "tl/builtins/context.h"
#include "tl/builtins/signature.h"

namespace tl::lang {

// The messages say what was found and what was wanted; callers put the parameter's name before them.
Result<i64> to_int(CallContext& ctx, const Value& value);
Result<f64> to_float(CallContext& ctx, const Value& value);
Result<bool> to_bool(CallContext& ctx, const Value& value);
Result<DType> to_dtype(const Value& value);
Result<std::vector<i64>> to_ints(CallContext& ctx, const Value& value);
Result<std::string_view> to_text(const Value& value);

// A number takes the type of `peer`, the tensor it meets, where that can hold its kind; alone, ints are
// int64, floats float32. Lists of numbers, nested or not, become tensors by the same rule. An int that does
// not fit in the peer's type is refused.
Result<Tensor> to_tensor(CallContext& ctx, const Value& value, std::optional<DType> peer = {});
// The first int of a number or a list of them that the type `peer` cannot hold, if it is a type of ints.
Result<std::optional<i64>> misfit(CallContext& ctx, const Value& value, std::optional<DType> peer);
// True for what to_tensor takes and is no tensor yet: numbers, bools, lists, ranges.
bool is_weak(const Value& value);
// The items of a list, tuple, range or set, the keys of a map, the characters of a string, the rows of a
// tensor.
Result<std::vector<Value>> to_items(CallContext& ctx, const Value& value);
// The number in a tensor of one element, any other value as it is.
Result<Value> to_scalar(CallContext& ctx, const Value& value);
// Element `i` of a host tensor as int, float or bool.
Value element_value(const HostTensor& tensor, i64 i);

// `value` as a parameter of `kind` wants it. Any, and Tensor where `value` is one, are left alone.
Result<Value> convert(CallContext& ctx, const Value& value, ParamKind kind);

}  // namespace tl::lang
