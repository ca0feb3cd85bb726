// What a kernel gets: operands resolved to memory, the op's attributes and the part of the work it is to do.
#pragma once

#include <span>

#include "tl/tensor/attrs.h"
#include "tl/tensor/op.h"
#include "tl/tensor/shape.h"

namespace tl {

// One tensor as a kernel sees it. 0-d constants travel inside the operand.
struct Operand {
  std::byte* data = nullptr;  // first element; null for a constant
  DType dtype = DType::F32;
  Dims dims;
  Strides strides;   // in elements
  u64 constant = 0;  // bits of the constant in its own dtype

  const void* address() const { return data != nullptr ? static_cast<const void*>(data) : &constant; }
  template <typename T>
  const T* ptr() const {
    return static_cast<const T*>(address());
  }
  template <typename T>
  T* mutable_ptr() const {
    return reinterpret_cast<T*>(data);
  }

  int rank() const { return dims.size(); }
  i64 numel() const { return tl::numel(dims); }
  // The last axis, and everything before it as one count. A 0-d operand is one row of one column.
  i64 cols() const { return dims.empty() ? 1 : dims.back(); }
  i64 rows() const { return cols() == 0 ? 0 : numel() / cols(); }
  bool contiguous() const { return is_contiguous(dims, strides); }
};

// SIMD levels of x86-64, in rising order; `Portable` is plain C++.
enum class SimdLevel : u8 { Portable, Avx2, Avx512 };

// Memory for one worker's intermediate results; reused from call to call, so that kernels never allocate in
// steady state.
class Scratch {
 public:
  Scratch() = default;
  ~Scratch();
  Scratch(const Scratch&) = delete;
  // At least `bytes`, aligned to 64; valid until the next call. Null if there is not that much memory.
  void* get(size_t bytes);

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

struct KernelCall {
  std::span<const Operand> in;
  Operand out;                    // the first output
  std::span<const Operand> outs;  // all of them, for ops that have several
  const Attrs* attrs = nullptr;
  i64 begin = 0, end = 0;  // this part's units
  SimdLevel simd = SimdLevel::Portable;
  Scratch* scratch = nullptr;
  i64 kept_bytes = 0;        // OpKind::Append: bytes of the output that are there already
  std::string failure = {};  // set by fail()

  // For errors that only the data show (an index out of range). The command fails; whatever it wrote is never
  // read.
  void fail(std::string message) {
    if (failure.empty()) failure = std::move(message);
  }
  // Scratch for `count` items; null after fail() if there is not that much memory.
  template <typename T>
  T* try_scratch(i64 count) {
    void* p = scratch->get(static_cast<size_t>(count) * sizeof(T));
    if (p == nullptr)
      fail(fmt::format("no memory for {} bytes of scratch", static_cast<u64>(count) * sizeof(T)));
    return static_cast<T*>(p);
  }
};

// Bytes of an operand's elements; what is broadcast counts once, constants not at all.
i64 operand_bytes(const Operand& o);
// Those of all inputs and outputs: what a command that needs each once has to move.
i64 traffic(const KernelCall& call);
// For OpDef::makes_infinity.
inline bool always(const KernelCall&) {
  return true;
}

// Reads one element of any unquantised dtype as double (or int64 below); for oracles and host code, not for
// kernels.
double load_as_double(DType dtype, const void* data, i64 index);
i64 load_as_int(DType dtype, const void* data, i64 index);
void store_from_double(DType dtype, void* data, i64 index, double value);
void store_from_int(DType dtype, void* data, i64 index, i64 value);

// Offset in elements of the element with row-major number `index` of `dims`.
inline i64 strided_offset(i64 index, const Dims& dims, const Strides& strides) {
  i64 offset = 0;
  for (int i = dims.size() - 1; i >= 0; --i) {
    offset += index % dims[i] * strides[i];
    index /= dims[i];
  }
  return offset;
}

}  // namespace tl
