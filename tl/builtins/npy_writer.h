// A .npy file that a program writes row by row; the type and shape of the rows are the first ones'.
#pragma once

#include <optional>

#include "tl/exec/executor.h"
#include "tl/io/npy.h"
#include "tl/value/value.h"

namespace tl::lang {

struct NpyWriterValue : ObjectOf<ObjectKind::NpyWriter> {
  explicit NpyWriterValue(std::string p) : path(std::move(p)) {}
  Result<void> append(Executor& executor, const Tensor& rows);
  Result<void> close();

  const std::string path;
  std::optional<NpyWriter> writer;
  TensorType row;
};

}  // namespace tl::lang
