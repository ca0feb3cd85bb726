// Rotary position embeddings (Su et al., 2021) in both pairings, their tables, and the sinusoidal encoding.
#pragma once

#include "tl/device/kernel.h"

namespace tl {

// How the two numbers of a rotated pair lie in a row of d: (2i, 2i + 1) or (i, i + d/2).
enum class RopePairing : u8 { Adjacent, Half };

// Both names that are in use for the second.
inline bool is_half(std::string_view pairing) {
  return pairing == "half" || pairing == "neox";
}

// The attributes of rope and rope_with_factors, in the order of their signatures.
struct RopeAttrs {
  double base;
  i64 dims;      // rotated from the row's start, 0: all; the rest is copied
  double scale;  // positions are multiplied by it
  RopePairing pairing;

  explicit RopeAttrs(const Attrs& attrs)
      : base(attrs.float_at(0)),
        dims(attrs.int_at(1)),
        scale(attrs.float_at(2)),
        pairing(is_half(attrs.text()) ? RopePairing::Half : RopePairing::Adjacent) {}
  i64 pairs(i64 row) const { return (dims == 0 ? row : dims) / 2; }
};

// One unit is one position: all heads of one element of x's leading axes.
i64 rope_units(const KernelCall& call);
double rope_unit_cost(const KernelCall& call);

// Where the rows of x [..., positions, heads, dims] lie, and the position of each unit.
class RopeRows {
 public:
  // `positions` is null where positions count from 0.
  RopeRows(const Operand& x, const Operand* positions);
  i64 offset(const Operand& x, i64 unit, i64 head) const {
    return strided_offset(unit, lead_, x.strides) + head * x.strides[x.rank() - 2];
  }
  // A single number is the position of the first row; the others count on from it along the axis before the
  // heads.
  i64 position(i64 unit) const;

 private:
  const Operand* positions_;
  Dims lead_;
  Strides position_strides_;
};

// base^(-i / pairs) for pair i, divided by its factor where there are factors.
double rope_frequency(const KernelCall& call, const RopeAttrs& attrs, i64 i, i64 pairs);

namespace ref {
void rope(KernelCall& call);  // also rope_with_factors
void rope_tables(KernelCall& call);
void precompute_rope_cos(KernelCall& call);
void precompute_rope_sin(KernelCall& call);
void positional_encoding(KernelCall& call);
}  // namespace ref

namespace cpu {
void rope(KernelCall& call);
void rope_tables(KernelCall& call);
}  // namespace cpu

}  // namespace tl
