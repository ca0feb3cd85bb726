// What happens to logits between the model and the next token: penalties, filters that leave -inf,
// temperature, and the seeded draw. Every op works on rows along the last axis; the rules of each are stated
// in sample.cpp.
#pragma once

#include "tl/device/kernel.h"

namespace tl {

// The attributes of `sample`, in the order of its signature; filters are applied in this order, temperature
// last.
struct SampleAttrs {
  double temperature;  // 0: the largest logit
  i64 top_k;           // 0: off
  double top_p, min_p, typical_p;
  u64 seed, position;

  explicit SampleAttrs(const Attrs& a)
      : temperature(a.float_at(0)),
        top_k(a.int_at(1)),
        top_p(a.float_at(2)),
        min_p(a.float_at(3)),
        typical_p(a.float_at(4)),
        seed(static_cast<u64>(a.int_at(5))),
        position(static_cast<u64>(a.int_at(6))) {}
};

// The number in [0, 1) that decides row `row` of a draw.
double sample_fraction(u64 seed, u64 position, i64 row);

// Token ids that belong to one row of logits: ids [n] for all rows, or [.., n] with leading axes that
// broadcast.
class RowIds {
 public:
  RowIds(const Operand& logits, const Operand& ids);
  i64 count() const { return count_; }
  i64 at(i64 row, i64 i) const;

 private:
  const Operand& ids_;
  Dims lead_;
  Strides strides_;
  i64 count_, stride_;
};

#define TL_SAMPLE_OPS_(X) \
  X(repetition_penalty)   \
  X(frequency_penalty) X(top_k) X(top_p) X(min_p) X(typical_p) X(temperature) X(sample) X(sample_probs)
#define TL_DECLARE_(name) void name(KernelCall& call);
namespace ref {
TL_SAMPLE_OPS_(TL_DECLARE_)
}
namespace cpu {
TL_SAMPLE_OPS_(TL_DECLARE_)
}
#undef TL_DECLARE_
#undef TL_SAMPLE_OPS_

}  // namespace tl
