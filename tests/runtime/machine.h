// A device with its executor, and short ways to record ops, for tests of the runtime.
#pragma once

#include <gtest/gtest.h>

#include "tl/backend/cpu/cpu_device.h"
#include "tl/backend/null/null_device.h"
#include "tl/backend/reference/reference_device.h"
#include "tl/exec/checksum.h"
#include "tl/exec/executor.h"
#include "tl/ops/ops.h"

namespace tl {

// Unwraps in tests: a failure is printed and ends the test program.
template <typename T>
T must(Result<T> result) {
  TL_CHECK(result.ok(), "{}", result.error().message);
  return std::move(result).value();
}
inline void must(Result<void> result) {
  TL_CHECK(result.ok(), "{}", result.error().message);
}

struct Machine {
  std::unique_ptr<Device> device;
  std::unique_ptr<Executor> executor;

  static Machine cpu(int threads = 2, ExecOptions options = {}, i64 limit = 0) {
    return on(must(cpu::create_device({.threads = threads, .simd = {}, .memory_limit_bytes = limit})),
              std::move(options));
  }
  static Machine reference(ExecOptions options = {}) { return on(ref::create_device(0), std::move(options)); }
  static Machine null(ExecOptions options = {}) { return on(null::create_device(), std::move(options)); }
  static Machine on(std::unique_ptr<Device> device, ExecOptions options) {
    Machine m;
    m.device = std::move(device);
    m.executor = must(Executor::create(*m.device, std::move(options)));
    return m;
  }

  Tensor op(const OpDef& def, std::initializer_list<Tensor> inputs, Attrs attrs = {}) {
    return must(executor->apply(def, inputs, std::move(attrs)));
  }
  Tensor f32(const Shape& shape, const std::vector<float>& values) {
    return must(executor->from_host({DType::F32, shape}, std::as_bytes(std::span(values))));
  }
  // Values in [-1, 1) that depend on seed and position.
  Tensor noise(const Shape& shape, u32 seed) {
    std::vector<float> v(static_cast<size_t>(numel(shape)));
    u32 state = seed * 2654435761u + 1;
    for (float& x : v) {
      state = state * 1664525u + 1013904223u;
      x = static_cast<float>(state >> 8) / 8388608.0f - 1.0f;
    }
    return f32(shape, v);
  }
  Tensor i32(const Shape& shape, const std::vector<int>& values) {
    return must(executor->from_host({DType::I32, shape}, std::as_bytes(std::span(values))));
  }
  std::vector<double> read(const Tensor& t) {
    const HostTensor host = must(executor->read(t));
    std::vector<double> v;
    for (i64 i = 0; i < host.numel(); ++i) v.push_back(host.as_double(i));
    return v;
  }
  std::string sum_of(const Tensor& t) { return checksum_hex(checksum(must(executor->read(t)))); }
  Tensor reshape(const Tensor& x, std::vector<i64> shape) {
    return op(op_reshape, {x}, Attrs().with_ints(std::move(shape)));
  }
};

}  // namespace tl
