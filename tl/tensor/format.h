// Formats whose values own several buffers: bitsets with their counts, sorted columns, packed weights with
// their scales apart. A value of such a format is its parts, tensors of their own (Parts): whatever the
// runtime does for tensors (plans, memory, tickets, failures, validation) it does for each of them, and knows
// nothing else. Only recording knows formats: an op gets the parts as its operands, or the elements.
#pragma once

#include "tl/tensor/op.h"

namespace tl {

struct Format {
  std::string_view name;
  // The elements as parts: one input, an output for each part. And back: the parts as inputs.
  const OpDef* pack = nullptr;
  const OpDef* unpack = nullptr;
  Attrs (*unpack_attrs)(const TensorType& type) = nullptr;

  // How an op is done on values of this format, all of its inputs being such.
  struct OnParts {
    const OpDef* op =
        nullptr;  // takes the parts of all inputs, one after the other; null: it needs the elements
    Attrs attrs = {};
    TensorType type =
        {};  // of the result, where that has this format too: then the op's outputs are its parts
    bool gives_format = false;
  };
  // `types` are of the values, not of the parts. An error: the op refuses them.
  Result<OnParts> (*on_parts)(const OpDef& op, std::span<const TensorType> types,
                              const Attrs& attrs) = nullptr;
};

}  // namespace tl
