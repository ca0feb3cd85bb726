// Models in safetensors files, one or several with an index: mapped and checked, so that after open() every
// tensor's bytes lie inside its file. And writing one such file.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tl/base/result.h"
#include "tl/io/mapped_file.h"
#include "tl/tensor/shape.h"

namespace tl {

struct SafetensorsTensor {
  std::string name;
  std::string type_name;       // as the file says: "F32", "F8_E4M3"
  std::optional<DType> dtype;  // empty: can be listed but not computed with
  Shape shape;
  u32 file = 0;    // which of files()
  u64 offset = 0;  // of its first byte in that file
  u64 size_bytes = 0;
};

// Immutable after open(), so safe to share between threads. Everything it hands out lives as long as it does.
class SafetensorsModel {
 public:
  // A .safetensors file, an index (….safetensors.index.json) beside its files, or a folder that holds
  // model.safetensors or model.safetensors.index.json.
  static Result<std::shared_ptr<const SafetensorsModel>> open(const std::string& path);
  // One file's bytes.
  static Result<std::shared_ptr<const SafetensorsModel>> read(MappedFile file);

  const std::string& path() const { return path_; }
  std::span<const MappedFile> files() const { return files_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  std::span<const SafetensorsTensor> tensors() const { return tensors_; }
  // Null if there is none.
  const SafetensorsTensor* find_tensor(std::string_view name) const;
  // A tensor to compute with: fails if it is missing, or of a type without DType.
  Result<const SafetensorsTensor*> get_tensor(std::string_view name) const;
  // The tensor's bytes in its mapped file, row-major, perhaps not aligned.
  std::span<const u8> bytes(const SafetensorsTensor& tensor) const;
  Result<void> check_whole() const;

 private:
  SafetensorsModel() = default;
  Result<void> add_file(MappedFile file);
  Result<void> open_index(const std::string& index_path);
  Result<void> index_names();

  std::string path_;
  std::vector<MappedFile> files_;
  std::map<std::string, std::string> metadata_;
  std::vector<SafetensorsTensor> tensors_;
  std::unordered_map<std::string_view, u32> names_;
};

struct SafetensorsEntry {
  std::string name;
  DType dtype = DType::F32;
  Shape shape;
  std::span<const u8> bytes;  // all elements, row-major
};

// Writes one file, which appears whole or not at all. Quantised types are Unsupported.
Result<void> write_safetensors(const std::string& path, std::span<const SafetensorsEntry> entries,
                               const std::map<std::string, std::string>& metadata);

}  // namespace tl
