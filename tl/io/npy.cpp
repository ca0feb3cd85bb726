#include "tl/io/npy.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "tl/io/byte_reader.h"
#include "tl/io/mapped_file.h"

namespace tl {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kHeaderAlignment = 64;  // of the data in a file

constexpr struct {
  std::string_view code;  // NumPy's, without the byte order
  DType dtype;
} kCodes[] = {{"f2", DType::F16}, {"f4", DType::F32}, {"f8", DType::F64},
              {"i1", DType::I8},  {"i2", DType::I16}, {"i4", DType::I32},
              {"i8", DType::I64}, {"u1", DType::U8},  {"b1", DType::Bool}};

struct Header {
  DType dtype = DType::F32;
  bool swapped = false;  // bytes are most significant first
  bool fortran = false;  // first axis fastest
  Shape shape;
};

// The header is a Python dictionary literal with three keys; this reads that much of Python.
class HeaderReader {
 public:
  explicit HeaderReader(std::string_view text) : text_(text) {}

  Result<Header> read() {
    TL_TRY_DO(expect('{'));
    while (!take('}')) {
      TL_TRY(const std::string_view key, read_string());
      TL_TRY_DO(expect(':'));
      TL_TRY_DO(read_value(key));
      if (!take(',') && peek() != '}') return unexpected("',' or '}'");
    }
    skip_spaces();
    if (at_ < text_.size()) return unexpected("the end");
    for (const auto& [seen, key] :
         {std::pair{seen_descr_, "descr"}, {seen_order_, "fortran_order"}, {seen_shape_, "shape"}}) {
      if (!seen) return fail(Code::BadFile, "header has no key '{}'", key);
    }
    return header_;
  }

 private:
  Result<void> read_value(std::string_view key) {
    if (key == "descr") {
      seen_descr_ = true;
      if (peek() == '[') return fail(Code::Unsupported, "array of records (want numbers or bools)");
      TL_TRY(const std::string_view descr, read_string());
      return set_dtype(descr);
    }
    if (key == "fortran_order") {
      seen_order_ = true;
      return read_bool(header_.fortran);
    }
    if (key == "shape") {
      seen_shape_ = true;
      return read_shape();
    }
    return fail(Code::BadFile, "header has key {} (want 'descr', 'fortran_order' and 'shape')",
                in_quotes(key));
  }

  Result<void> set_dtype(std::string_view descr) {
    const char order = descr.empty() ? '\0' : descr[0];
    for (const auto& row : kCodes) {
      if (descr.substr(std::min<size_t>(1, descr.size())) != row.code ||
          std::string_view("<>=|").find(order) > 3)
        continue;
      header_.dtype = row.dtype;
      header_.swapped = order == '>';
      return {};
    }
    return fail(Code::Unsupported,
                "element type {} (want floats of 2, 4 or 8 bytes, signed integers, u1 or b1)",
                in_quotes(descr));
  }

  Result<void> read_bool(bool& out) {
    skip_spaces();
    for (const bool value : {false, true}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      out = value;
      return {};
    }
    return unexpected("True or False");
  }

  Result<void> read_shape() {
    header_.shape = {};
    TL_TRY_DO(expect('('));
    while (!take(')')) {
      if (header_.shape.size() == kMaxRank) return fail(Code::Unsupported, "more than {} dims", kMaxRank);
      TL_TRY(const i64 dim, read_dim());
      header_.shape.push_back(dim);
      if (!take(',') && peek() != ')') return unexpected("',' or ')'");
    }
    return {};
  }

  Result<i64> read_dim() {
    if (const char c = peek(); c < '0' || c > '9') return unexpected("a dim");
    i64 dim = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      if (__builtin_mul_overflow(dim, i64{10}, &dim) ||
          __builtin_add_overflow(dim, i64{text_[at_] - '0'}, &dim)) {
        return fail(Code::BadFile, "dim of more than 63 bits");
      }
    }
    take('L');  // Python 2 wrote long integers so
    return dim;
  }

  Result<std::string_view> read_string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') return unexpected("a string");
    const size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) return unexpected("a closed string");
    const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return inside;
  }

  void skip_spaces() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }
  char peek() {
    skip_spaces();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c || at_ == text_.size()) return false;
    ++at_;
    return true;
  }
  Result<void> expect(char c) { return take(c) ? Result<void>() : unexpected(fmt::format("'{}'", c)); }
  Error unexpected(std::string_view wanted) {
    return fail(Code::BadFile, "header has {} at its byte {} (want {})",
                in_quotes(text_.substr(std::min(at_, text_.size()), 16)), at_, wanted);
  }

  std::string_view text_;
  size_t at_ = 0;
  Header header_;
  bool seen_descr_ = false, seen_order_ = false, seen_shape_ = false;
};

Result<Header> read_header(ByteReader& in) {
  if (in.left() == 0) return fail(Code::BadFile, "file is empty (want an .npy file)");
  TL_TRY(const auto magic, in.take(kMagic.size()));
  if (!std::equal(magic.begin(), magic.end(), kMagic.begin(),
                  [](u8 a, char b) { return a == static_cast<u8>(b); })) {
    return fail(Code::BadFile, "not an .npy file (want one that starts with \\x93NUMPY)");
  }
  TL_TRY(const u8 major, in.read<u8>());
  TL_TRY(const u8 minor, in.read<u8>());
  if (major < 1 || major > 3)
    return fail(Code::Unsupported, ".npy version {}.{} (want 1 to 3)", major, minor);
  u32 length = 0;
  if (major == 1) {
    TL_TRY(length, in.read<u16>());
  } else {
    TL_TRY(length, in.read<u32>());
  }
  TL_TRY(const auto text, in.take(length));
  return HeaderReader({reinterpret_cast<const char*>(text.data()), text.size()}).read();
}

std::optional<u64> byte_count(DType dtype, const Shape& shape) {
  u64 nonzero = static_cast<u64>(size_of(dtype));
  bool empty = false;
  for (const i64 dim : shape) {
    empty |= dim == 0;
    if (__builtin_mul_overflow(nonzero, static_cast<u64>(std::max<i64>(dim, 1)), &nonzero))
      return std::nullopt;
  }
  if (nonzero > u64{std::numeric_limits<i64>::max()}) return std::nullopt;
  return empty ? 0 : nonzero;
}

void swap_bytes(std::span<u8> bytes, size_t size) {
  for (size_t i = 0; i < bytes.size(); i += size) std::reverse(&bytes[i], &bytes[i] + size);
}

// Copies elements whose first axis is fastest into row order.
std::vector<u8> from_fortran(std::span<const u8> in, const Shape& shape, size_t size) {
  std::vector<u8> out(in.size());
  Strides strides;  // of the input, in elements
  i64 step = 1;
  for (const i64 dim : shape) {
    strides.push_back(step);
    step *= dim;
  }
  Dims index = Dims::filled(shape.size(), 0);
  i64 from = 0;
  for (size_t to = 0; to < out.size(); to += size) {
    std::copy_n(&in[static_cast<size_t>(from) * size], size, &out[to]);
    for (int axis = shape.size() - 1; axis >= 0; --axis) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) break;
      from -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
  return out;
}

Result<NpyArray> parse(std::span<const u8> bytes) {
  ByteReader in(bytes);
  TL_TRY(const Header header, read_header(in));
  const auto wanted = byte_count(header.dtype, header.shape);
  if (!wanted || *wanted != in.left()) {
    return fail(Code::BadFile, "{} bytes of data (want those of {}{})", in.left(), name_of(header.dtype),
                to_string(header.shape));
  }
  TL_TRY(const auto data, in.take(*wanted));
  const auto size = static_cast<size_t>(size_of(header.dtype));
  NpyArray array{header.dtype, header.shape, {data.begin(), data.end()}};
  if (header.fortran && !data.empty()) array.bytes = from_fortran(data, header.shape, size);
  if (header.swapped) swap_bytes(array.bytes, size);
  if (header.dtype == DType::Bool) {
    for (u8& value : array.bytes) value = value != 0;
  }
  return array;
}

Result<std::string_view> code_of(DType dtype) {
  for (const auto& row : kCodes) {
    if (row.dtype == dtype) return row.code;
  }
  return fail(Code::Unsupported, "{} cannot be written as .npy (want a float, an integer or bool)",
              name_of(dtype));
}

// A version 1 header. `rows` is padded to its longest, so that every count gives the same length.
std::string make_header(std::string_view code, const Shape& shape) {
  std::string dims;
  for (int i = 0; i < shape.size(); ++i) dims += fmt::format("{}{},", i > 0 ? " " : "", shape[i]);
  if (shape.size() > 1) dims.pop_back();  // (3,) but (3, 4)
  const char order = code[1] == '1' ? '|' : '<';
  const std::string text =
      fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}), }}", order, code, dims);
  constexpr size_t kFixed = 6 + 2 + 2, kLongestCount = 19;
  const size_t rows = shape.empty() ? 0 : fmt::format("{}", shape[0]).size();
  const size_t longest = kFixed + text.size() + kLongestCount - rows + 1;
  const size_t total = (longest + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment;
  const size_t length = total - kFixed;
  std::string out(kMagic);
  out += {'\x01', '\x00', static_cast<char>(length & 0xff), static_cast<char>(length >> 8)};
  out += text;
  out.resize(total - 1, ' ');
  return out + "\n";
}

std::span<const u8> as_bytes(std::string_view text) {
  return {reinterpret_cast<const u8*>(text.data()), text.size()};
}

}  // namespace

Result<NpyArray> parse_npy(std::span<const u8> bytes, const std::string& name) {
  auto array = parse(bytes);
  if (!array.ok()) return std::move(array).error().within(name);
  return array;
}

Result<NpyArray> read_npy(const std::string& path) {
  TL_TRY(const MappedFile file, MappedFile::open(path));
  return parse_npy(file.bytes(), path);
}

Result<void> write_npy(const std::string& path, DType dtype, const Shape& shape, std::span<const u8> bytes) {
  auto code = code_of(dtype);
  if (!code.ok()) return std::move(code).error().within(path);
  TL_CHECK(byte_count(dtype, shape) == bytes.size(), "{} bytes for {}{}", bytes.size(), name_of(dtype),
           to_string(shape));
  TL_TRY(AtomicFile file, AtomicFile::create(path));
  TL_TRY_DO(file.write(make_header(*code, shape)));
  TL_TRY_DO(file.write(bytes));
  return file.commit();
}

NpyWriter::NpyWriter(AtomicFile file, DType dtype, Shape row_shape)
    : file_(std::move(file)), dtype_(dtype), row_shape_(row_shape) {}

Result<NpyWriter> NpyWriter::create(const std::string& path, DType dtype, const Shape& row_shape) {
  auto code = code_of(dtype);
  if (!code.ok()) return std::move(code).error().within(path);
  const auto row_bytes = byte_count(dtype, row_shape);
  TL_CHECK(row_bytes && *row_bytes > 0 && row_shape.size() < kMaxRank, "rows of shape {}",
           to_string(row_shape));
  TL_TRY(AtomicFile file, AtomicFile::create(path));
  NpyWriter writer(std::move(file), dtype, row_shape);
  writer.row_bytes_ = *row_bytes;
  TL_TRY_DO(writer.file_.write(writer.header()));
  return writer;
}

std::string NpyWriter::header() const {
  Shape shape = row_shape_;
  shape.insert(0, rows_);
  return make_header(*code_of(dtype_), shape);
}

Result<void> NpyWriter::append(std::span<const u8> rows) {
  TL_CHECK(rows.size() % row_bytes_ == 0, "{} bytes are not whole rows of {}", rows.size(), row_bytes_);
  rows_ += static_cast<i64>(rows.size() / row_bytes_);
  return file_.write(rows);
}

Result<void> NpyWriter::finish() {
  TL_TRY_DO(file_.rewrite(0, as_bytes(header())));
  return file_.commit();
}

}  // namespace tl
