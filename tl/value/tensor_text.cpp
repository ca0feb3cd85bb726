// Tensors in NumPy's layout: columns of one width, rows wrapped at 75 columns, blank lines between matrices.
#include <cmath>

#include "tl/value/text.h"

namespace tl::lang {
namespace {

constexpr i64 kMaxShown = 1000;  // elements; larger tensors show kEdge at each end of each axis
constexpr i64 kEdge = 3;
constexpr size_t kLineWidth = 75;

class Layout {
 public:
  Layout(const HostTensor& tensor, int decimals)
      : tensor_(tensor), decimals_(decimals), summarised_(tensor.numel() > kMaxShown) {
    for_each_shown(0, 0, [&](i64 i) {
      if (is_float(tensor_.type.dtype) && std::isfinite(tensor_.as_double(i)) &&
          std::abs(tensor_.as_double(i)) >= 1e8) {
        exponents_ = true;
      }
    });
    for_each_shown(0, 0, [&](i64 i) { width_ = std::max(width_, element(i).size()); });
  }

  // `indent` is what the lines after the first begin with.
  std::string rows(int axis, i64 first, size_t indent, size_t width) const {
    const i64 size = shape()[axis], stride = numel_after(axis);
    const bool is_row = axis + 1 == shape().size();
    std::string text, line(indent, ' ');
    const auto add = [&](const std::string& word, bool last) {
      if (is_row) {
        if (line.size() + word.size() > width - 1 && line.size() > indent) {
          text += line.substr(0, line.find_last_not_of(' ') + 1) + '\n';
          line.assign(indent, ' ');
        }
        line += word + (last ? "" : " ");
      } else {
        text += std::string(indent, ' ') + word;
        if (!last) text += std::string(static_cast<size_t>(shape().size() - axis - 1), '\n');
      }
    };
    const bool cut = summarised_ && size > 2 * kEdge;
    for (i64 i = 0; i < size; ++i) {
      if (cut && i == kEdge) {
        add("...", false);
        i = size - kEdge;
      }
      const i64 at = first + i * stride;
      add(is_row ? padded(at) : rows(axis + 1, at, indent + 1, width - 1), i + 1 == size);
    }
    if (is_row) text += line;
    return "[" + text.substr(indent) + "]";
  }

 private:
  const Shape& shape() const { return tensor_.type.shape; }
  i64 numel_after(int axis) const {
    i64 n = 1;
    for (int i = axis + 1; i < shape().size(); ++i) n *= shape()[i];
    return n;
  }
  template <typename F>
  void for_each_shown(int axis, i64 first, const F& visit) const {
    if (axis == shape().size()) return visit(first);
    const i64 size = shape()[axis], stride = numel_after(axis);
    for (i64 i = 0; i < size; ++i) {
      if (summarised_ && size > 2 * kEdge && i == kEdge) i = size - kEdge;
      for_each_shown(axis + 1, first + i * stride, visit);
    }
  }
  std::string element(i64 i) const {
    const DType dtype = tensor_.type.dtype;
    if (dtype == DType::Bool) return tensor_.as_int(i) != 0 ? "true" : "false";
    if (!is_float(dtype)) return fmt::format("{}", tensor_.as_int(i));
    const double value = tensor_.as_double(i);
    if (std::isnan(value)) return "nan";  // its sign says nothing
    if (exponents_) return fmt::format("{:.{}e}", value, decimals_);
    return fmt::format("{:.{}f}", value, decimals_);
  }
  std::string padded(i64 i) const { return fmt::format("{:>{}}", element(i), width_); }

  const HostTensor& tensor_;
  const int decimals_;
  const bool summarised_;
  bool exponents_ = false;  // a value of 1e8 or more would make columns of digits nobody reads
  size_t width_ = 0;
};

}  // namespace

std::string tensor_text(const HostTensor& tensor, int decimals) {
  std::string values = "[]";
  if (tensor.numel() > 0) values = Layout(tensor, decimals).rows(0, 0, 1, kLineWidth);
  return fmt::format("{} shape={} {}", values, to_string(tensor.type.shape), name_of(tensor.type.dtype));
}

}  // namespace tl::lang
