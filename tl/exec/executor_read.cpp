// Copies to the host.
#include "tl/base/physical_memory.h"
#include "tl/exec/executor.h"
#include "tl/ops/ops.h"

namespace tl {

Result<HostTensor> Executor::read(const Tensor& tensor) {
  if (RecordObserver* observer = recorder_.observer()) observer->looked();
  if (tensor->parts != nullptr) {
    TL_TRY(const Tensor elements, unpack(tensor));
    return read(elements);
  }
  if (is_quantised(tensor.dtype())) {
    TL_TRY(const Tensor expanded, apply(op_dequantize, {tensor}));
    return read(expanded);
  }
  HostTensor host{tensor.type(), {}};
  const i64 n = tl::numel(tensor.shape()), size = size_of(tensor.dtype());
  if (n > physical_memory_bytes() / size) {
    return fail(Code::OutOfMemory, "the values of {} are more than this machine's memory holds",
                to_string(tensor.type()));
  }
  host.bytes.resize(static_cast<size_t>(n * size));
  if (tensor->is_scalar) {
    if (is_float(tensor.dtype())) {
      store_from_double(tensor.dtype(), host.bytes.data(), 0, tensor->scalar);
    } else {
      store_from_int(tensor.dtype(), host.bytes.data(), 0, tensor->scalar_int);
    }
    return host;
  }
  TL_TRY_DO(wait(tensor));
  if (n == 0) return host;  // its place may be behind the end of what it looks at
  const Placement& value = tensor->value;
  if (is_contiguous(tensor.shape(), value.strides)) {
    TL_TRY_DO(device_.download(*value.buffer, value.offset * size, host.bytes));
    return host;
  }
  TL_TRY(const Tensor packed, apply(op_contiguous, {tensor}));
  return read(packed);
}

static Result<HostTensor> read_one(Executor& e, const Tensor& tensor) {
  if (tl::numel(tensor.shape()) != 1) {
    return fail(Code::BadProgram, "found {} elements {}, want exactly one", tl::numel(tensor.shape()),
                to_string(tensor.shape()));
  }
  return e.read(tensor);
}

Result<double> Executor::item(const Tensor& tensor) {
  TL_TRY(const HostTensor host, read_one(*this, tensor));
  return host.as_double(0);
}

Result<i64> Executor::item_int(const Tensor& tensor) {
  TL_TRY(const HostTensor host, read_one(*this, tensor));
  return host.as_int(0);
}

}  // namespace tl
