// A GGUF file (version 2 or 3), mapped and checked: after open() every name, value and byte range can be
// trusted to lie inside the file. What the metadata and tensors mean is for the model loader.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tl/base/result.h"
#include "tl/io/gguf_value.h"
#include "tl/io/mapped_file.h"
#include "tl/tensor/shape.h"

namespace tl {

struct GgufKeyValue {
  std::string_view key;
  GgufValue value;
};

struct GgufTensor {
  std::string_view name;
  u32 type_id = 0;                // the file's number
  std::string_view type_name;     // "Q4_K", "IQ2_XS"; "unknown" if the number means nothing to us
  std::optional<DType> dtype;     // empty: can be listed but not computed with
  Shape shape;                    // row-major, the file's dims reversed: [out, in]
  u64 offset = 0;                 // of its first byte in the file
  std::optional<u64> size_bytes;  // empty only where the type is unknown
};

// Immutable after open(), so safe to share between threads. Everything it hands out lives as long as it does.
class GgufFile {
 public:
  static Result<std::shared_ptr<const GgufFile>> open(const std::string& path);
  static Result<std::shared_ptr<const GgufFile>> read(MappedFile file);

  const std::string& path() const { return file_.path(); }
  u32 version() const { return version_; }
  u64 alignment() const { return alignment_; }
  u64 file_size() const { return file_.bytes().size(); }

  std::span<const GgufKeyValue> metadata() const { return metadata_; }  // in the file's order
  std::span<const GgufTensor> tensors() const { return tensors_; }      // in the file's order
  // Null if there is none.
  const GgufValue* find(std::string_view key) const;
  const GgufTensor* find_tensor(std::string_view name) const;

  // Fail if the key is missing or holds something else; the message names file, key and both types.
  Result<u64> get_u64(std::string_view key) const;
  Result<i64> get_i64(std::string_view key) const;
  Result<f64> get_f64(std::string_view key) const;
  Result<bool> get_bool(std::string_view key) const;
  Result<std::string_view> get_string(std::string_view key) const;
  Result<std::span<const std::string_view>> get_strings(std::string_view key) const;
  Result<std::vector<f32>> get_f32s(std::string_view key) const;
  Result<std::vector<i64>> get_i64s(std::string_view key) const;

  // A tensor to compute with: fails if it is missing, or of a type without DType.
  Result<const GgufTensor*> get_tensor(std::string_view name) const;
  // The tensor's bytes in the mapped file; none where its type is unknown.
  std::span<const u8> bytes(const GgufTensor& tensor) const;

  Result<void> check_whole() const { return file_.check_whole(); }
  // Advice to the system about the tensors' pages (see MappedFile).
  void prefetch() const { file_.prefetch(file_.bytes()); }
  void prefetch(const GgufTensor& tensor) const { file_.prefetch(bytes(tensor)); }
  void release_pages(std::span<const u8> part) const { file_.release_pages(part); }

 private:
  explicit GgufFile(MappedFile file) : file_(std::move(file)) {}
  Result<void> parse();
  Result<void> read_alignment();
  Result<void> index_names();
  // One value as `read` reads it.
  template <typename T>
  Result<T> get(std::string_view key, std::string_view wanted,
                std::optional<T> (GgufValue::*read)() const) const;
  Result<const GgufArray*> get_array(std::string_view key, std::string_view wanted) const;
  Error no_key(std::string_view key, std::string_view wanted) const;
  Error wrong_type(std::string_view key, std::string_view wanted) const;

  MappedFile file_;
  u32 version_ = 0;
  u64 alignment_ = 0;
  std::vector<GgufKeyValue> metadata_;
  std::vector<GgufTensor> tensors_;
  std::unordered_map<std::string_view, u32> keys_;
  std::unordered_map<std::string_view, u32> names_;
};

}  // namespace tl
