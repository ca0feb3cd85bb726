#include "tl/io/safetensors.h"

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <set>

#include "tl/io/atomic_file.h"
#include "tl/io/byte_reader.h"
#include "tl/io/safetensors_json.h"

namespace tl {
namespace {

namespace fs = std::filesystem;

constexpr u64 kMaxHeaderBytes = 100'000'000;  // the reference reader's limit
constexpr std::string_view kIndexSuffix = ".index.json";

constexpr struct {
  std::string_view name;
  u64 bytes;
  std::optional<DType> dtype;
} kTypes[] = {{"F64", 8, DType::F64},       {"F32", 4, DType::F32},       {"F16", 2, DType::F16},
              {"BF16", 2, DType::BF16},     {"I64", 8, DType::I64},       {"I32", 4, DType::I32},
              {"I16", 2, DType::I16},       {"I8", 1, DType::I8},         {"U8", 1, DType::U8},
              {"BOOL", 1, DType::Bool},     {"U16", 2, std::nullopt},     {"U32", 4, std::nullopt},
              {"U64", 8, std::nullopt},     {"F8_E4M3", 1, std::nullopt}, {"F8_E5M2", 1, std::nullopt},
              {"F8_E8M0", 1, std::nullopt}, {"C64", 8, std::nullopt}};

// Places one tensor of a header whose data is `room` bytes that start at `data_start`.
Result<SafetensorsTensor> place(const safetensors::HeaderTensor& in, u64 data_start, u64 room) {
  SafetensorsTensor out{.name = in.name, .type_name = in.type};
  if (in.dims.size() > static_cast<size_t>(kMaxRank)) {
    return fail(Code::Unsupported, "{} dims (want at most {})", in.dims.size(), kMaxRank);
  }
  u64 elements = 1, nonzero = 8;  // the bytes of the widest type without the zeros must fit in 63 bits too
  for (const u64 dim : in.dims) {
    if (__builtin_mul_overflow(nonzero, std::max<u64>(dim, 1), &nonzero) || nonzero > u64{1} << 62) {
      return fail(Code::BadFile, "shape [{}] overflows", fmt::join(in.dims, ", "));
    }
    elements *= dim;
    out.shape.push_back(static_cast<i64>(dim));
  }
  const u64 begin = in.offsets[0], end = in.offsets[1];
  if (begin > end || end > room) {
    return fail(Code::BadFile, "bytes {} to {} of the {} bytes of tensor data", begin, end, room);
  }
  out.offset = data_start + begin;
  out.size_bytes = end - begin;
  const auto* type =
      std::find_if(std::begin(kTypes), std::end(kTypes), [&](auto& t) { return t.name == in.type; });
  if (type == std::end(kTypes)) return out;
  out.dtype = type->dtype;
  if (elements * type->bytes != out.size_bytes) {
    return fail(Code::BadFile, "{} bytes (want {} for {} {})", out.size_bytes, elements * type->bytes,
                in.type, to_string(out.shape));
  }
  return out;
}

Result<void> check_overlaps(std::span<const SafetensorsTensor> tensors) {
  std::vector<u32> order(tensors.size());
  std::iota(order.begin(), order.end(), 0u);
  std::erase_if(order, [&](u32 i) { return tensors[i].size_bytes == 0; });
  std::sort(order.begin(), order.end(), [&](u32 a, u32 b) { return tensors[a].offset < tensors[b].offset; });
  for (size_t i = 1; i < order.size(); ++i) {
    const SafetensorsTensor &a = tensors[order[i - 1]], &b = tensors[order[i]];
    if (b.offset - a.offset >= a.size_bytes) continue;
    return fail(Code::BadFile, "tensor {} at byte {} overlaps tensor {} ({} bytes at byte {})",
                in_quotes(b.name), b.offset, in_quotes(a.name), a.size_bytes, a.offset);
  }
  return {};
}

std::string_view as_text(std::span<const u8> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

struct Contents {
  std::vector<SafetensorsTensor> tensors;
  std::map<std::string, std::string> metadata;
};

Result<Contents> read_file(std::span<const u8> bytes) {
  ByteReader in(bytes);
  if (bytes.empty()) return fail(Code::BadFile, "file is empty (want a safetensors file)");
  TL_TRY(const u64 length, in.read<u64>());
  if (length > kMaxHeaderBytes || length > in.left()) {
    return fail(Code::BadFile, "not a safetensors file: header of {} bytes (want at most {})", length,
                std::min(kMaxHeaderBytes, in.left()));
  }
  TL_TRY(const auto json, in.take(length));
  auto header = safetensors::parse_header(as_text(json));
  if (!header.ok()) return std::move(header).error().within("header");
  Contents out{{}, std::move(header->metadata)};
  out.tensors.reserve(header->tensors.size());
  for (const safetensors::HeaderTensor& t : header->tensors) {
    auto placed = place(t, in.offset(), in.left());
    if (!placed.ok()) return std::move(placed).error().within(fmt::format("tensor {}", in_quotes(t.name)));
    out.tensors.push_back(std::move(placed).value());
  }
  TL_TRY_DO(check_overlaps(out.tensors));
  return out;
}

// A name from an index may not lead out of the index's folder.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

// The file or index to open for a folder.
Result<std::string> model_in(const std::string& folder) {
  std::error_code ignored;
  for (const char* name : {"model.safetensors", "model.safetensors.index.json"}) {
    const std::string path = (fs::path(folder) / name).string();
    if (fs::exists(path, ignored)) return path;
  }
  return fail(Code::Io, "{}: no model.safetensors or model.safetensors.index.json in this folder", folder);
}

}  // namespace

Result<std::shared_ptr<const SafetensorsModel>> SafetensorsModel::open(const std::string& path) {
  std::shared_ptr<SafetensorsModel> model(new SafetensorsModel);
  std::error_code ignored;
  model->path_ = path;
  if (fs::is_directory(path, ignored)) {
    TL_TRY(model->path_, model_in(path));
  }
  if (model->path_.ends_with(kIndexSuffix)) {
    TL_TRY_DO(model->open_index(model->path_));
  } else {
    TL_TRY(MappedFile file, MappedFile::open(model->path_));
    TL_TRY_DO(model->add_file(std::move(file)));
    TL_TRY_DO(model->index_names());
  }
  return std::shared_ptr<const SafetensorsModel>(std::move(model));
}

Result<std::shared_ptr<const SafetensorsModel>> SafetensorsModel::read(MappedFile file) {
  std::shared_ptr<SafetensorsModel> model(new SafetensorsModel);
  model->path_ = file.path();
  TL_TRY_DO(model->add_file(std::move(file)));
  TL_TRY_DO(model->index_names());
  return std::shared_ptr<const SafetensorsModel>(std::move(model));
}

Result<void> SafetensorsModel::add_file(MappedFile file) {
  auto contents = read_file(file.bytes());
  if (!contents.ok()) return std::move(contents).error().within(file.path());
  for (SafetensorsTensor& tensor : contents->tensors) {
    tensor.file = static_cast<u32>(files_.size());
    tensors_.push_back(std::move(tensor));
  }
  metadata_.merge(contents->metadata);
  files_.push_back(std::move(file));
  return {};
}

Result<void> SafetensorsModel::open_index(const std::string& index_path) {
  TL_TRY(const MappedFile index, MappedFile::open(index_path));
  if (index.bytes().size() > kMaxHeaderBytes) {
    return fail(Code::BadFile, "{}: index of {} bytes (want at most {})", index_path, index.bytes().size(),
                kMaxHeaderBytes);
  }
  auto map = safetensors::parse_index(as_text(index.bytes()));
  if (!map.ok()) return std::move(map).error().within(index_path);
  std::set<std::string> names;
  for (const auto& [tensor, file] : *map) {
    if (!is_plain_name(file)) {
      return fail(Code::BadFile, "{}: tensor {} is in {} (want a file name without a folder)", index_path,
                  in_quotes(tensor), in_quotes(file));
    }
    names.insert(file);
  }
  std::map<std::string, u32> order;
  for (const std::string& name : names) {
    order[name] = static_cast<u32>(files_.size());
    TL_TRY(MappedFile file, MappedFile::open((fs::path(index_path).parent_path() / name).string()));
    TL_TRY_DO(add_file(std::move(file)));
  }
  TL_TRY_DO(index_names());
  for (const auto& [tensor, file] : *map) {
    const SafetensorsTensor* found = find_tensor(tensor);
    if (found != nullptr && found->file == order[file]) continue;
    return fail(Code::BadFile, "{}: no tensor {} in {}, where the index has it", index_path,
                in_quotes(tensor), file);
  }
  return {};
}

Result<void> SafetensorsModel::index_names() {
  names_.reserve(tensors_.size());
  for (u32 i = 0; i < tensors_.size(); ++i) {
    if (!names_.emplace(tensors_[i].name, i).second) {
      return fail(Code::BadFile, "{}: tensor {} appears twice", path_, in_quotes(tensors_[i].name));
    }
  }
  return {};
}

const SafetensorsTensor* SafetensorsModel::find_tensor(std::string_view name) const {
  const auto it = names_.find(name);
  return it == names_.end() ? nullptr : &tensors_[it->second];
}

Result<const SafetensorsTensor*> SafetensorsModel::get_tensor(std::string_view name) const {
  const SafetensorsTensor* tensor = find_tensor(name);
  if (tensor == nullptr) return fail(Code::BadFile, "{}: no tensor {}", path_, in_quotes(name));
  if (!tensor->dtype) {
    return fail(Code::Unsupported, "{}: tensor {} has type {}, which is not supported", path_,
                in_quotes(name), in_quotes(tensor->type_name));
  }
  return tensor;
}

std::span<const u8> SafetensorsModel::bytes(const SafetensorsTensor& tensor) const {
  return files_[tensor.file].bytes().subspan(tensor.offset, tensor.size_bytes);
}

Result<void> SafetensorsModel::check_whole() const {
  for (const MappedFile& file : files_) TL_TRY_DO(file.check_whole());
  return {};
}

Result<void> write_safetensors(const std::string& path, std::span<const SafetensorsEntry> entries,
                               const std::map<std::string, std::string>& metadata) {
  safetensors::Header header{{}, metadata};
  u64 at = 0;
  for (const SafetensorsEntry& entry : entries) {
    const auto* type =
        std::find_if(std::begin(kTypes), std::end(kTypes), [&](auto& t) { return t.dtype == entry.dtype; });
    if (type == std::end(kTypes)) {
      return fail(Code::Unsupported, "{}: tensor {}: {} cannot be written as safetensors", path,
                  in_quotes(entry.name), name_of(entry.dtype));
    }
    TL_CHECK(static_cast<u64>(numel(entry.shape)) * type->bytes == entry.bytes.size(), "{} bytes for {}{}",
             entry.bytes.size(), name_of(entry.dtype), to_string(entry.shape));
    std::vector<u64> dims(entry.shape.begin(), entry.shape.end());
    header.tensors.push_back(
        {entry.name, std::string(type->name), std::move(dims), {at, at + entry.bytes.size()}});
    at += entry.bytes.size();
  }
  std::string json = safetensors::write_header(header);
  json.resize((json.size() + 7) / 8 * 8, ' ');  // so that the data is aligned
  const u64 length = json.size();
  TL_TRY(AtomicFile file, AtomicFile::create(path));
  TL_TRY_DO(file.write(std::span(reinterpret_cast<const u8*>(&length), sizeof length)));
  TL_TRY_DO(file.write(json));
  for (const SafetensorsEntry& entry : entries) TL_TRY_DO(file.write(entry.bytes));
  return file.commit();
}

}  // namespace tl
