// tl inspect: what a model file holds.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "tl/api/paths.h"
#include "tl/io/gguf.h"
#include "tl/tools/cli/commands.h"

namespace tl::cli {
namespace {

using nlohmann::ordered_json;

constexpr u64 kShownElements = 8;       // of an array, for people
constexpr u64 kJsonElements = 1 << 20;  // of an array, for programs

ordered_json json_of(const GgufValue& value) {
  if (const auto text = value.as_string()) return std::string(*text);
  if (const GgufArray* array = value.as_array()) {
    ordered_json out = ordered_json::array();
    for (u64 i = 0; i < std::min(array->size, kJsonElements); ++i) out.push_back(json_of(array->at(i)));
    return out;
  }
  if (value.type() == GgufType::Bool) return *value.as_bool();
  if (const auto v = value.as_i64()) return *v;
  if (const auto v = value.as_u64()) return *v;
  return *value.as_f64();
}

std::string shape_text(const Shape& shape) {
  return to_string(shape);
}

void print_json(const GgufFile& file) {
  ordered_json out;
  out["file"] = file.path();
  out["format"] = fmt::format("GGUF v{}", file.version());
  out["bytes"] = file.file_size();
  ordered_json metadata = ordered_json::object();
  for (const GgufKeyValue& kv : file.metadata()) metadata[std::string(kv.key)] = json_of(kv.value);
  out["metadata"] = std::move(metadata);
  ordered_json tensors = ordered_json::array();
  u64 elements = 0, bytes = 0;
  for (const GgufTensor& t : file.tensors()) {
    tensors.push_back({{"name", std::string(t.name)},
                       {"type", std::string(t.type_name)},
                       {"shape", std::vector<i64>(t.shape.begin(), t.shape.end())},
                       {"bytes", t.size_bytes.value_or(0)}});
    elements += static_cast<u64>(numel(t.shape));
    bytes += t.size_bytes.value_or(0);
  }
  out["tensors"] = std::move(tensors);
  out["totals"] = {{"tensors", file.tensors().size()}, {"elements", elements}, {"bytes", bytes}};
  fmt::print("{}\n", out.dump(2, ' ', false, ordered_json::error_handler_t::replace));
}

void print_text(const GgufFile& file) {
  fmt::print("{}: GGUF v{}, {} bytes\n\nmetadata\n", file.path(), file.version(), file.file_size());
  for (const GgufKeyValue& kv : file.metadata()) {
    fmt::print("  {} = {}\n", kv.key, to_string(kv.value, kShownElements));
  }
  size_t width = 0;
  for (const GgufTensor& t : file.tensors()) width = std::max(width, t.name.size());
  fmt::print("\ntensors\n");
  u64 elements = 0, bytes = 0;
  for (const GgufTensor& t : file.tensors()) {
    fmt::print("  {:<{}}  {:<6} {:<16} {:>12}{}\n", t.name, width, t.type_name, shape_text(t.shape),
               t.size_bytes.value_or(0), t.dtype ? "" : "  (this type cannot be computed with yet)");
    elements += static_cast<u64>(numel(t.shape));
    bytes += t.size_bytes.value_or(0);
  }
  fmt::print("\n{} tensors, {} elements, {} bytes\n", file.tensors().size(), elements, bytes);
}

}  // namespace

int inspect(const std::string& model, bool json) {
  Result<std::string> path = find_model(model);
  if (!path.ok()) return report(path.error());
  const auto file = GgufFile::open(path.value());
  if (!file.ok()) return report(file.error());
  json ? print_json(*file.value()) : print_text(*file.value());
  return kOk;
}

}  // namespace tl::cli
