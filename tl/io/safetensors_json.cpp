#include "tl/io/safetensors_json.h"

#include <nlohmann/json.hpp>

#include "tl/io/byte_reader.h"

namespace tl::safetensors {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 8;
constexpr size_t kMaxDims = 64;  // more than any shape we take; bounds memory, the loader says what it wants

// What the two readers share: the path of keys to the value at hand, and the first error.
class Reader : public nlohmann::json_sax<json> {
 public:
  Result<void> run(std::string_view text) {
    const bool done = json::sax_parse(text.begin(), text.end(), this);
    if (!error_.message.empty()) return error_;
    if (!done) return fail(Code::BadFile, "not JSON");
    return {};
  }

  bool null() override { return unexpected("null"); }
  bool boolean(bool value) override { return unexpected(value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override { return unexpected(fmt::format("{}", value)); }
  bool number_unsigned(number_unsigned_t value) override { return unexpected(fmt::format("{}", value)); }
  bool number_float(number_float_t, const string_t& text) override { return unexpected(text); }
  bool string(string_t& value) override { return unexpected(in_quotes(value)); }
  bool binary(binary_t&) override { return unexpected("binary data"); }
  bool start_array(size_t) override { return unexpected("an array"); }
  bool end_array() override { return true; }
  bool start_object(size_t) override {
    if (static_cast<int>(path_.size()) >= kMaxDepth)
      return failed("objects nested more than {} deep", kMaxDepth);
    path_.emplace_back();
    return true;
  }
  bool end_object() override {
    path_.pop_back();
    return true;
  }
  bool key(string_t& value) override {
    path_.back() = value;
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return failed("not JSON at byte {}", position);
  }

 protected:
  template <typename... Args>
  bool failed(fmt::format_string<Args...> format, Args&&... args) {
    if (error_.message.empty()) error_ = fail(Code::BadFile, format, std::forward<Args>(args)...);
    return false;
  }
  bool unexpected(std::string_view found) {
    std::string where;
    for (const std::string& key : path_) where += (where.empty() ? "" : " / ") + in_quotes(key);
    return failed("{}: value {} is not expected here", where.empty() ? "top level" : where, found);
  }
  size_t depth() const { return path_.size(); }
  const std::string& at(size_t level) const { return path_[level]; }

 private:
  std::vector<std::string> path_;
  Error error_;
};

class HeaderReader final : public Reader {
 public:
  Header header;

  bool start_object(size_t size) override {
    if (depth() >= 2) return unexpected("an object");
    if (depth() == 1 && !in_metadata()) {
      header.tensors.push_back({});
      header.tensors.back().name = at(0);
    }
    return Reader::start_object(size);
  }
  bool end_object() override {
    if (depth() == 2 && !in_metadata()) {
      const HeaderTensor& t = header.tensors.back();
      if (t.type.empty()) return failed("tensor {} has no 'dtype'", in_quotes(t.name));
      if (!has_shape_) return failed("tensor {} has no 'shape'", in_quotes(t.name));
      if (t.offsets.size() != 2) {
        return failed("tensor {} has {} 'data_offsets' (want 2)", in_quotes(t.name), t.offsets.size());
      }
      has_shape_ = false;
    }
    return Reader::end_object();
  }
  bool string(string_t& value) override {
    if (depth() == 2 && in_metadata()) {
      header.metadata[at(1)] = value;
      return true;
    }
    if (depth() != 2 || in_metadata() || numbers_ != nullptr || at(1) != "dtype")
      return Reader::string(value);
    header.tensors.back().type = value;
    return true;
  }
  bool start_array(size_t size) override {
    if (depth() != 2 || in_metadata() || numbers_ != nullptr) return Reader::start_array(size);
    HeaderTensor& tensor = header.tensors.back();
    if (at(1) == "shape") {
      has_shape_ = true;
      numbers_ = &tensor.dims;
    } else if (at(1) == "data_offsets") {
      numbers_ = &tensor.offsets;
    } else {
      return Reader::start_array(size);
    }
    numbers_->clear();
    return true;
  }
  bool end_array() override {
    numbers_ = nullptr;
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (numbers_ == nullptr) return Reader::number_unsigned(value);
    if (numbers_->size() == kMaxDims)
      return failed("more than {} numbers in {} of {}", kMaxDims, in_quotes(at(1)), in_quotes(at(0)));
    numbers_->push_back(value);
    return true;
  }

 private:
  bool in_metadata() const { return at(0) == "__metadata__"; }
  std::vector<u64>* numbers_ = nullptr;  // the array being read
  bool has_shape_ = false;
};

// Only "weight_map" matters; the rest may hold anything.
class IndexReader final : public Reader {
 public:
  std::vector<std::pair<std::string, std::string>> files;

  bool null() override { return other("null"); }
  bool boolean(bool value) override { return other(value ? "true" : "false"); }
  bool number_integer(number_integer_t) override { return other("a number"); }
  bool number_unsigned(number_unsigned_t) override { return other("a number"); }
  bool number_float(number_float_t, const string_t&) override { return other("a number"); }
  bool start_array(size_t) override { return other("an array"); }
  bool string(string_t& value) override {
    if (depth() == 2 && at(0) == "weight_map") files.emplace_back(at(1), value);
    return depth() > 0 ? true : unexpected("a string");
  }

 private:
  bool other(std::string_view what) { return depth() > 0 && at(0) != "weight_map" ? true : unexpected(what); }
};

}  // namespace

Result<Header> parse_header(std::string_view json) {
  HeaderReader reader;
  TL_TRY_DO(reader.run(json));
  return std::move(reader.header);
}

Result<std::vector<std::pair<std::string, std::string>>> parse_index(std::string_view json) {
  IndexReader reader;
  TL_TRY_DO(reader.run(json));
  if (reader.files.empty()) return fail(Code::BadFile, "no 'weight_map' that names files");
  return std::move(reader.files);
}

std::string write_header(const Header& header) {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  if (!header.metadata.empty()) out["__metadata__"] = header.metadata;
  for (const HeaderTensor& t : header.tensors) {
    out[t.name] = {{"dtype", t.type}, {"shape", t.dims}, {"data_offsets", t.offsets}};
  }
  return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace tl::safetensors
