// Ops on values that own several buffers (tl/tensor/format.h): on their parts where the format knows how,
// else on their elements.
#include "tl/exec/executor.h"
#include "tl/tensor/format.h"

namespace tl {

Result<Tensor> Executor::pack(const Format& format, const Tensor& tensor, Span origin) {
  TL_TRY(const Tensor elements, unpack(tensor, origin));
  TL_TRY(const std::vector<Tensor> parts, apply_all(*format.pack, {&elements, 1}, {}, origin));
  return packed_tensor(tensor.type(), format, parts);
}

Result<Tensor> Executor::unpack(const Tensor& packed, Span origin) {
  if (packed->parts == nullptr) return packed;
  const Parts& parts = *packed->parts;
  return apply(*parts.format->unpack, std::span<const Tensor>(parts.tensors.begin(), parts.tensors.end()),
               parts.format->unpack_attrs(packed.type()), origin);
}

static const Format* common_format(std::span<const Tensor> inputs) {
  const Format* common = nullptr;
  for (const Tensor& t : inputs) {
    if (t->parts == nullptr || (common != nullptr && common != t->parts->format)) return nullptr;
    common = t->parts->format;
  }
  return common;
}

Result<std::vector<Tensor>> Executor::apply_to_parts(const OpDef& op, std::span<const Tensor> inputs,
                                                     Attrs attrs, Span origin) {
  std::vector<Tensor> given;
  if (const Format* format = common_format(inputs)) {
    InlineVector<TensorType, kMaxInputs> types;
    for (const Tensor& t : inputs) types.push_back(t.type());
    Result<Format::OnParts> found = format->on_parts(op, types, attrs);
    if (!found.ok()) return std::move(found).error().within(op.name).at(origin);
    if (found->op != nullptr) {
      for (const Tensor& t : inputs)
        given.insert(given.end(), t->parts->tensors.begin(), t->parts->tensors.end());
      TL_TRY(std::vector<Tensor> results, apply_all(*found->op, given, found->attrs, origin));
      if (!found->gives_format) return results;
      return std::vector<Tensor>{packed_tensor(found->type, *format, results)};
    }
  }
  for (const Tensor& t : inputs) {
    TL_TRY(Tensor elements, unpack(t, origin));
    given.push_back(std::move(elements));
  }
  return apply_all(op, given, std::move(attrs), origin);
}

}  // namespace tl
