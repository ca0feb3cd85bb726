// NumPy's .npy files, versions 1 to 3: arrays of numbers and bools, read whole and written whole or row by
// row.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "tl/base/result.h"
#include "tl/io/atomic_file.h"
#include "tl/tensor/shape.h"

namespace tl {

struct NpyArray {
  DType dtype = DType::F32;
  Shape shape;
  std::vector<u8> bytes;  // row-major, this machine's byte order
};

// Reads any order of bytes and axes. Types we have no DType for (complex, text, uint16, …) are Unsupported.
Result<NpyArray> read_npy(const std::string& path);
// The same from bytes; `name` is for messages.
Result<NpyArray> parse_npy(std::span<const u8> bytes, const std::string& name);

// Writes a row-major array; `bytes` are all its elements. bfloat16 and quantised types are Unsupported.
Result<void> write_npy(const std::string& path, DType dtype, const Shape& shape, std::span<const u8> bytes);

// Writes an array of [rows, row_shape…] whose number of rows is known only at the end. Nothing has the file's
// name until finish(); dropping the writer before leaves what was there.
class NpyWriter {
 public:
  static Result<NpyWriter> create(const std::string& path, DType dtype, const Shape& row_shape);
  // Appends whole rows.
  Result<void> append(std::span<const u8> rows);
  i64 rows() const { return rows_; }
  Result<void> finish();

 private:
  NpyWriter(AtomicFile file, DType dtype, Shape row_shape);
  std::string header() const;
  AtomicFile file_;
  DType dtype_;
  Shape row_shape_;
  u64 row_bytes_ = 0;
  i64 rows_ = 0;
};

}  // namespace tl
