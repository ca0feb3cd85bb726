// Memory for the tensors of one case.
#pragma once

#include <memory>
#include <new>

#include "tests/ops/op_cases.h"
#include "tl/device/kernel.h"

namespace tl::cases {

// Bytes with guards on both sides, so that a write outside is seen.
class GuardedBytes {
 public:
  GuardedBytes(i64 bytes, u8 poison, i64 shift = 0);
  std::byte* data() { return bytes_.get() + kGuard + shift_; }
  i64 size() const { return size_; }
  bool intact() const;

 private:
  static constexpr i64 kGuard = 128;
  i64 size_, shift_;
  struct Free {
    void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t(64)); }
  };
  std::unique_ptr<std::byte[], Free> bytes_;
};

// Bytes of a contiguous tensor.
i64 bytes_of(const TensorType& type);
Operand contiguous_operand(const TensorType& type, std::byte* data);

// An operand with memory of its own.
class Materialised {
 public:
  // The input as a row of a table describes it; `number` seeds its filling. Memory starts `shift` elements
  // later.
  Materialised(const In& in, int number, i64 shift);
  // Contiguous memory, poisoned.
  Materialised(const TensorType& type, u8 poison, i64 shift = 0);

  const Operand& operand() const { return operand_; }
  // The same elements in row order; quantised blocks only if they are in row order already.
  Materialised to_contiguous() const;
  Materialised dequantised() const;
  GuardedBytes& memory() { return *memory_; }

 private:
  void fill(const In& in, int number);
  std::unique_ptr<GuardedBytes> memory_;
  Operand operand_;
};

}  // namespace tl::cases
