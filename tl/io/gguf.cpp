#include "tl/io/gguf.h"

#include <algorithm>
#include <numeric>

#include "tl/io/byte_reader.h"

namespace tl {
namespace {

constexpr u32 kMagic = 0x46554747;  // "GGUF"
constexpr u64 kDefaultAlignment = 32;
constexpr u64 kMaxNameBytes = 65535;     // the format's limit for keys; tensor names are far shorter
constexpr int kMaxArrayDepth = 8;        // arrays within arrays
constexpr u64 kMaxNestedArrays = 65536;  // each costs us ten times its bytes in the file
constexpr u64 kMinKeyValueBytes = 8 + 4 + 1;
constexpr u64 kMinTensorBytes = 8 + 4 + 4 + 8;
constexpr u64 kMinArrayBytes = 4 + 8;

struct TensorType {
  u32 id;
  std::string_view name;
  u64 block_elements, block_bytes;
  std::optional<DType> dtype;
};

constexpr TensorType kTensorTypes[] = {
#define TL_GGUF_TYPE(id, name, elements, bytes, dtype) {id, #name, elements, bytes, dtype},
#include "tl/io/gguf_types.def"
#undef TL_GGUF_TYPE
};

const TensorType* find_type(u32 id) {
  const auto* row =
      std::find_if(std::begin(kTensorTypes), std::end(kTensorTypes), [&](auto& t) { return t.id == id; });
  return row == std::end(kTensorTypes) ? nullptr : row;
}

struct Header {
  u32 version = 0;
  u64 tensors = 0, metadata = 0;
};

Result<Header> read_header(ByteReader& in) {
  if (in.left() == 0) return fail(Code::BadFile, "file is empty (want a GGUF file)");
  TL_TRY(const u32 magic, in.read<u32>());
  if (magic != kMagic)
    return fail(Code::BadFile, "not a GGUF file: magic is {:#010x} (want {:#010x})", magic, kMagic);
  TL_TRY(const u32 version, in.read<u32>());
  if (version != 0 && (version & 0xffffu) == 0)
    return fail(Code::Unsupported, "big-endian GGUF (want little-endian)");
  if (version < 2 || version > 3) return fail(Code::Unsupported, "GGUF version {} (want 2 or 3)", version);
  TL_TRY(const u64 tensors, in.read<u64>());
  TL_TRY(const u64 metadata, in.read<u64>());
  if (metadata > in.left() / kMinKeyValueBytes) {
    return fail(Code::BadFile, "{} metadata keys do not fit in the file's {} bytes after the header",
                metadata, in.left());
  }
  if (tensors > in.left() / kMinTensorBytes) {
    return fail(Code::BadFile, "{} tensors do not fit in the file's {} bytes after the header", tensors,
                in.left());
  }
  return Header{version, tensors, metadata};
}

Result<std::string_view> read_name(ByteReader& in) {
  TL_TRY(const std::string_view name, in.read_string());
  if (name.size() > kMaxNameBytes) {
    return fail(Code::BadFile, "name of {} bytes (want at most {})", name.size(), kMaxNameBytes);
  }
  return name;
}

// Metadata values. Arrays within arrays are counted over the whole file, which bounds what a small file can
// cost.
class ValueReader {
 public:
  explicit ValueReader(ByteReader& in) : in_(in) {}

  Result<GgufValue> read() {
    TL_TRY(const GgufType type, read_type());
    return read(type, 0);
  }

 private:
  Result<GgufType> read_type() {
    const u64 at = in_.offset();
    TL_TRY(const u32 type, in_.read<u32>());
    if (type >= kGgufTypeCount) {
      return fail(Code::BadFile, "value type {} at byte {} (want 0 to {})", type, at, kGgufTypeCount - 1);
    }
    return static_cast<GgufType>(type);
  }

  Result<GgufValue> read(GgufType type, int depth) {
    if (type == GgufType::Array) return read_array(depth);
    if (type == GgufType::String) {
      TL_TRY(const std::string_view text, in_.read_string());
      return GgufValue(type, text);
    }
    const u64 at = in_.offset();
    TL_TRY(const auto bytes, in_.take(size_of(type)));
    TL_TRY_DO(check_bools(type, bytes, at));
    return GgufValue::from_bytes(type, bytes.data());
  }

  Result<GgufValue> read_array(int depth) {
    const u64 at = in_.offset();
    if (depth >= kMaxArrayDepth) {
      return fail(Code::BadFile, "arrays nested more than {} deep at byte {}", kMaxArrayDepth, at);
    }
    auto array = std::make_shared<GgufArray>();
    TL_TRY(array->element, read_type());
    TL_TRY(array->size, in_.read<u64>());
    const bool text = array->element == GgufType::String, nested = array->element == GgufType::Array;
    const u64 smallest = text ? 8 : nested ? kMinArrayBytes : size_of(array->element);
    if (array->size > in_.left() / smallest) {
      return fail(Code::BadFile, "array of {} {}s at byte {} does not fit in the {} bytes left", array->size,
                  name_of(array->element), at, in_.left());
    }
    if (text) {
      TL_TRY_DO(read_strings(*array));
    } else if (nested) {
      TL_TRY_DO(read_arrays(*array, depth));
    } else {
      TL_TRY(array->raw, in_.take(array->size * smallest));
      TL_TRY_DO(check_bools(array->element, array->raw, at));
    }
    return GgufValue(GgufType::Array, std::shared_ptr<const GgufArray>(std::move(array)));
  }

  Result<void> read_strings(GgufArray& array) {
    array.strings.reserve(array.size);
    for (u64 i = 0; i < array.size; ++i) {
      auto text = in_.read_string();
      if (!text.ok()) return std::move(text).error().within(fmt::format("element {}", i));
      array.strings.push_back(*text);
    }
    return {};
  }

  Result<void> read_arrays(GgufArray& array, int depth) {
    nested_ += array.size;
    if (nested_ > kMaxNestedArrays) {
      return fail(Code::BadFile, "{} arrays within arrays (want at most {})", nested_, kMaxNestedArrays);
    }
    array.arrays.reserve(array.size);
    for (u64 i = 0; i < array.size; ++i) {
      TL_TRY(GgufValue value, read_array(depth + 1));
      array.arrays.push_back(std::move(value));
    }
    return {};
  }

  static Result<void> check_bools(GgufType type, std::span<const u8> bytes, u64 at) {
    if (type != GgufType::Bool) return {};
    for (const u8 byte : bytes) {
      if (byte > 1) return fail(Code::BadFile, "bool at byte {} is {} (want 0 or 1)", at, byte);
    }
    return {};
  }

  ByteReader& in_;
  u64 nested_ = 0;
};

Result<std::vector<GgufKeyValue>> read_metadata(ByteReader& in, u64 count) {
  std::vector<GgufKeyValue> metadata;
  metadata.reserve(count);
  ValueReader values(in);
  for (u64 i = 0; i < count; ++i) {
    const u64 at = in.offset();
    auto key = read_name(in);
    if (!key.ok())
      return std::move(key).error().within(fmt::format("metadata key {} of {} at byte {}", i, count, at));
    auto value = values.read();
    if (!value.ok()) return std::move(value).error().within(fmt::format("metadata key {}", in_quotes(*key)));
    metadata.push_back({*key, std::move(value).value()});
  }
  return metadata;
}

Result<void> set_size(GgufTensor& tensor, std::span<const u64> dims) {
  // The product without zeros must fit too: no order of multiplying dims may overflow.
  constexpr u64 kMaxElements = u64{1} << 62;
  u64 elements = 1, nonzero = 1;
  for (const u64 dim : dims) {
    if (dim > kMaxElements || __builtin_mul_overflow(nonzero, std::max<u64>(dim, 1), &nonzero) ||
        nonzero > kMaxElements) {
      return fail(Code::BadFile, "dims [{}] overflow", fmt::join(dims, ", "));
    }
    elements *= dim;
  }
  const TensorType* type = find_type(tensor.type_id);
  tensor.type_name = type == nullptr ? "unknown" : type->name;
  if (type == nullptr) return {};
  tensor.dtype = type->dtype;
  const u64 row = dims.empty() ? 1 : dims[0];
  if (row % type->block_elements != 0) {
    return fail(Code::BadFile, "rows of {} elements are not whole blocks of {} (want a multiple of {})", row,
                type->name, type->block_elements);
  }
  u64 bytes = 0;
  if (__builtin_mul_overflow(elements / type->block_elements, type->block_bytes, &bytes)) {
    return fail(Code::BadFile, "dims [{}] overflow", fmt::join(dims, ", "));
  }
  tensor.size_bytes = bytes;
  return {};
}

// The offset is left as the file has it: relative to the tensor data.
Result<void> read_tensor_body(ByteReader& in, GgufTensor& tensor) {
  TL_TRY(const u32 rank, in.read<u32>());
  if (rank > static_cast<u32>(kMaxRank))
    return fail(Code::BadFile, "{} dims (want at most {})", rank, kMaxRank);
  u64 dims[kMaxRank] = {};
  for (u32 i = 0; i < rank; ++i) {
    TL_TRY(dims[i], in.read<u64>());
  }
  TL_TRY(tensor.type_id, in.read<u32>());
  TL_TRY(tensor.offset, in.read<u64>());
  TL_TRY_DO(set_size(tensor, {dims, rank}));
  for (u32 i = rank; i > 0; --i) tensor.shape.push_back(static_cast<i64>(dims[i - 1]));
  return {};
}

Error&& in_tensor(Error&& error, std::string_view name) {
  return std::move(error).within(fmt::format("tensor {}", in_quotes(name)));
}

Result<std::vector<GgufTensor>> read_tensors(ByteReader& in, u64 count) {
  std::vector<GgufTensor> tensors;
  if (count > in.left() / kMinTensorBytes) {
    return fail(Code::BadFile, "{} tensors do not fit in the {} bytes left at byte {}", count, in.left(),
                in.offset());
  }
  tensors.reserve(count);
  for (u64 i = 0; i < count; ++i) {
    GgufTensor tensor;
    const u64 at = in.offset();
    auto name = read_name(in);
    if (!name.ok())
      return std::move(name).error().within(fmt::format("tensor {} of {} at byte {}", i, count, at));
    tensor.name = *name;
    if (auto body = read_tensor_body(in, tensor); !body.ok())
      return in_tensor(std::move(body).error(), *name);
    tensors.push_back(tensor);
  }
  return tensors;
}

Result<void> place_tensor(GgufTensor& tensor, u64 data_start, u64 alignment, u64 file_size) {
  const u64 relative = tensor.offset, size = tensor.size_bytes.value_or(0);
  if (relative % alignment != 0) {
    return fail(Code::BadFile, "offset {} is not a multiple of the alignment {}", relative, alignment);
  }
  const u64 room = file_size > data_start ? file_size - data_start : 0;
  if (relative > room || size > room - relative) {
    return fail(Code::BadFile, "{} bytes at offset {} go past the file's end ({} bytes of tensor data)", size,
                relative, room);
  }
  tensor.offset = data_start + relative;
  return {};
}

Result<void> check_overlaps(std::span<const GgufTensor> tensors) {
  std::vector<u32> order(tensors.size());
  std::iota(order.begin(), order.end(), 0u);
  std::erase_if(order, [&](u32 i) { return tensors[i].size_bytes.value_or(0) == 0; });
  std::sort(order.begin(), order.end(), [&](u32 a, u32 b) { return tensors[a].offset < tensors[b].offset; });
  for (size_t i = 1; i < order.size(); ++i) {
    const GgufTensor &a = tensors[order[i - 1]], &b = tensors[order[i]];
    if (b.offset - a.offset >= *a.size_bytes) continue;
    return fail(Code::BadFile, "tensor {} at byte {} overlaps tensor {} ({} bytes at byte {})",
                in_quotes(b.name), b.offset, in_quotes(a.name), *a.size_bytes, a.offset);
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<const GgufFile>> GgufFile::open(const std::string& path) {
  TL_TRY(MappedFile file, MappedFile::open(path));
  return read(std::move(file));
}

Result<std::shared_ptr<const GgufFile>> GgufFile::read(MappedFile file) {
  std::shared_ptr<GgufFile> gguf(new GgufFile(std::move(file)));
  if (auto parsed = gguf->parse(); !parsed.ok()) return std::move(parsed).error().within(gguf->path());
  return std::shared_ptr<const GgufFile>(std::move(gguf));
}

Result<void> GgufFile::parse() {
  ByteReader in(file_.bytes());
  TL_TRY(const Header header, read_header(in));
  version_ = header.version;
  TL_TRY(metadata_, read_metadata(in, header.metadata));
  TL_TRY(tensors_, read_tensors(in, header.tensors));
  TL_TRY_DO(index_names());
  TL_TRY_DO(read_alignment());
  // Cannot overflow: the offset is at most the file's size and the alignment a u32.
  const u64 data_start = (in.offset() + alignment_ - 1) / alignment_ * alignment_;
  for (GgufTensor& tensor : tensors_) {
    auto placed = place_tensor(tensor, data_start, alignment_, file_size());
    if (!placed.ok()) return in_tensor(std::move(placed).error(), tensor.name);
  }
  return check_overlaps(tensors_);
}

Result<void> GgufFile::index_names() {
  keys_.reserve(metadata_.size());
  for (u32 i = 0; i < metadata_.size(); ++i) {
    if (!keys_.emplace(metadata_[i].key, i).second) {
      return fail(Code::BadFile, "metadata key {} appears twice", in_quotes(metadata_[i].key));
    }
  }
  names_.reserve(tensors_.size());
  for (u32 i = 0; i < tensors_.size(); ++i) {
    if (!names_.emplace(tensors_[i].name, i).second) {
      return fail(Code::BadFile, "tensor {} appears twice", in_quotes(tensors_[i].name));
    }
  }
  return {};
}

Result<void> GgufFile::read_alignment() {
  constexpr std::string_view kKey = "general.alignment";
  alignment_ = kDefaultAlignment;
  const GgufValue* value = find(kKey);
  if (value == nullptr) return {};
  if (value->type() != GgufType::U32) {
    return fail(Code::BadFile, "metadata key '{}' is {} (want uint32)", kKey, value->type_name());
  }
  alignment_ = *value->as_u64();
  if (alignment_ == 0 || (alignment_ & (alignment_ - 1)) != 0) {
    return fail(Code::BadFile, "metadata key '{}' is {} (want a power of two)", kKey, alignment_);
  }
  return {};
}

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto it = keys_.find(key);
  return it == keys_.end() ? nullptr : &metadata_[it->second].value;
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  const auto it = names_.find(name);
  return it == names_.end() ? nullptr : &tensors_[it->second];
}

Result<const GgufTensor*> GgufFile::get_tensor(std::string_view name) const {
  const GgufTensor* tensor = find_tensor(name);
  if (tensor == nullptr) return fail(Code::BadFile, "{}: no tensor {}", path(), in_quotes(name));
  if (!tensor->dtype) {
    return fail(Code::Unsupported, "{}: tensor {} has type {} ({}), which is not supported", path(),
                in_quotes(name), tensor->type_id, tensor->type_name);
  }
  return tensor;
}

std::span<const u8> GgufFile::bytes(const GgufTensor& tensor) const {
  const u64 size = tensor.size_bytes.value_or(0);
  return size == 0 ? std::span<const u8>() : file_.bytes().subspan(tensor.offset, size);
}

}  // namespace tl
